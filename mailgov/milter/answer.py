"""What a verdict becomes for a mail server that keeps the message itself. Pure."""

from typing import Literal

from mailgov.gate.outcome import Outcome
from mailgov.milter import wire
from mailgov.milter.wire import Actions, Negotiated
from mailgov.relay import replies
from mailgov.relay.replies import Reply
from mailgov_policies import Action

FIELD = "X-Mailgov-Policy"

Held = Literal["quarantine", "defer", "reject"]


def for_outcome(
    outcome: Outcome, agreed: Negotiated, held: Held, help_base: str, forged: int
) -> list[bytes]:
    """The packets that answer the end of a message.

    `held`: what becomes of mail that the policy holds. `forged`: fields of ours in what came.
    """
    verdict = outcome.verdict
    if verdict.action >= Action.DEFER:
        return [refused(replies.outcome_reply(outcome, help_base))]
    can_hold = held == "quarantine" and Actions.QUARANTINE in agreed.actions
    if not (verdict.delivers or can_hold):
        return [_held_back(outcome, held, help_base)]
    packets = []
    if Actions.CHANGE_HEADERS in agreed.actions:
        # From the last to the first: numbers of those before stay as they are.
        packets += [wire.remove_header(FIELD, number) for number in range(forged, 0, -1)]
    if Actions.ADD_HEADERS in agreed.actions:
        packets.append(wire.insert_header(FIELD, _value(outcome), agreed.steps))
    if not verdict.delivers:
        packets.append(wire.quarantine(f"mailgov {outcome.queue_id} {verdict.code}"))
    return [*packets, wire.ACCEPT]


def _held_back(outcome: Outcome, held: Held, help_base: str) -> bytes:
    """A server that can't hold mail, or must not: the sender is told, now or again and again."""
    verdict = outcome.verdict
    if held == "reject":
        finding = next(f for f in verdict.findings if f.code == verdict.code)
        told = replies.rule_refusal(verdict.code, finding.evidence, help_base, basis=finding.basis)
        return refused(told)
    return refused(replies.refusal("not-judged", reference=outcome.queue_id, code=verdict.code))


def _value(outcome: Outcome) -> str:
    verdict = outcome.verdict
    reason = f"; reason={verdict.code}" if verdict.code else ""
    return f"action={verdict.action.label}{reason}; reference={outcome.queue_id}"


def refused(told: Reply) -> bytes:
    """A reply of ours as the server's own."""
    return wire.reply(told.encode().decode("ascii").rstrip("\r\n").split("\r\n"))
