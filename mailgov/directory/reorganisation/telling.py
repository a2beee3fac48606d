"""The plan of a merger as rows: what each thing becomes, and which records of DNS are still missing."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from mailgov.directory.reorganisation.survey import MergerPlan

FIELDS = ("what", "target", "new", "until", "name", "clash")


def told(plan: MergerPlan) -> Iterator[dict[str, Any]]:
    """What each thing becomes; nothing new means that it goes along under its name.

    `until` is the last day on which a domain takes mail; `clash` says who has the address that would
    be the first choice.
    """
    into = plan.into.code
    for source in plan.sources:
        yield _row("agency", source.code, into, name=source.name_vi)
    for code in plan.units:
        yield _row("unit", code, into)
    for change in plan.domains:
        yield _row("domain", change.old, change.new, until=plan.merger.alias_until)
    former = {box.id for box in plan.former_offices}
    renamed = {one.box.id for one in plan.new_addresses}
    for box in plan.mailboxes:
        if box.id not in renamed:
            kind = "former-office" if box.id in former else box.kind
            yield _row(kind, box.address, name=box.name)
    for one in plan.new_addresses:
        kind = "former-office" if one.box.id in former else one.box.kind
        yield _row(kind, one.box.address, one.new, name=one.box.name, clash=one.clash)
    for group in plan.groups:
        yield _row("group-member", group, into)
    for _, holder, role in plan.roles:
        yield _row("role", holder, into, name=role)


def _row(
    what: str,
    target: str,
    new: str = "",
    *,
    until: date | None = None,
    name: str = "",
    clash: str = "",
) -> dict[str, Any]:
    return {
        "what": what, "target": target, "new": new, "until": until, "name": name, "clash": clash,
    }  # fmt: skip


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
