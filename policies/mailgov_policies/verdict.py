"""Actions, findings and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType


class Action(IntEnum):
    """What happens to a message, mildest to gravest. More findings never make it milder."""

    PASS = 0  # delivered, unmarked
    TAG = 1  # delivered with a visible mark
    WARN = 2  # delivered; the writer was told, and gives a reason in webmail
    HOLD = 3  # kept for release by an officer of the agency
    QUARANTINE = 4  # kept as dangerous; release needs security staff
    DEFER = 5  # not judged: temporary refusal, 4xx
    REJECT = 6  # refused, 5xx

    @property
    def label(self) -> str:
        """The word used in replies, JSON and rulesets."""
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> "Action":
        """The action of that label. Raises ValueError."""
        try:
            return cls[label.upper()]
        except KeyError:
            raise ValueError(f"no such action: `{label}`") from None


@dataclass(frozen=True, slots=True)
class Hit:
    """What one rule saw. `evidence` fills the places in the texts of the code."""

    code: str
    where: str
    evidence: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit with the action that the ruleset in force gives it."""

    code: str
    action: Action
    where: str
    evidence: Mapping[str, str]
    rule_version: int
    basis: str = ""  # legal basis, from the ruleset row


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole judgement, with its reasons and with what passed."""

    action: Action
    code: str  # of the gravest finding; empty when there is none
    findings: tuple[Finding, ...]  # gravest first
    passed: tuple[str, ...]  # codes of the rules that found nothing
    ruleset: str  # name and version

    @property
    def delivers(self) -> bool:
        """Whether recipients get the message now."""
        return self.action <= Action.WARN

    @property
    def labels(self) -> tuple[str, ...]:
        """Codes that mark the message visibly, without repetition."""
        return tuple(dict.fromkeys(f.code for f in self.findings if f.action is not Action.PASS))
