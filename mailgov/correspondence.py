"""What earlier mail and the tree of agencies say about a message: facts that the bytes don't hold.

Who among the free mailboxes it goes to wrote first, and whether the sender is there for the public
(rule A04), which documents in it a recipient
has already (rule B18), and what the agencies of the recipients are called (rule A11). Asked only of
messages for which a rule needs it, so that ordinary mail costs nothing.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from mailgov.clock import local_date
from mailgov.db.models import Agency, Mailbox, MessageRow, RecipientRow, TakenDocument
from mailgov.rulesets import lineage
from mailgov_policies.facts import Content, Document, Envelope, Receipt, RecipientFacts

REMEMBERED = timedelta(days=366)
_MAX_DOCUMENTS = 50  # of one message
_MAX_EARLIER = 200  # messages with the same document that are looked at
_HAS_IT = ("queued", "delivered")


def is_asked(envelope: Envelope, content: Content) -> bool:
    """Whether any of it matters for this message."""
    return (
        bool(_free(envelope))
        or _asks_names(envelope, content)
        or (
            any(recipient.mailbox_id for recipient in envelope.recipients)
            and any(_documents(content))
        )
    )


def recalled(
    session: Session, envelope: Envelope, content: Content, now: datetime, queue_id: str = ""
) -> Envelope:
    """The envelope with these facts. `queue_id` is the message itself, when we have it already."""
    wrote = _wrote_days_ago(session, envelope, now)
    public = bool(_free(envelope)) and _is_public(session, envelope)
    names = _agency_names(session, envelope) if _asks_names(envelope, content) else {}
    return replace(
        envelope,
        public_contact=public,
        received=tuple(_receipts(session, envelope, content, now, queue_id)),
        recipients=tuple(
            replace(
                recipient,
                agency_names=names.get(recipient.agency, ()),
                wrote_days_ago=wrote.get(recipient.address, -1),
            )
            for recipient in envelope.recipients
        ),
    )


def taken(content: Content, queue_id: str, now: datetime) -> list[TakenDocument]:
    """Rows by which the documents of a message are known again; the caller stores them."""
    identities = dict.fromkeys(identity for identity, _ in _documents(content))
    return [
        TakenDocument(identity=identity, message_id=queue_id, taken_at=now)
        for identity in identities
    ]


# Who wrote first


def _free(envelope: Envelope) -> list[RecipientFacts]:
    if envelope.direction != "submission":
        return []
    return [recipient for recipient in envelope.recipients if recipient.freemail]


def _wrote_days_ago(session: Session, envelope: Envelope, now: datetime) -> Mapping[str, int]:
    """Days since each free mailbox wrote to one of the sender's own addresses."""
    free = [recipient.address for recipient in _free(envelope)]
    ours = {*envelope.may_send_as, envelope.login, envelope.mail_from} - {""}
    if not free or not ours:
        return {}
    last = (
        select(MessageRow.header_from, func.max(MessageRow.accepted_at))
        .join(RecipientRow, col(RecipientRow.message_id) == MessageRow.id)
        .where(
            MessageRow.direction == "inbound",
            col(MessageRow.header_from).in_(free),
            col(MessageRow.accepted_at) >= now - REMEMBERED,
            col(RecipientRow.address).in_(ours),
            col(RecipientRow.state).in_(_HAS_IT),
        )
        .group_by(MessageRow.header_from)
    )
    return {address: max((now - at).days, 0) for address, at in session.exec(last)}


def _is_public(session: Session, envelope: Envelope) -> bool:
    """Whether the mailbox in whose name it is sent is there for citizens and companies."""
    sender = envelope.mail_from if envelope.mail_from in envelope.may_send_as else envelope.login
    kept = select(Mailbox.public_contact).where(Mailbox.address == sender)
    return session.exec(kept).first() is True


# Documents that came before


def _documents(content: Content) -> Iterator[tuple[bytes, str]]:
    """Identity and place of each document: by what it says of itself, and by its file."""
    found: list[tuple[bytes, str]] = []
    for item in content.attachments:
        document = item.document
        if document is None or not document.is_agency_document:
            continue
        place = f"part {item.part}"
        if identity := _identity(document):
            found.append((identity, place))
        if document.notation and item.sha256:
            found.append((bytes.fromhex(item.sha256), place))
    own = content.found
    if own is not None and own.is_agency_document and (identity := _identity(own)):
        found.append((identity, own.place or "message"))
    yield from found[:_MAX_DOCUMENTS]


def _identity(document: Document) -> bytes:
    """What number, notation, agency and date make; empty when one of them is missing.

    Decree 30/2020/NĐ-CP, Annex VI: these four tell documents apart.
    """
    known = (document.number.lstrip("0"), document.symbol, document.agency, document.date)
    if not all(known):
        return b""
    folded = "\0".join(unicodedata.normalize("NFC", " ".join(one.split())).lower() for one in known)
    return hashlib.sha256(folded.encode()).digest()


def _receipts(
    session: Session, envelope: Envelope, content: Content, now: datetime, queue_id: str
) -> Iterator[Receipt]:
    """Each recipient of ours and document that reached it before, once, with the earliest day."""
    ours = {r.mailbox_id: r.address for r in envelope.recipients if r.mailbox_id is not None}
    places: dict[bytes, str] = {}
    for identity, place in _documents(content):
        places.setdefault(identity, place)
    if not ours or not places:
        return
    told: set[tuple[str, str]] = set()
    for identity, mailbox_id, at in _earlier(session, list(places), list(ours), now, queue_id):
        place, recipient = places[identity], ours[mailbox_id]
        if (place, recipient) not in told:
            told.add((place, recipient))
            yield Receipt(recipient, place, local_date(at).isoformat())


def _earlier(
    session: Session,
    identities: Sequence[bytes],
    mailboxes: Sequence[int],
    now: datetime,
    queue_id: str,
) -> Iterator[tuple[bytes, int, datetime]]:
    messages = (
        select(TakenDocument.identity, TakenDocument.message_id, TakenDocument.taken_at)
        .where(
            col(TakenDocument.identity).in_(identities),
            col(TakenDocument.taken_at) >= now - REMEMBERED,
            TakenDocument.message_id != queue_id,
        )
        .order_by(col(TakenDocument.id).desc())
        .limit(_MAX_EARLIER)
    )
    for identity, message_id, at in reversed(session.exec(messages).all()):
        got = select(RecipientRow.mailbox_id).where(
            RecipientRow.message_id == message_id,
            col(RecipientRow.mailbox_id).in_(mailboxes),
            col(RecipientRow.state).in_(_HAS_IT),
        )
        for mailbox_id in session.exec(got.order_by(col(RecipientRow.id))):
            if mailbox_id is not None:
                yield bytes(identity), mailbox_id, at


# What agencies are called


def _asks_names(envelope: Envelope, content: Content) -> bool:
    addressed = any(item.document and item.document.addressees for item in content.attachments)
    return addressed and any(recipient.agency for recipient in envelope.recipients)


def _agency_names(session: Session, envelope: Envelope) -> Mapping[str, tuple[str, ...]]:
    """Names of each recipient's agency and of those above it, the highest first."""
    lines = {
        code: lineage(session, code)
        for code in dict.fromkeys(recipient.agency for recipient in envelope.recipients)
        if code
    }
    codes = {code for line in lines.values() for code in line}
    names = dict(
        session.exec(select(Agency.code, Agency.name_vi).where(col(Agency.code).in_(codes))).all()
    )
    return {code: tuple(names[above] for above in line) for code, line in lines.items()}
