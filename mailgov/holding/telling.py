"""Who hears of held mail, of decisions on it and of refused secrets, in the same transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db.models import EventRow
from mailgov.holding.keepers import Desk, awaiting_moderators, desks_for, owner
from mailgov.holding.letters import Letter, LetterKind, Line, moment, named
from mailgov.holding.sending import deadline, log, mailbox, send_about
from mailgov.ledger.events import HeldAssigned, MessageRefused, ScannerStale
from mailgov.queue import NewMessage
from mailgov.queue.admin import Intervention
from mailgov_policies.verdict import Action

SECURITY_ROLE = "security-officer"
"""Who hears of refused secrets."""

OPERATOR_ROLE = "it"
"""Who runs the platform: the holders of this role over the whole of it."""

_DAY = timedelta(days=1)


def tell_held(
    session: Session, config: Config, new: NewMessage, codes: Sequence[str], subject: str
) -> None:
    """A message was held: its sender, if ours, and its keepers are told; the keepers own it now."""
    now = new.accepted_at
    groups = awaiting_moderators(
        {"action": one.action.label, "code": one.code, "evidence": one.evidence}
        for one in new.verdict.findings
    )
    on_the_way = desks_for(
        session, new.agency_code, config.policy.hold_role, local_date(now), groups
    )
    desk = owner(on_the_way, now, now, deadline(config))
    until = deadline(config).of(now, now)
    letters = [*_to_sender(session, new, codes, subject, until)]
    author = Line("sender", str(new.envelope.mail_from or "<>"))
    recipients = Line("recipients", named([recipient.address for recipient in new.recipients]))
    lines = (author, recipients, Line("sent", moment(now)), Line("reference", new.queue_id))
    letters += [
        Letter(
            "keeper", keeper.address, keeper.mailbox_id, desk.agency_code,
            new.queue_id, lines, tuple(codes), until=until,
        )
        for desk in ([desk] if desk else [])
        for keeper in desk.keepers
    ]  # fmt: skip
    if desk is None:
        log.warning("held.without-keeper", queue_id=new.queue_id, agency=new.agency_code)
    send_about(session, config, new.queue_id, letters, now)
    ledger.record(session, assigned(new.queue_id, new.agency_code, desk, until, now))


def assigned(
    queue_id: str, agency_code: str, desk: Desk | None, until: datetime, now: datetime
) -> HeldAssigned:
    """That these decide from now on; without a desk, that nobody can."""
    return HeldAssigned(
        at=now,
        message_id=queue_id,
        agency_code=agency_code,
        actor="holding",
        role=desk.role if desk else "",
        desk=desk.agency_code if desk else "",
        until=until.isoformat(),
        told=[keeper.address for keeper in desk.keepers] if desk else [],
    )


def _to_sender(
    session: Session, new: NewMessage, codes: Sequence[str], subject: str, until: datetime
) -> Iterable[Letter]:
    login = new.envelope.login
    sender = mailbox(session, login.key) if login else None
    if sender is None:
        return
    lines = (
        Line("subject", subject),
        Line("sent", moment(new.accepted_at)),
        Line("recipients", named([recipient.address for recipient in new.recipients])),
        Line("reference", new.queue_id),
    )
    findings = tuple(f for f in new.verdict.findings if f.action >= Action.HOLD)
    yield Letter(
        "held", sender.address, sender.mailbox_id, new.agency_code,
        subject, lines, tuple(codes), findings=findings, until=until,
    )  # fmt: skip


def tell_secret(session: Session, config: Config, refused: MessageRefused) -> None:
    """A message with a mark of secrecy was refused: the agency's security officers are told."""
    nearest = desks_for(session, refused.agency_code, SECURITY_ROLE, local_date(refused.at))[:1]
    lines = (
        Line("sender", refused.mail_from or "<>"),
        Line("sent", moment(refused.at)),
        Line("mark", ", ".join(refused.marks)),
        Line("reference", refused.message_id),
    )
    letters = [
        Letter(
            "secret", keeper.address, keeper.mailbox_id, desk.agency_code,
            refused.message_id, lines, (refused.code,),
        )
        for desk in nearest
        for keeper in desk.keepers
    ]  # fmt: skip
    if not letters:
        log.warning("secret.without-officer", queue_id=refused.message_id)
    send_about(session, config, refused.message_id, letters, refused.at)


def tell_asked(
    session: Session,
    config: Config,
    desk: Desk | None,
    queue_id: str,
    by: Intervention,
    until: datetime,
) -> None:
    """Somebody whose mail is held asks for its release: those who decide now are told."""
    lines = (Line("asker", by.actor), Line("reason", by.reason), Line("reference", queue_id))
    if desk is None:
        log.warning("held.without-keeper", queue_id=queue_id)
    letters = _to_desk("asked", desk, queue_id, lines, until=until)
    send_about(session, config, queue_id, letters, by.at)


def tell_wrong(
    session: Session, config: Config, desk: Desk | None, code: str, queue_id: str, by: Intervention
) -> None:
    """Somebody says that a rule struck wrongly: those who keep it in their agency are told."""
    reference = (Line("reference", queue_id),) if queue_id else ()
    lines = (Line("asker", by.actor), Line("reason", by.reason), *reference)
    if desk is None:
        log.warning("wrong.without-keeper", queue_id=queue_id, code=code)
    letters = _to_desk("wrong", desk, code, lines, codes=(code,))
    send_about(session, config, queue_id, letters, by.at)


def tell_decided(
    session: Session, config: Config, kind: LetterKind, queue_id: str, login: str, by: Intervention
) -> None:
    """The sender, if ours, hears what became of the held message, and why."""
    sender = mailbox(session, login) if login else None
    if sender is None:
        return
    lines = (Line("reason", by.reason), Line("reference", queue_id))
    letter = Letter(kind, sender.address, sender.mailbox_id, "", queue_id, lines)
    send_about(session, config, queue_id, [letter], by.at)


def tell_stale(session: Session, config: Config, made_at: datetime, now: datetime) -> bool:
    """The scanner's signatures are stale: who runs the platform is told, once a day. Whether now."""
    again = select(EventRow).where(
        EventRow.kind == ScannerStale.kind, col(EventRow.at) > now - _DAY
    )
    if session.exec(again).first() is not None:
        return False
    days = (now - made_at).days
    desk = next(iter(desks_for(session, "", OPERATOR_ROLE, local_date(now))), None)
    lines = (Line("scanner", config.scanner.clamd), Line("made", f"{made_at:%d/%m/%Y}"))
    told = send_about(session, config, "", _to_desk("stale", desk, str(days), lines), now)
    if desk is None:
        log.warning("scanner.without-operator", days=days)
    event = ScannerStale(
        at=now, actor="scheduler", made_at=made_at.isoformat(), days=days, told=told
    )
    ledger.record(session, event)
    return True


def _to_desk(
    kind: LetterKind,
    desk: Desk | None,
    subject: str,
    lines: tuple[Line, ...],
    *,
    codes: tuple[str, ...] = (),
    until: datetime | None = None,
) -> list[Letter]:
    return [
        Letter(
            kind, keeper.address, keeper.mailbox_id, desk.agency_code,
            subject, lines, codes, until=until,
        )
        for desk in ([desk] if desk else [])
        for keeper in desk.keepers
    ]  # fmt: skip
