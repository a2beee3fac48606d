"""How old a password may get, and which ones may not come back (rules password-history, password-age)."""

from datetime import date, datetime, timedelta

from sqlmodel import Session, col, or_, select

from mailgov.clock import local_date
from mailgov.config import Lifecycle
from mailgov.db.models import Credential, Mailbox, RoleGrant, SecondFactor
from mailgov.lifecycle.terms import add_months


def has_role(session: Session, mailbox: Mailbox, today: date) -> bool:
    """Whether the holder administers, audits or decides anything: then sharper numbers count."""
    query = select(RoleGrant.id).where(
        RoleGrant.mailbox_id == mailbox.id,
        or_(col(RoleGrant.until).is_(None), col(RoleGrant.until) >= today),
    )
    return session.exec(query).first() is not None


def reuse_of(session: Session, mailbox: Mailbox, settings: Lifecycle) -> int:
    """How many of the last passwords may not be used again: 3, of administrators 10."""
    # Whether a role is in force today makes no difference: who had one knows the rule.
    held = select(RoleGrant.id).where(RoleGrant.mailbox_id == mailbox.id)
    if session.exec(held).first() is not None:
        return settings.admin_password_history
    return settings.password_history


def months_of(session: Session, mailbox: Mailbox, today: date, settings: Lifecycle) -> int | None:
    """How many months a password lasts: 3, of administrators 2; None: as long as its holder likes.

    With a second factor a user's password needs no change by the calendar.
    """
    if has_role(session, mailbox, today):
        return settings.admin_password_months
    factor = session.get(SecondFactor, mailbox.id)
    if factor is not None and factor.confirmed_at is not None:
        return None
    return settings.password_months


def last_day_of(credential: Credential, months: int) -> date:
    """The last day on which a password that was set then needs no change."""
    return add_months(local_date(credential.created_at), months) - timedelta(days=1)


def ageing(session: Session, before: datetime) -> list[tuple[Mailbox, Credential]]:
    """Passwords in force that were set before a moment and need not be changed yet."""
    query = (
        select(Mailbox, Credential)
        .join(Credential, col(Credential.mailbox_id) == col(Mailbox.id))
        .where(
            Mailbox.state == "active",
            Credential.kind == "password",
            col(Credential.revoked_at).is_(None),
            col(Credential.must_change).is_(False),
            col(Credential.created_at) < before,
        )
        .order_by(col(Mailbox.id))
    )
    return list(session.exec(query))
