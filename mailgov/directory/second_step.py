"""The second step of signing in to the webmail: a code after the right password.

Between the steps the browser holds a token that names the account and ends after five minutes, or
when the password is changed. It opens nothing; it only lets codes be tried, under the same bounds
as passwords.
"""

import hmac
from datetime import date, datetime, timedelta

from sqlmodel import Session

from mailgov.clock import Clock
from mailgov.db import Database
from mailgov.directory import queries, tokens
from mailgov.directory.provisioning.second_factor import take_code
from mailgov.directory.sealed import SecretBox
from mailgov.directory.sign_in import Attempt, SignIns, is_open
from mailgov.errors import NotAllowed

STEP_LASTS = timedelta(minutes=5)


class SecondSteps:
    """Checks of codes. Every method raises Unavailable `database-unavailable`."""

    def __init__(self, database: Database, clock: Clock, sign_ins: SignIns, box: SecretBox) -> None:
        self._database = database
        self._clock = clock
        self._sign_ins = sign_ins
        self.box = box

    async def token(self, address: str) -> str:
        """What the browser holds between the steps. The password of the account was right."""
        expires = int((self._clock() + STEP_LASTS).timestamp())

        def work(session: Session) -> str:
            return _token(tokens.make_key(session), session, address, expires)

        return await self._database.submit(work)

    async def take(self, token: str, code: str, *, ip: str = "", browser: str = "") -> str | None:
        """The address that is signed in now; None when the code is wrong or was taken before.

        Raises NotAllowed `sign-in-expired` for a token that does not hold (any more),
        `sign-in-later` when too many codes were wrong; Unavailable `second-factor-key`.
        """
        now = self._clock()
        address = await self._database.query(lambda session: _address(session, token, now))
        if address is None:
            raise NotAllowed("sign-in-expired")
        attempt = Attempt(address, "", "web", ip, browser)
        known = await self._sign_ins.begin(attempt)
        login = known.login
        assert login is not None

        def work(session: Session) -> bool:
            return take_code(session, login.mailbox_id, code, now, self.box)

        if not is_open(login.state, attempt.channel) or not await self._database.submit(work):
            await self._sign_ins.failed(attempt, known)
            return None
        await self._sign_ins.succeeded(attempt, known)
        return address


def _token(key: tokens.SignInKey, session: Session, address: str, expires: int) -> str:
    # Which password it is does not depend on the day.
    login = queries.login(session, address, date.min)
    which = login.credential_id if login else 0
    mac = key.digest("second-step", f"{address}\n{expires}\n{which}")
    return f"{mac}.{expires}.{address}"


def _address(session: Session, token: str, now: datetime) -> str | None:
    _, _, rest = token.partition(".")
    until, _, address = rest.partition(".")
    key = tokens.find_key(session)
    if key is None or not (until.isascii() and until.isdigit() and len(until) < 12):
        return None
    wanted = _token(key, session, address, int(until))
    if int(until) < now.timestamp() or not hmac.compare_digest(wanted.encode(), token.encode()):
        return None
    return address
