"""What the gate finds out about a message, and what it did."""

from dataclasses import dataclass
from typing import Literal

from mailgov_policies import Action, Facts, Verdict

Channel = Literal["smtp", "web", "milter"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of a message, and what the policy says of it."""

    facts: Facts
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Outcome(Judgement):
    """A judgement that was carried out: queued, held or refused under this queue id."""

    queue_id: str

    @property
    def accepted(self) -> bool:
        """Whether we answer for the message from now on."""
        return self.verdict.action < Action.DEFER
