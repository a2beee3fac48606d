"""Who stands in the address book of somebody: open mailboxes of the agency's own branch of the tree."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from mailgov.access import branch
from mailgov.addressbook.vcard import Contact, render
from mailgov.db.models import Agency, Mailbox, Person


@dataclass(frozen=True, slots=True)
class Card:
    """A contact as it is served. `etag` changes with its text."""

    name: str  # of the file
    text: str
    contact: Contact

    @property
    def etag(self) -> str:
        """In quotation marks, as HTTP wants it."""
        return f'"{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Book:
    """An address book. `token` changes with anything in it."""

    title: str
    cards: Mapping[str, Card]

    @property
    def token(self) -> str:
        """A digest of everything."""
        digest = hashlib.sha256(self.title.encode())
        for card in self.cards.values():
            digest.update(f"{card.name} {card.etag}\n".encode())
        return digest.hexdigest()[:40]


def book_of(session: Session, agency_code: str, *, levels_up: int, phones: bool) -> Book:
    """The book of everybody in an agency.

    It begins `levels_up` levels above the agency. Mailboxes that are not active, and people who
    have left, are not in it.
    """
    top = _above(session, agency_code, levels_up)
    if top is None:
        return Book("", {})
    query = (
        sa.select(
            col(Mailbox.id), col(Mailbox.address), col(Mailbox.kind), col(Mailbox.display_name),
            col(Person.full_name), col(Person.title), col(Person.phone), col(Person.left_on),
            col(Agency.name_vi),
        )
        .select_from(Mailbox)
        .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
        .outerjoin(Person, col(Person.id) == col(Mailbox.person_id))
        .where(col(Mailbox.state) == "active", col(Agency.code).in_(branch(session, top.code)))
        .order_by(col(Mailbox.id))
    )  # fmt: skip
    cards = {}
    for (
        number,
        address,
        kind,
        shown,
        name,
        title,
        phone,
        left_on,
        agency,
    ) in session.connection().execute(query):
        if left_on is not None:
            continue
        contact = Contact(
            uid=f"mailgov-{number}",
            name=name or shown or address,
            address=address,
            agency=agency,
            title=title or "",
            phone=(phone or "") if phones else "",
            is_person=kind == "person",
        )
        card = Card(f"{number}.vcf", render(contact), contact)
        cards[card.name] = card
    return Book(top.name_vi, cards)


def _above(session: Session, code: str, levels: int) -> Agency | None:
    """The agency so many levels above, or the topmost."""
    agency = session.exec(select(Agency).where(Agency.code == code)).first()
    for _ in range(levels):
        if agency is None or agency.parent_id is None:
            break
        agency = session.get(Agency, agency.parent_id)
    return agency
