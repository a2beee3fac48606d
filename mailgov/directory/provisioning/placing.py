"""On which Dovecot behind the proxies a mailbox lies."""

from collections.abc import Iterable

from sqlmodel import Session

from mailgov.db.models import Agency
from mailgov.directory.change import Act, Change, edited_fields, recorded
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.errors import NotFound


def place(
    session: Session, act: Act, address: str, backend: str, *, backends: Iterable[str]
) -> Change:
    """Note the backend; proxies ask for it at each sign-in and each delivery.

    Raises NotFound `mailbox-unknown`, `backend-unknown` for one that is not among `backends`, which are
    `name:port`.
    """
    names = {known.rpartition(":")[0] for known in backends}
    if backend not in names:
        raise NotFound("backend-unknown", name=backend, known=", ".join(sorted(names)))
    mailbox = get_mailbox(session, address)
    fields = edited_fields(mailbox, backend=backend)
    session.add(mailbox)
    code = session.get_one(Agency, mailbox.agency_id).code
    change = Change(
        "mailbox", "place", mailbox.address, fields, agency_code=code, mailbox=mailbox.address
    )
    return recorded(session, act, change)
