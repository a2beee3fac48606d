"""Past mail judged again: what another ruleset would have found, and what it would not.

Mail that was taken, held and refused alike, as far as facts were kept. Of refused secrets none are
(rule secret-no-copy), nor of what was deferred, which came again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlmodel import Session, col, select

from mailgov.clock import local_date
from mailgov.db.models import MessageRow, Refusal, VerdictRow
from mailgov_policies import Action, Facts, Ruleset, judge
from mailgov_policies.stored import NOT_REPLAYED, restore

_BATCH = 500

RulesOf = Callable[[str], Ruleset]


@dataclass(frozen=True, slots=True)
class Difference:
    """For one agency and one rule: the gravest action before and after; None: nothing found."""

    agency: str
    code: str
    before: Action | None
    after: Action | None

    @property
    def kind(self) -> str:
        """`new`, `lifted`, `graver` or `milder`."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "lifted"
        return "graver" if self.after > self.before else "milder"


@dataclass(slots=True)
class Simulation:
    """How many messages were judged again, and in how many a rule's finding differs."""

    messages: int = 0
    without_facts: int = 0
    differences: Counter[Difference] = field(default_factory=Counter)


def simulate(session: Session, since: datetime, current: RulesOf, candidate: RulesOf) -> Simulation:
    """Judge what came since then under both rulesets; each gives that of an agency.

    Both judge the kept facts on the day of the message, so that rules which need the words of the
    message (`NOT_REPLAYED`) differ in nothing.
    """
    result = Simulation()
    for agency, at, kept in _past(session, since):
        if kept is None:
            result.without_facts += 1
            continue
        result.messages += 1
        facts, on = restore(kept), local_date(at)
        before = _found(facts, current(agency), on)
        after = _found(facts, candidate(agency), on)
        for code in before.keys() | after.keys():
            was, becomes = before.get(code), after.get(code)
            if was != becomes:
                result.differences[Difference(agency, code, was, becomes)] += 1
    return result


def _past(
    session: Session, since: datetime
) -> Iterator[tuple[str, datetime, Mapping[str, object] | None]]:
    query = (
        select(MessageRow.agency_code, MessageRow.accepted_at, VerdictRow.facts)
        .join(VerdictRow, col(VerdictRow.message_id) == MessageRow.id)
        .where(MessageRow.accepted_at >= since)
        .order_by(MessageRow.id)
        .execution_options(yield_per=_BATCH)
    )
    yield from session.exec(query)
    refused = (
        select(Refusal.agency_code, Refusal.refused_at, Refusal.facts)
        .where(Refusal.refused_at >= since)
        .order_by(col(Refusal.id))
        .execution_options(yield_per=_BATCH)
    )
    yield from session.exec(refused)


def _found(facts: Facts, ruleset: Ruleset, on: date) -> dict[str, Action]:
    """The gravest action of each code."""
    found: dict[str, Action] = {}
    for finding in judge(facts, ruleset, on).findings:
        if finding.code not in NOT_REPLAYED:
            found[finding.code] = max(finding.action, found.get(finding.code, Action.PASS))
    return found
