"""The mail store: Dovecot where it is installed, else the embedded IMAP server."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Protocol

from mailgov.directory.sign_in import Attempt, SignIns
from mailgov.directory.tokens import make_key
from mailgov.errors import Unavailable
from mailgov.imap import ImapServer
from mailgov.logs import logger
from mailgov.mailstore import reach
from mailgov.mailstore.dovecot import DovecotChild, usable
from mailgov.mailstore.policy import PolicyServer
from mailgov.mailstore.users import Change, Users
from mailgov.mailstore.uses import Told, Uses
from mailgov.migration import engines
from mailgov.services import Services

USES_SECONDS = 600.0  # how often acts of use are written
FOLLOW_SECONDS = 1.0  # how long a new mailbox waits for its first sign-in, at most

log = logger("mailstore")


class Engine(Protocol):
    """Whoever serves IMAP."""

    async def start(self) -> str:
        """Listen; returns `host:port`."""

    async def apply(self, change: Change) -> None:
        """Take over the users as they are now; end the sessions of those who are out."""

    async def wait(self) -> None:
        """Return when it was stopped; raise what ended it otherwise."""

    async def stop(self) -> None:
        """End every session and give the port back."""


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Serve mailboxes until `stop`.

    Raises Unavailable `port-busy`, `mailstore-engine-missing` or `mailstore-start-failed`, and
    ConfigError for a data folder or a certificate that is no good.
    """
    uses = Uses(services.database, services.clock)
    engine = await _engine(services, uses.note)
    users = Users(services.database, services.config.sign_in.programs)
    try:
        if change := await users.refresh():
            await engine.apply(change)
        address = await engine.start()
        await asyncio.to_thread(reach.publish, services.config.data.path, address)
        announce("imap", address)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(_follow(users, engine))
            watching = tasks.create_task(engine.wait())
            writing = tasks.create_task(_write(uses))
            await stop.wait()
            writing.cancel()
            following.cancel()
            watching.cancel()
    finally:
        await engine.stop()
        await uses.write()


async def _engine(services: Services, told: Told) -> Engine:
    wanted = services.config.mailstore.engine
    if wanted == "auto":
        wanted = "dovecot" if await asyncio.to_thread(usable, services.config) else "embedded"
    log.info("engine", name=wanted)
    await _carry_books(services, wanted)
    return await _ENGINES[wanted](services, told)


async def _carry_books(services: Services, engine: engines.Engine) -> None:
    """UIDs and what else the engine before had noted. Raises Unavailable `mailstore-start-failed`."""
    try:
        await asyncio.to_thread(engines.follow, services.config.data.path, engine)
    except (OSError, sqlite3.Error) as exc:
        raise Unavailable("mailstore-start-failed", reason=str(exc)) from exc


async def _embedded(services: Services, told: Told) -> Engine:
    return ImapServer(services.config, services.directory, on_act=told)


async def _dovecot(services: Services, told: Told) -> Engine:
    key = await services.database.submit(make_key)
    policy = PolicyServer(_Bounds(services.directory.sign_ins))
    return DovecotChild(services.config, key.of("app-password").decode(), policy, on_act=told)


class _Bounds:
    """The directory's bounds on guessing, as Dovecot asks for them."""

    def __init__(self, sign_ins: SignIns) -> None:
        self._sign_ins = sign_ins

    async def permits(self, name: str, ip: str) -> bool:
        return await self._sign_ins.permits(Attempt(name, "", "imap", ip))

    async def noted(self, name: str, ip: str, *, success: bool, app_password: int | None) -> None:
        attempt = Attempt(name, "", "imap", ip)
        await self._sign_ins.checked_elsewhere(attempt, success=success, app_password=app_password)


_ENGINES: dict[str, Callable[[Services, Told], Awaitable[Engine]]] = {
    "dovecot": _dovecot,
    "embedded": _embedded,
}


async def _write(uses: Uses) -> None:
    """Write acts of use now and then, and what is left when it ends elsewhere."""
    while True:
        await asyncio.sleep(USES_SECONDS)
        await uses.write()


async def _follow(users: Users, engine: Engine) -> None:
    """Keep the engine's users as the directory has them; trouble with the database passes."""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            if change := await users.refresh():
                await engine.apply(change)
        except Unavailable as exc:
            log.warning("directory.unavailable", cause=str(exc))
