"""Who signs in: passwords, app passwords, and what holds guessing back.

Unknown names, closed mailboxes and wrong passwords take the same time and get the same answer.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import case, delete, func
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.clock import Clock, local_date
from mailgov.config import Limits, SignIn
from mailgov.db import Database
from mailgov.db.models import Credential, KnownPlace, Mailbox, SignInFailure
from mailgov.db.upsert import add_or_change
from mailgov.directory import queries, tokens
from mailgov.directory.credentials import PasswordChecks
from mailgov.directory.guard import DAY, Bound, Guard, Try, network_of
from mailgov.directory.tokens import SignInKey
from mailgov.errors import InputError, NotAllowed, Unavailable
from mailgov.ledger.events import SignIn as SignInEvent
from mailgov.ledger.events import SignInsHeld

Channel = Literal["web", "smtp", "imap", "dav"]

# How often a successful sign-in of a mail program is written. They sign in again and again; a write
# for each would make reading cost as much as sending.
NOTED_EVERY = timedelta(hours=1)
_PLACE_NOTED_EVERY = timedelta(days=1)
_HELD_TOLD_EVERY = timedelta(hours=1)
_PRUNED_EVERY = timedelta(minutes=10)
_MOST_FAILURES = 200_000  # rows kept; a flood of made-up names must not fill the disk
_MOST_PLACES = 50  # networks and browsers known of one mailbox
_MOST_HELD = 10_000  # remembered as told


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody at the door, with what they say."""

    name: str
    password: str = field(repr=False)
    channel: Channel = "web"
    ip: str = ""
    browser: str = ""  # the token that a browser got at an earlier sign-in


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says before the password is looked at. The name may be nobody's."""

    key: str  # Address.key; what was typed where that is no address
    login: queries.Login | None = None
    app: queries.AppPassword | None = None  # the one whose digest the password has
    guess: Try = field(default_factory=lambda: Try("", ""))


@dataclass(frozen=True, slots=True)
class Scram:
    """An exchange under way: what the client is told, and which app passwords it may prove."""

    salt: bytes
    iterations: int
    apps: tuple[queries.AppPassword, ...]  # each with its verifier
    attempt: Attempt
    known: Known


class SignIns:
    """Checks of passwords for every face of the platform."""

    def __init__(self, database: Database, clock: Clock, limits: Limits, settings: SignIn) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._checks = PasswordChecks(limits.password_checks, limits.password_checks_waiting)
        self._guard = Guard(limits)
        self._stand_in = SignInKey(secrets.token_hex(32))  # before the first secret of anybody
        self._pruned_at = clock() - _PRUNED_EVERY
        self._told: dict[tuple[str, str], datetime] = {}

    def close(self) -> None:
        """End the threads that check passwords."""
        self._checks.close()

    async def open(self, attempt: Attempt) -> str | None:
        """The mailbox whose password it is, or None. In the web a second factor may still be due.

        Raises NotAllowed `sign-in-later` when too much was guessed, Unavailable `too-busy` or
        `database-unavailable`.
        """
        known = await self._known(attempt)
        if _opens(known, attempt.channel):
            await self._welcome(attempt, known)
            return known.key
        now = self._clock()
        if bound := self._guard.begin(known.guess, now):
            await self._tell_held(attempt, known, bound)
            raise NotAllowed("sign-in-later")
        try:
            right = await self._checks.check(self._stored(known, attempt.channel), attempt.password)
        except Unavailable:
            self._guard.forgive(known.guess)
            raise
        if not right:
            await self.failed(attempt, known)
            return None
        self._guard.forgive(known.guess)
        if not (attempt.channel == "web" and known.login and known.login.second_factor):
            await self._welcome(attempt, known)
        return known.key

    async def begin(self, attempt: Attempt) -> Known:
        """Charge a guess of another kind, a code say. Then `failed` or `succeeded` must be called.

        Raises NotAllowed `sign-in-later`.
        """
        known = await self._known(attempt)
        if bound := self._guard.begin(known.guess, self._clock()):
            await self._tell_held(attempt, known, bound)
            raise NotAllowed("sign-in-later")
        return known

    async def succeeded(self, attempt: Attempt, known: Known) -> None:
        """The guess was right, and the sign-in is whole."""
        self._guard.forgive(known.guess)
        await self._welcome(attempt, known)

    async def failed(self, attempt: Attempt, known: Known) -> None:
        """The guess was wrong: it counts for a day, and stands in the ledger."""
        now = self._clock()
        prune = now - self._pruned_at >= _PRUNED_EVERY
        if prune:
            self._pruned_at = now

        def write(session: Session) -> None:
            _count_failure(session, known, now)
            if prune:
                _prune(session, now)
            record(session, attempt, now, success=False)

        await self._database.submit(write)

    async def permits(self, attempt: Attempt) -> bool:
        """Whether a right password counts now, for servers that check it themselves."""
        known = await self._known(attempt)
        if bound := self._guard.begin(known.guess, self._clock()):
            await self._tell_held(attempt, known, bound)
            return False
        self._guard.forgive(known.guess)
        return True

    async def checked_elsewhere(
        self, attempt: Attempt, *, success: bool, app_password: int | None = None
    ) -> None:
        """Note what came of a sign-in at a server that checks passwords itself."""
        known = await self._known(attempt)
        if not success:
            self._guard.begin(known.guess, self._clock())
            await self.failed(attempt, known)
        elif known.login is not None:
            found = await self._database.query(
                lambda session: (
                    queries.app_passwords(session, known.login.mailbox_id)
                    if known.login and app_password
                    else []
                )
            )
            app = next((one for one in found if one.credential_id == app_password), None)
            await self._welcome(attempt, replace(known, app=app))

    async def scram(self, attempt: Attempt) -> "Scram":
        """What SCRAM-SHA-256 (RFC 5802, RFC 7677) needs before the client has proved anything.

        Only app passwords can be used: people's passwords are kept in no form that would do. Nobody's
        name gets a salt like any other. Then `proved` must be called. Raises NotAllowed
        `sign-in-later`.
        """
        known = await self.begin(attempt)

        def read(session: Session) -> tuple[SignInKey, list[queries.AppPassword]]:
            ours = tokens.find_key(session) or self._stand_in
            if known.login is None or known.login.state != "active":
                return ours, []
            return ours, queries.app_passwords(session, known.login.mailbox_id)

        ours, found = await self._database.query(read)
        apps = tuple(app for app in found if attempt.channel in app.scopes.split())
        return Scram(ours.scram_salt(known.key), tokens.ITERATIONS, apps, attempt, known)

    async def proved(self, scram: "Scram", app: queries.AppPassword | None) -> str | None:
        """The mailbox, when the client has proved that it knows that app password; None counts."""
        if app is None:
            await self.failed(scram.attempt, scram.known)
            return None
        await self.succeeded(scram.attempt, replace(scram.known, app=app))
        return scram.known.key

    async def certified(self, attempt: Attempt, *, good: bool) -> str | None:
        """The mailbox, when its owner's certificate is good and it is active; anything else counts.

        Certificates are nobody's guess, but who is held off is held off with them too. Raises
        NotAllowed `sign-in-later`.
        """
        known = await self.begin(attempt)
        login = known.login
        if not good or login is None or not is_open(login.state, attempt.channel):
            await self.failed(attempt, known)
            return None
        # No password was used, and there need not be one.
        unused = replace(login, credential_id=None, last_used_at=None)
        await self.succeeded(attempt, replace(known, login=unused))
        return known.key

    def _stored(self, known: Known, channel: Channel) -> str | None:
        """The password's hash, where the password may open this channel; else None."""
        login = known.login
        if login is None or not is_open(login.state, channel):
            return None
        programs = self._settings.programs
        refused = programs == "app-password" or (
            programs == "until-second-factor" and login.second_factor
        )
        return None if channel != "web" and refused else login.stored

    async def _known(self, attempt: Attempt) -> Known:
        key = _key(attempt.name)
        now = self._clock()
        since = now - timedelta(days=self._settings.known_days)
        return await self._database.query(lambda session: _read(session, attempt, key, now, since))

    async def _welcome(self, attempt: Attempt, known: Known) -> None:
        login = known.login
        assert login is not None
        now, used = self._clock(), known.app or login
        quiet = attempt.channel in ("imap", "dav")
        noted = used.last_used_at is not None and now - used.last_used_at < NOTED_EVERY
        if noted and login.activated_at is not None and quiet:
            return
        network, browser = network_of(attempt.ip), attempt.browser

        def write(session: Session) -> None:
            if not (noted and login.activated_at):
                _note_use(session, login, used.credential_id, attempt.ip, now)
            if attempt.ip:
                _note_place(session, login.mailbox_id, "network", network, now)
            if browser:
                digest = tokens.make_key(session).digest("browser", browser)
                _note_place(session, login.mailbox_id, "browser", digest, now)
            record(session, attempt, now, success=True)

        await self._database.submit(write)

    async def _tell_held(self, attempt: Attempt, known: Known, bound: Bound) -> None:
        """Into the ledger, once an hour for each account or network: a flood writes nothing."""
        now = self._clock()
        whom = (bound, known.guess.network if bound == "network-minute" else known.guess.name)
        if now - self._told.get(whom, now - _HELD_TOLD_EVERY) < _HELD_TOLD_EVERY:
            return
        if len(self._told) >= _MOST_HELD:
            self._told.clear()
        self._told[whom] = now

        def write(session: Session) -> None:
            code = queries.agency_code(session, known.key)
            mailbox = known.key if code else ""
            ledger.record(
                session,
                SignInsHeld(
                    at=now,
                    mailbox=mailbox,
                    agency_code=code,
                    channel=attempt.channel,
                    bound=bound,
                    network=known.guess.network,
                ),
            )

        await self._database.submit(write)


def record(session: Session, attempt: Attempt, now: datetime, *, success: bool) -> None:
    """Write a sign-in, or an attempt, into the ledger, in the caller's transaction."""
    key = _key(attempt.name)
    code = queries.agency_code(session, key)
    # What was typed as a name may be a password: names that are not ours are not kept.
    mailbox = key if code else ""
    ledger.record(
        session,
        SignInEvent(
            at=now,
            mailbox=mailbox,
            actor=mailbox,
            agency_code=code,
            channel=attempt.channel,
            success=success,
            ip=attempt.ip,
        ),
    )


def _key(name: str) -> str:
    """The form in which addresses are kept; of what is no address, its beginning without case."""
    try:
        return Address.parse(name).key
    except InputError:
        return name[:254].casefold()


def is_open(state: str, channel: Channel) -> bool:
    """Whether a mailbox in this state opens by this way: who may only read signs in where one reads.

    A suspended one is read in the webmail alone, where the page says why and whom to ask.
    """
    if state == "active":
        return True
    return (channel == "web" and state in queries.READ_ONLY) or (channel, state) == (
        "imap",
        "reading",
    )


def _opens(known: Known, channel: Channel) -> bool:
    """Whether it is an app password that opens this channel now."""
    active = known.login is not None and known.login.state == "active"
    return active and known.app is not None and channel in known.app.scopes.split()


def _read(
    session: Session, attempt: Attempt, key: str, now: datetime, known_since: datetime
) -> Known:
    login = queries.login(session, key, local_date(now))
    ours = tokens.find_key(session)
    network = network_of(attempt.ip)
    if ours is None:
        return Known(key, login, guess=Try(key, network))
    app = None
    if login is not None and tokens.may_be_app_password(attempt.password):
        digest = ours.app_password(attempt.password)
        app = queries.app_password(session, login.mailbox_id, digest)
    networks, browsers = _places(session, login, known_since)
    browser = ours.digest("browser", attempt.browser) if attempt.browser else ""
    guess = Try(
        key,
        network,
        browser=browser if browser in browsers else "",
        known_network=network in networks,
        failures=_failures(session, ours, key, now),
        known_networks=networks,
    )
    return Known(key, login, app, guess)


def _places(
    session: Session, login: queries.Login | None, since: datetime
) -> tuple[frozenset[str], frozenset[str]]:
    """Networks and browsers of the owner. Nobody's name costs the same look-up."""
    rows = session.exec(
        select(KnownPlace.kind, KnownPlace.value).where(
            KnownPlace.mailbox_id == (login.mailbox_id if login else 0),
            KnownPlace.seen_at >= since,
        )
    ).all()
    networks = frozenset(value for kind, value in rows if kind == "network")
    return networks, frozenset(value for kind, value in rows if kind == "browser")


def _failures(session: Session, ours: SignInKey, key: str, now: datetime) -> Mapping[str, int]:
    rows = session.exec(
        select(SignInFailure.network, SignInFailure.failures).where(
            SignInFailure.name_hash == ours.digest("name", key), SignInFailure.since > now - DAY
        )
    )
    return dict(rows.all())


def _count_failure(session: Session, known: Known, now: datetime) -> None:
    name_hash = tokens.make_key(session).digest("name", known.key)
    over = col(SignInFailure.since) <= now - DAY
    add_or_change(
        session,
        SignInFailure,
        {
            "name_hash": name_hash,
            "network": known.guess.network,
            "failures": 1,
            "since": now,
        },
        unique=("name_hash", "network"),
        changes={
            "failures": case((over, 1), else_=col(SignInFailure.failures) + 1),
            "since": case((over, now), else_=col(SignInFailure.since)),
        },
    )


def _prune(session: Session, now: datetime) -> None:
    """Forget the days before, and the oldest where a flood has left too many."""
    rows = session.connection()
    rows.execute(delete(SignInFailure).where(col(SignInFailure.since) <= now - DAY))
    count = session.exec(select(func.count()).select_from(SignInFailure)).one()
    if count > _MOST_FAILURES:
        oldest = select(SignInFailure.since).order_by(col(SignInFailure.since))
        limit = session.exec(oldest.offset(count - _MOST_FAILURES).limit(1)).one()
        rows.execute(delete(SignInFailure).where(col(SignInFailure.since) < limit))


def _note_use(
    session: Session, login: queries.Login, credential_id: int | None, ip: str, now: datetime
) -> None:
    if credential_id is not None:  # None: a certificate
        credential = session.get_one(Credential, credential_id)
        credential.last_used_at, credential.last_used_from = now, ip
    mailbox = session.get_one(Mailbox, login.mailbox_id)
    mailbox.activated_at = mailbox.activated_at or now


def _note_place(session: Session, mailbox_id: int, kind: str, value: str, now: datetime) -> None:
    rows = session.exec(
        select(KnownPlace)
        .where(KnownPlace.mailbox_id == mailbox_id)
        .order_by(col(KnownPlace.seen_at))
    ).all()
    tokens.make_key(session)  # without it places are not looked up
    found = next((row for row in rows if (row.kind, row.value) == (kind, value)), None)
    if found is not None and now - found.seen_at < _PLACE_NOTED_EVERY:
        return
    if found is None:
        for old in rows[: max(0, len(rows) - _MOST_PLACES + 1)]:
            session.delete(old)
    add_or_change(
        session,
        KnownPlace,
        {"mailbox_id": mailbox_id, "kind": kind, "value": value, "seen_at": now},
        unique=("mailbox_id", "kind", "value"),
        changes={"seen_at": now},
    )
