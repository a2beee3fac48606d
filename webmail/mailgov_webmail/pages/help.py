"""Help: one page for each rule, in the words that replies, bounces and reports use too."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailgov import texts
from mailgov_policies import RULES
from mailgov_webmail.visit import Visit

WAYS = ("webmail", "thunderbird", "outlook", "phone")


async def show(visit: Visit) -> Response:
    """What the system asks of mail, by rule."""
    entries = [
        (rule.key, entry)
        for rule in RULES
        if (entry := texts.entry(visit.language, f"rule.{rule.key}"))
    ]
    return visit.page("help.html", rules=entries, contact=visit.services.config.site.contact)


async def _of_agency(visit: Visit, key: str) -> Mapping[str, Any]:
    """The words of a rule that an agency's ruleset has added."""
    found = await visit.services.rules.own_rule(key)
    if found is None:
        raise HTTPException(404)
    general = texts.entry(visit.language, "rule-of-agency")
    return {**general, "help": f"{found.words[visit.language]} {general['help']}"}


async def rule(visit: Visit) -> Response:
    """One rule: what it asks, on what ground, how to mend mail that breaks it."""
    key = visit.request.path_params["key"]
    entry = texts.entry(visit.language, f"rule.{key}") or await _of_agency(visit, key)
    steps = [(way, texts.rule_steps(visit.language, key, way)) for way in WAYS]
    rows = visit.services.ruleset.of(key)
    return visit.page(
        "help_rule.html",
        key=key,
        entry=entry,
        steps=[(way, lines) for way, lines in steps if lines],
        basis=entry.get("basis") or (rows[-1].basis if rows else ""),
    )
