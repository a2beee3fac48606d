"""Whom it concerns when an agency comes under another one."""

from collections.abc import Collection
from typing import Any

from sqlmodel import Session, col, func, select

from mailgov.db.models import Agency, Domain, Mailbox, Person
from mailgov.directory.provisioning import get_agency
from mailgov.directory.provisioning.agencies import ancestors

_SHOWN = 100


def affected(session: Session, codes: Collection[str], to: str) -> dict[str, Any]:
    """How many people and mailboxes move along, and which of their domains are strange there.

    A domain is strange when it belongs neither to the branch nor to what will be above it: addresses
    in it go on, and nobody else of the branch gets one there. Raises NotFound `agency-unknown`.
    """
    ids = session.exec(select(Agency.id).where(col(Agency.code).in_(codes))).all()
    people = select(func.count()).select_from(Person).where(col(Person.agency_id).in_(ids))
    boxes = select(func.count()).select_from(Mailbox).where(col(Mailbox.agency_id).in_(ids))
    at_home = {*ids, *(one.id for one in ancestors(session, get_agency(session, to)))}
    strange = (
        select(Domain.name)
        .join(Mailbox, col(Mailbox.domain_id) == col(Domain.id))
        .where(col(Mailbox.agency_id).in_(ids), col(Domain.agency_id).not_in(at_home))
        .distinct()
        .order_by(Domain.name)
        .limit(_SHOWN)
    )
    return {
        "units": len(ids),
        "people": session.exec(people).one(),
        "mailboxes": session.exec(boxes).one(),
        "strange": list(session.exec(strange)),
    }
