"""Help: one page for each rule, in the words that replies, bounces and reports use too."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailgov import texts
from mailgov.texts.explanation import Explanation, of_rule
from mailgov_policies import RULES
from mailgov_webmail.visit import Visit

_QUEUE_ID_SIGNS = 20


async def show(visit: Visit) -> Response:
    """What the system asks of mail, by rule."""
    entries = [
        (rule.key, entry)
        for rule in RULES
        if (entry := texts.entry(visit.language, f"rule.{rule.key}"))
    ]
    return visit.page("help.html", rules=entries, contact=visit.services.config.site.contact)


async def rule(visit: Visit) -> Response:
    """One rule: what it asks, on what ground, how to mend mail that breaks it."""
    key = visit.request.path_params["key"]
    rows = visit.services.ruleset.of(key)
    basis = rows[-1].basis if rows else ""
    return visit.page(
        "help_rule.html",
        one=await _explained(visit, key, basis),
        reference=visit.query("ref")[:_QUEUE_ID_SIGNS],
        told=bool(visit.query("told")),
    )


async def _explained(visit: Visit, key: str, basis: str) -> Explanation:
    if texts.entry(visit.language, f"rule.{key}"):
        return of_rule(visit.language, key, basis)
    found = await visit.services.rules.own_rule(key)
    if found is None:
        raise HTTPException(404)
    return of_rule(visit.language, key, basis, own_words=found.words)
