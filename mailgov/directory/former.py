"""Addresses that mailboxes had before: kept from others, and found again."""

from datetime import date

from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.db.models import FormerAddress, Mailbox

KEPT_MONTHS = 24
"""For so long nobody else gets an address that somebody had: mail and audit trails would mix."""


def home_of(session: Session, address: Address) -> Address:
    """The address whose folder holds the mail of a mailbox; the given one where there is none."""
    query = select(Mailbox.home).where(Mailbox.address == address.key)
    home = session.exec(query).first()
    return Address.parse(home) if home else address


def holder_before(session: Session, key: str, today: date) -> Mailbox | None:
    """Whose address it was, as long as nobody else may have it; None when it is nobody's.

    Forever for the address that names the folder of a mailbox, else for 24 months.
    """
    kept = session.exec(select(Mailbox).where(Mailbox.home == key)).first()
    if kept is not None:
        return kept
    query = (
        select(Mailbox)
        .join(FormerAddress, col(FormerAddress.mailbox_id) == col(Mailbox.id))
        .where(FormerAddress.address == key, col(FormerAddress.until) > kept_since(today))
        .order_by(col(FormerAddress.until).desc())
    )
    return session.exec(query).first()


def kept_since(today: date) -> date:
    """Addresses given up on that day or before may go to others today."""
    year, month = divmod(today.year * 12 + today.month - 1 - KEPT_MONTHS, 12)
    return date(year, month + 1, min(today.day, 28))


def addresses_had(session: Session, mailbox_id: int) -> list[str]:
    """Every address that a mailbox had as its own before the present one, latest first."""
    query = (
        select(FormerAddress.address)
        .where(FormerAddress.mailbox_id == mailbox_id)
        .order_by(col(FormerAddress.id).desc())
    )
    return list(dict.fromkeys(session.exec(query)))
