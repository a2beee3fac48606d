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

Act = Literal["administer", "trace", "report", "open-rows", "secure"]

# What each role is for. Content of mail is in no role's list.
ACTS: dict[str, frozenset[Act]] = {
    "it": frozenset({"administer", "trace", "report"}),
    "auditor": frozenset({"trace", "report", "open-rows"}),
    "security-officer": frozenset({"trace", "secure"}),
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
