"""The IMAP server for a demonstration and a small office: listener, sign-in, open mailboxes.

Plain on loopback, TLS from the first byte elsewhere; there is no STARTTLS.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

from mailgov.addresses import Address
from mailgov.clock import Clock, utc_now
from mailgov.config import Config
from mailgov.errors import ConfigError, NotAllowed
from mailgov.imap.account import FolderError, SharedAccount
from mailgov.imap.session import Admitted, Bounds, Session
from mailgov.imap.wire import LINE_BYTES
from mailgov.logs import logger
from mailgov.mailstore import layout, master, reach
from mailgov.mailstore.acts import Act, Kind
from mailgov.mailstore.reach import is_loopback, split
from mailgov.mailstore.users import Change

LARGE_LITERALS = 4  # messages being received at a time that are held in memory
POLL_SECONDS = 2.0
STOP_SECONDS = 5.0

log = logger("imap")


class Holder(Protocol):
    """Somebody with a mailbox."""

    @property
    def address(self) -> str:
        """The mailbox's own address, in its key form."""

    @property
    def state(self) -> str:
        """`active` lets in; `reading`, and for the webmail `suspended`, to read only."""


class Box(Protocol):
    """A mailbox that mail is kept in."""

    @property
    def quota_mb(self) -> int:
        """Space granted; 0 for no limit."""

    @property
    def home(self) -> str:
        """The address whose folder holds the mail; empty for the mailbox's own."""


class Accounts(Protocol):
    """The directory, as the server needs it. Every method raises Unavailable."""

    async def sign_in(
        self, name: str, password: str, *, channel: Literal["imap"], ip: str
    ) -> Holder | None:
        """Who signs in; None for a wrong name or password.

        Raises NotAllowed `sign-in-later` when too much was guessed.
        """

    async def account(self, address: str) -> Holder | None:
        """The holder of an address, in any state."""

    async def find_mailbox(self, address: Address) -> Box | None:
        """The mailbox of an address."""


class ImapServer:
    """One listener and the mailboxes that are open now."""

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        *,
        poll_seconds: float = POLL_SECONDS,
        on_act: Callable[[Act], None] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._on_act = on_act
        self._clock = clock
        self._config = config
        self._accounts = accounts
        limits = config.limits
        self._bounds = Bounds(limits.failed_logins, limits.errors, poll_seconds)
        self._large = asyncio.Semaphore(LARGE_LITERALS)
        self._server: asyncio.Server | None = None
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._open: dict[Path, SharedAccount] = {}
        self._opening = asyncio.Lock()
        self._key = b""

    async def start(self) -> str:
        """Listen; returns `host:port`.

        Raises Unavailable `port-busy` or `port-unavailable`, and where TLS is needed ConfigError `certificate-missing` or
        `certificate-not-valid`.
        """
        self._key = await asyncio.to_thread(master.key, self._config.data.path)
        host, port = split(self._config.mailstore.imap)
        tls = None if is_loopback(host) else await asyncio.to_thread(_tls, self._config)
        try:
            self._server = await asyncio.start_server(
                self._connected, host, port, limit=LINE_BYTES, ssl=tls
            )
        except OSError as exc:
            raise reach.not_bound(exc, self._config.mailstore.imap) from exc
        port = self._server.sockets[0].getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        """Say good-bye to every session and let go of the files."""
        if self._server is not None:
            self._server.close()
        await self._end(list(self._sessions), "the server stops")

    async def apply(self, change: Change) -> None:
        """End the sessions of those who may no longer read mail, or have a new password."""
        ended = [session for session in self._sessions if session.address in change.ended]
        await self._end(ended, "sign in again")

    async def wait(self) -> None:
        """Return when the server was stopped."""
        assert self._server is not None
        await self._server.wait_closed()

    async def _end(self, sessions: list[Session], why: str) -> None:
        tasks = [self._sessions[session] for session in sessions]
        for session, task in zip(sessions, tasks, strict=True):
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await session.bye(why)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._sessions) >= self._config.limits.connections:
            writer.write(b"* BYE too many sessions\r\n")
            writer.close()
            return
        session = Session(reader, writer, self, self._bounds, self._large)
        task = asyncio.create_task(self._serve(session, writer), name="imap session")
        self._sessions[session] = task

    async def _serve(self, session: Session, writer: asyncio.StreamWriter) -> None:
        try:
            await session.run()
        except Exception:
            log.exception("session.failed")
            await session.bye("not now, try again")
        finally:
            del self._sessions[session]
            writer.close()

    # The gate of the sessions

    async def admit(self, user: str, password: str, ip: str) -> Admitted | None:
        """What a user gets; None for a wrong name or password.

        Raises FolderError `UNAVAILABLE` when too many passwords were wrong, or `LIMIT`.
        """
        try:
            holder = await self._holder(user, password, ip)
        except NotAllowed as exc:
            raise FolderError("UNAVAILABLE", "too many wrong passwords, try again later") from exc
        if holder is None or holder.state not in self._states(user):
            return None
        address = Address.parse(holder.address)
        box = await self._accounts.find_mailbox(address)
        if box is None:
            return None
        most = self._config.limits.connections_per_user
        if sum(s.address == holder.address for s in self._sessions) >= most:
            raise FolderError("LIMIT", "there are too many sessions of this mailbox")
        kept_as = Address.parse(box.home) if box.home else address
        home = layout.home(self._config.data.path, kept_as)
        async with self._opening:
            account = self._open.get(home)
            if account is None:
                account = self._open[home] = SharedAccount(home)
            account.sessions += 1
        account.quota_bytes = box.quota_mb << 20
        return Admitted(holder.address, account, read_only=holder.state != "active")

    def _states(self, user: str) -> tuple[str, ...]:
        """States of a mailbox in which it opens: to the webmail also when suspended."""
        by_webmail = master.SEPARATOR in user
        return ("active", "reading", "suspended") if by_webmail else ("active", "reading")

    async def _holder(self, user: str, password: str, ip: str) -> Holder | None:
        address, separator, opener = user.rpartition(master.SEPARATOR)
        if not separator:
            return await self._accounts.sign_in(user, password, channel="imap", ip=ip)
        if opener != master.USER or not master.opens(self._key, password, self._clock()):
            return None
        return await self._accounts.account(address)

    def acted(self, user: str, address: str, kind: Kind, folder: str) -> None:
        """Tell of what somebody did; what the webmail does it tells itself."""
        if self._on_act is not None and master.SEPARATOR not in user:
            self._on_act(Act(address, kind, folder, ""))

    async def leave(self, account: SharedAccount) -> None:
        """A session has ended; its mailbox is closed when it was the last."""
        async with self._opening:
            account.sessions -= 1
            if account.sessions == 0:
                del self._open[account.home]
                await account.close()


def _tls(config: Config) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (config.certificate, config.private_key):
        if not path.is_file():
            raise ConfigError("certificate-missing", file=path)
    try:
        context.load_cert_chain(config.certificate, config.private_key)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise ConfigError("certificate-not-valid", file=config.certificate, reason=exc) from exc
    return context
