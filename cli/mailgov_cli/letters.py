"""Letters for new mailboxes: a link for each, printed, and kept nowhere else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov_cli.runtime import Runtime

if TYPE_CHECKING:
    from sqlmodel import Session

    from mailgov.bulk.letters import Letter
    from mailgov.db.models import Mailbox
    from mailgov.directory.change import Act

Letters = Annotated[
    Path | None,
    typer.Option(
        "--letters",
        help="write letters with activation links: FILE.pdf (several units: a file for each), FILE.zip or a folder",
    ),
]

_AT_ONCE = 200  # links made in one transaction


def require_free(target: Path | None, agency_codes: Sequence[str]) -> None:
    """Raise InputError `letters-there` before anything is written. Without a target nothing."""
    if target is not None:
        from mailgov.bulk import letters

        letters.require_free(target, agency_codes)


def of_job(run: Runtime, job_id: str, reason: str, target: Path) -> None:
    """Letters for the mailboxes that a job added and that nobody has opened yet."""
    with run.database.read() as session:
        waiting = list(_waiting(session, job_id))
    act = run.act(reason)
    made: list[Letter] = []
    for start in range(0, len(waiting), _AT_ONCE):
        with run.database.write() as session:
            portion = waiting[start : start + _AT_ONCE]
            made += [_letter(run, session, act, one, end_access=False) for one in portion]
    write(run, target, made)


def of_mailbox(run: Runtime, session: "Session", act: "Act", address: str) -> "Letter":
    """A new link for one mailbox, ready to be printed; what opened it before ends."""
    return _letter(run, session, act, address, end_access=True)


def write(run: Runtime, target: Path, made: "Sequence[Letter]") -> None:
    """Print them; the links are nowhere else. Raises InputError `letters-there`."""
    from mailgov.bulk.letters import Sender, write_letters
    from mailgov.clock import utc_now

    if not made:
        run.say("letters-none")
        return
    site = run.config.site
    sender = Sender(site.organisation or site.hostname, site.contact, site.language)
    for file in write_letters(target, made, sender, utc_now()):
        run.say("written", target=file)
    run.say("letters-written", count=len(made))


def _waiting(session: "Session", job_id: str) -> Iterator[str]:
    from sqlmodel import col, select

    from mailgov.db.models import Credential, JobRow, Mailbox

    opened = (
        select(Credential.id)
        .where(Credential.mailbox_id == Mailbox.id, col(Credential.revoked_at).is_(None))
        .exists()
    )
    query = (
        select(Mailbox.address)
        .join(JobRow, col(JobRow.mailbox_id) == col(Mailbox.id))
        .where(
            JobRow.job_id == job_id,
            JobRow.verb == "add",
            col(JobRow.undone_at).is_(None),
            Mailbox.state == "active",
            col(Mailbox.activated_at).is_(None),
            ~opened,
        )
        .order_by(Mailbox.address)
    )
    yield from session.exec(query)


def _letter(
    run: Runtime, session: "Session", act: "Act", address: str, *, end_access: bool
) -> "Letter":
    from mailgov.bulk.letters import Letter
    from mailgov.db.models import Agency, Person
    from mailgov.directory.provisioning import get_mailbox
    from mailgov.lifecycle.activation import issue

    days = run.config.lifecycle.activation_days
    new = issue(session, act, address, days, end_access=end_access)
    box: Mailbox = get_mailbox(session, address)
    agency = session.get_one(Agency, box.agency_id)
    person = session.get(Person, box.person_id) if box.person_id else None
    return Letter(
        name=person.full_name if person else box.display_name,
        title=person.title if person else "",
        address=box.address,
        agency_code=agency.code,
        agency_name=agency.name_vi,
        link=new.link(run.config),
        expires_at=new.expires_at,
        is_person=person is not None,
    )
