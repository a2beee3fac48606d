"""Letters to holders about their own mailbox, each step of a matter once."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from mailgov.config import Config
from mailgov.db.models import Agency, Mailbox, Told
from mailgov.holding.letters import Letter, LetterKind, Line
from mailgov.holding.sending import send


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told: a step of a matter, and the letter. `subject` is what its title names."""

    matter: str
    step: str
    kind: LetterKind
    subject: str
    lines: tuple[Line, ...]
    rows: tuple[str, ...] = ()


def tell_once(
    session: Session, config: Config, mailbox: Mailbox, notice: Notice, now: datetime
) -> bool:
    """Send the letter unless this step was the last one told; whether it was sent."""
    assert mailbox.id is not None
    told = session.get(Told, (mailbox.id, notice.matter))
    if told is not None and told.step == notice.step:
        return False
    letter = Letter(
        notice.kind,
        mailbox.address,
        mailbox.id,
        session.get_one(Agency, mailbox.agency_id).code,
        notice.subject,
        notice.lines,
        rows=notice.rows,
    )
    send(session, config, [letter], now)
    row = told or Told(mailbox_id=mailbox.id, matter=notice.matter, step="", at=now)
    row.step, row.at = notice.step, now
    session.add(row)
    return True


def forget(session: Session, mailbox_id: int, matter: str) -> None:
    """The matter is over: the next time it is told again."""
    told = session.get(Told, (mailbox_id, matter))
    if told is not None:
        session.delete(told)


def steps_told(session: Session, matter: str) -> dict[int, str]:
    """By mailbox, the last step told of a matter."""
    query = select(Told.mailbox_id, Told.step).where(col(Told.matter) == matter)
    return dict(session.exec(query).all())
