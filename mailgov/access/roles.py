"""Who may do what in which branch of the agency tree.

A role is granted over one agency and everything below it, or over the whole. The platform asks
here, with the roles of the account that acts; the faces need not know how the answer is found.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select

from mailgov.db.models import Agency
from mailgov.errors import NotAllowed

Act = Literal[
    "look",  # at the directory: agencies, domains, mailboxes, groups
    "administer",  # the directory
    "grant",  # every role, not only that of an agency administrator
    "trace",  # mail by its envelope
    "report",
    "open-rows",  # the names behind a number
    "audit",  # the ledger: who did what
    "secure",  # held mail
    "keys",  # signing keys
    "operate",  # the platform: services, configuration, backups, the queue
]

OPERATOR = "operator"

# What each role is for. Content of mail is in no role's list.
ACTS: dict[str, frozenset[Act]] = {
    OPERATOR: frozenset(
        {"look", "administer", "grant", "trace", "report", "audit", "secure", "keys", "operate"}
    ),
    "it": frozenset({"look", "administer", "trace", "report"}),
    "auditor": frozenset({"look", "trace", "report", "open-rows", "audit"}),
    "security-officer": frozenset({"look", "trace", "secure"}),
    "key-officer": frozenset({"look", "keys"}),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role over an agency and all below it; an empty code means the whole platform."""

    role: str
    agency_code: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The agencies that somebody may deal with."""

    everything: bool = False
    codes: frozenset[str] = frozenset()

    def __contains__(self, agency_code: str) -> bool:
        return self.everything or agency_code in self.codes

    def __bool__(self) -> bool:
        return self.everything or bool(self.codes)


EVERYTHING = Scope(everything=True)


def branch(session: Session, agency_code: str) -> frozenset[str]:
    """Codes of an agency and of everything below it; empty when there is no such agency."""
    top = select(Agency.id, Agency.code).where(Agency.code == agency_code)
    tree = top.cte("branch", recursive=True)
    below = select(Agency.id, Agency.code).join(tree, col(Agency.parent_id) == tree.c.id)
    return frozenset(session.exec(select(tree.union(below).c.code)).all())


def scope(session: Session, roles: Iterable[Role], act: Act) -> Scope:
    """Where the holder of these roles may do `act`."""
    codes: set[str] = set()
    for role in roles:
        if act not in ACTS.get(role.role, ()):
            continue
        if not role.agency_code:
            return EVERYTHING
        codes |= branch(session, role.agency_code)
    return Scope(codes=frozenset(codes))


def require(session: Session, roles: Iterable[Role], act: Act, agency_code: str) -> None:
    """Raise NotAllowed `not-allowed` unless one of the roles permits `act` in that agency."""
    if agency_code not in scope(session, roles, act):
        raise NotAllowed("not-allowed", act=act, agency=agency_code or "*")
