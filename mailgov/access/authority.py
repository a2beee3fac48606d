"""Who acts, and with which roles: the one answer for command line, pages and calls."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import or_
from sqlmodel import Session, col, select

from mailgov.access.roles import ACTS, OPERATOR, Act, Role
from mailgov.db.models import Agency, Mailbox, RoleGrant
from mailgov.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class Authority:
    """Whoever acts. `roles` are those in force today."""

    actor: str  # as the ledger keeps it
    roles: tuple[Role, ...]
    address: str = (
        ""  # mailbox of the person; empty: whoever runs the installation, known by account
    )

    def permits(self, act: Act | None) -> bool:
        """Whether the act is open to everybody, or to one of the roles somewhere."""
        return act is None or any(act in ACTS.get(role.role, ()) for role in self.roles)

    def require(self, act: Act | None) -> None:
        """Raise NotAllowed `act-not-allowed` unless the act is permitted somewhere."""
        if not self.permits(act):
            raise NotAllowed("act-not-allowed", actor=self.actor, act=act)

    def tops(self, act: Act | None) -> tuple[str, ...] | None:
        """Agencies at the top of the branches where the act is permitted; None: everywhere."""
        at = [role for role in self.roles if act is None or act in ACTS.get(role.role, ())]
        if any(not role.agency_code for role in at):
            return None
        return tuple(sorted({role.agency_code for role in at}))


LOCAL = "cli:"
"""What actors known by an account of the operating system begin with."""


def local_authority(account: str) -> Authority:
    """Whoever runs the installation: root, or the owner of its data."""
    return Authority(f"{LOCAL}{account}", (Role(OPERATOR),))


def authority_of(session: Session, address: str, actor: str, today: date) -> Authority:
    """The authority of a mailbox's holder, by the grants in force today.

    Raises NotAllowed `account-without-role` for an unknown or closed mailbox, and for one without a
    role.
    """
    grants = session.exec(
        select(RoleGrant.role, Agency.code)
        .join(Mailbox, col(RoleGrant.mailbox_id) == col(Mailbox.id))
        .join(Agency, col(RoleGrant.agency_id) == col(Agency.id), isouter=True)
        .where(
            Mailbox.address == address,
            Mailbox.state == "active",
            or_(col(RoleGrant.until).is_(None), col(RoleGrant.until) >= today),
        )
        .order_by(col(RoleGrant.id))
    ).all()
    if not grants:
        raise NotAllowed("account-without-role", account=address)
    return Authority(actor, tuple(Role(role, code or "") for role, code in grants), address)
