"""The second factor of a person: time-based codes (RFC 6238) and recovery codes on paper.

Codes of six digits for 30 seconds; the one before and the one after count too, for clocks that
differ. A code is taken once. The secret is kept encrypted, recovery codes as keyed digests.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from mailgov.db.models import Agency, Mailbox, RecoveryCode, SecondFactor, WebSession
from mailgov.directory import tokens
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning.mailboxes import get_mailbox
from mailgov.directory.sealed import SecretBox
from mailgov.errors import Conflict, InputError

RECOVERY_CODES = 10
DRIFT_STEPS = 1  # RFC 6238, 5.2: at most one step of delay is advised; clocks go ahead as well
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_GROUPS, _SIGNS = 4, 4  # 80 bits


def begin(session: Session, act: Act, address: str, box: SecretBox) -> str:
    """A new secret in base32, to be confirmed by a code of it; until then it asks nobody for codes.

    One that was begun before and not confirmed is kept. Raises NotFound `mailbox-unknown`, Conflict
    `second-factor-on`, Unavailable `second-factor-key`.
    """
    mailbox = get_mailbox(session, address)
    row = session.get(SecondFactor, mailbox.id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("second-factor-on", address=mailbox.address)
    if row is not None:
        return _secret(row, box)
    assert mailbox.id is not None
    secret = pyotp.random_base32()
    sealed = box.seal(secret.encode(), _context(mailbox.id))
    session.add(SecondFactor(mailbox_id=mailbox.id, secret=sealed, created_at=act.at))
    return secret


def enrolment_uri(secret: str, address: str, issuer: str) -> str:
    """What the QR code says to the program that makes the codes."""
    return pyotp.TOTP(secret).provisioning_uri(name=address, issuer_name=issuer)


def confirm(session: Session, act: Act, address: str, code: str, box: SecretBox) -> Sequence[str]:
    """Put the second factor in force; returns recovery codes, which can be shown this once.

    Raises NotFound `mailbox-unknown`, Conflict `second-factor-on`, InputError `second-factor-code`.
    """
    mailbox = get_mailbox(session, address)
    row = session.get(SecondFactor, mailbox.id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("second-factor-on", address=mailbox.address)
    step = _step(row, code, act.at, box) if row is not None else 0
    if row is None or not step:
        raise InputError("second-factor-code")
    row.confirmed_at, row.last_step = act.at, step
    session.add(row)
    codes = _new_recovery_codes(session, mailbox)
    _recorded(session, act, "add", mailbox, {"second_factor": ("", "on")})
    return codes


def renew_recovery_codes(session: Session, act: Act, address: str) -> Sequence[str]:
    """Ten new recovery codes; the old ones are void. Raises NotFound `mailbox-unknown`."""
    mailbox = get_mailbox(session, address)
    codes = _new_recovery_codes(session, mailbox)
    _recorded(session, act, "edit", mailbox, {"recovery_codes": ("set", "set anew")})
    return codes


def recovery_codes_left(session: Session, mailbox_id: int) -> int:
    """How many recovery codes are not used."""
    return session.exec(
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.mailbox_id == mailbox_id, col(RecoveryCode.used_at).is_(None))
    ).one()


def take_code(session: Session, mailbox_id: int, code: str, now: datetime, box: SecretBox) -> bool:
    """Whether it is a code of the generator or a recovery code; either is good for once.

    The marks that make it so are written in the caller's transaction. Raises Unavailable
    `second-factor-key`.
    """
    row = session.get(SecondFactor, mailbox_id, with_for_update=True)
    if row is None or row.confirmed_at is None:
        return False
    typed = "".join(code.split()).lower()
    if step := _step(row, typed, now, box):
        row.last_step = step
        session.add(row)
        return True
    return _take_recovery_code(session, mailbox_id, typed, now)


def remove(session: Session, act: Act, address: str) -> Change:
    """Take the second factor off: by the owner, who has shown a code. Raises NotFound."""
    mailbox = get_mailbox(session, address)
    row = session.get(SecondFactor, mailbox.id)
    if row is None or row.confirmed_at is None:
        return _recorded(session, act, "remove", mailbox, {})
    session.connection().execute(
        delete(RecoveryCode).where(col(RecoveryCode.mailbox_id) == mailbox.id)
    )
    session.delete(row)
    return _recorded(session, act, "remove", mailbox, {"second_factor": ("on", "")})


def reset_second_factor(session: Session, act: Act, address: str) -> Change:
    """Take the second factor off for somebody who has lost it, and end the open sign-ins.

    `act.reason` is required. Raises NotFound `mailbox-unknown`, InputError `reason-missing`.
    """
    if not act.reason.strip():
        raise InputError("reason-missing", address=address)
    change = remove(session, act, address)
    if not change.nothing:
        mailbox = get_mailbox(session, address)
        session.connection().execute(
            update(WebSession)
            .where(col(WebSession.mailbox_id) == mailbox.id, col(WebSession.ended_at).is_(None))
            .values(ended_at=act.at)
        )
    return change


def _context(mailbox_id: int) -> str:
    return f"second factor of mailbox {mailbox_id}"


def _secret(row: SecondFactor, box: SecretBox) -> str:
    return box.open(row.secret, _context(row.mailbox_id)).decode()


def _step(row: SecondFactor, code: str, now: datetime, box: SecretBox) -> int:
    """The step whose code it is, if it is near and none so late was taken; else 0."""
    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return 0
    generator = pyotp.TOTP(_secret(row, box))
    present = generator.timecode(now)
    found = 0
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        if hmac.compare_digest(generator.generate_otp(step), code) and step > row.last_step:
            found = step
    return found


def _new_recovery_codes(session: Session, mailbox: Mailbox) -> list[str]:
    assert mailbox.id is not None
    session.connection().execute(
        delete(RecoveryCode).where(col(RecoveryCode.mailbox_id) == mailbox.id)
    )
    key = tokens.make_key(session)
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_SIGNS)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]
    for code in codes:
        session.add(RecoveryCode(mailbox_id=mailbox.id, hash=_digest(key, code)))
    return codes


def _digest(key: tokens.SignInKey, code: str) -> str:
    return key.digest("recovery-code", code.replace("-", ""))


def _take_recovery_code(session: Session, mailbox_id: int, code: str, now: datetime) -> bool:
    row = session.exec(
        select(RecoveryCode).where(
            RecoveryCode.mailbox_id == mailbox_id,
            RecoveryCode.hash == _digest(tokens.make_key(session), code),
            col(RecoveryCode.used_at).is_(None),
        )
    ).first()
    if row is None:
        return False
    row.used_at = now
    session.add(row)
    return True


def _recorded(
    session: Session, act: Act, verb: str, mailbox: Mailbox, fields: dict[str, tuple[str, str]]
) -> Change:
    code = session.get_one(Agency, mailbox.agency_id).code
    address = mailbox.address
    change = Change("second-factor", verb, address, fields, agency_code=code, mailbox=address)
    return recorded(session, act, change)
