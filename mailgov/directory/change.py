"""What a change of the directory is: who, when, why, and each field from old to new."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from mailgov.ledger import record
from mailgov.ledger.events import DirectoryChanged


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes the directory, when and why."""

    actor: str  # address, or `cli:<user>`
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as recorded; without fields it was already so and nothing is recorded."""

    noun: str  # agency, domain, dkim, person, mailbox, alias, role
    verb: str  # add, edit, suspend, resume, remove, grant
    target: str
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)  # field: (old, new)
    agency_code: str = ""
    mailbox: str = ""  # Address.key, where a mailbox is concerned
    details: dict[str, Any] = field(default_factory=dict)  # for the caller, not recorded

    @property
    def nothing(self) -> bool:
        """Whether everything was already as asked for."""
        return not self.changes


def recorded(session: Session, act: Act, change: Change) -> Change:
    """Write the change into the ledger, in the caller's transaction; returns it."""
    if not change.nothing:
        record(
            session,
            DirectoryChanged(
                at=act.at,
                actor=act.actor,
                mailbox=change.mailbox,
                agency_code=change.agency_code,
                noun=change.noun,
                verb=change.verb,
                target=change.target,
                changes={name: list(pair) for name, pair in change.changes.items()},
                reason=act.reason,
            ),
        )
    return change


def new_fields(**values: object) -> dict[str, tuple[str, str]]:
    """The fields of something added; empty ones are left out."""
    return {name: ("", str(value)) for name, value in values.items() if value not in (None, "")}


def edited_fields(row: object, **values: object) -> dict[str, tuple[str, str]]:
    """Set these fields of a row; returns those that differ. None means: leave as it is."""
    changes = {}
    for name, new in values.items():
        old = getattr(row, name)
        if new is not None and new != old:
            setattr(row, name, new)
            changes[name] = ("" if old is None else str(old), str(new))
    return changes
