"""The plan of a merger as rows: what each thing becomes, and which records of DNS are still missing."""

from collections.abc import Iterator
from typing import Any

from mailgov.directory.reorganisation.survey import MergerPlan

FIELDS = ("what", "target", "old", "new", "name", "clash")


def told(plan: MergerPlan) -> Iterator[dict[str, Any]]:
    """The plan as rows: what each kind of thing becomes."""
    merger = plan.merger
    for source in plan.sources:
        yield _row("agency", source.code, source.code, plan.into.code, source.name_vi)
    for code in plan.units:
        yield _row("unit", code, "", plan.into.code, "")
    for change in plan.domains:
        until = str(merger.alias_until) if merger.alias_until else ""
        yield _row("domain", change.old, change.old, change.new, until)
    former = {box.id for box in plan.former_offices}
    renamed = {one.box.id: one for one in plan.new_addresses}
    for box in plan.mailboxes:
        if box.id in renamed:
            continue
        yield _row("former-office" if box.id in former else box.kind, box.address, "", "", box.name)
    for one in plan.new_addresses:
        kind = "former-office" if one.box.id in former else one.box.kind
        yield _row(kind, one.box.address, one.box.address, one.new, one.box.name, one.clash)
    for group in plan.groups:
        yield _row("group-member", group, "", plan.into.code, "")
    for _, holder, role in plan.roles:
        yield _row("role", holder, "", plan.into.code, role)


def _row(what: str, target: str, old: str, new: str, name: str, clash: str = "") -> dict[str, Any]:
    return {"what": what, "target": target, "old": old, "new": new, "name": name, "clash": clash}


def missing_keys(plan: MergerPlan) -> list[str]:
    """New domains in whose name nothing can be signed yet: each needs a key and its records."""
    return list(dict.fromkeys(change.new for change in plan.domains if not change.signs))


def counts(plan: MergerPlan) -> dict[str, int]:
    """How much of each kind is concerned."""
    return {
        "agencies": len(plan.sources),
        "units": len(plan.units),
        "people": len(plan.people),
        "mailboxes": len(plan.mailboxes),
        "addresses": len(plan.new_addresses),
        "clashes": len(plan.clashes),
        "domains": len(plan.domains),
        "groups": len(plan.groups),
        "delegations": plan.delegations,
        "roles": len(plan.roles),
        "posts": plan.posts,
    }
