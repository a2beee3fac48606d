"""One IMAP session: greeting, signing in, commands one after the other, IDLE (RFC 3501, RFC 2177).

The event loop reads and writes; whatever touches the disk runs in the thread of the mailbox.
"""

import asyncio
import base64
import binascii
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mailgov.errors import Unavailable
from mailgov.imap import commands
from mailgov.imap.account import FolderError, SharedAccount
from mailgov.imap.commands import Conversation
from mailgov.imap.names import NameNotValid
from mailgov.imap.search import CHARSETS, BadCharset
from mailgov.imap.wire import (
    BadCommand,
    Command,
    CommandReader,
    NotACommand,
    Refused,
    Scanner,
    TooLarge,
)
from mailgov.logs import logger
from mailgov.mailstore.acts import Kind

BEFORE_LOGIN = "IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN"
AFTER_LOGIN = (
    "IMAP4rev1 LITERAL+ ID IDLE NAMESPACE CHILDREN UIDPLUS MOVE UNSELECT SPECIAL-USE QUOTA"
)
LOGIN_SECONDS = 60.0  # from the greeting until somebody is signed in
IDLE_SECONDS = 1800.0  # RFC 3501, 5.4: no less than 30 minutes
WRITE_SECONDS = 180.0  # a client that takes nothing for so long is gone
_KEEPS_NUMBERS = ("FETCH", "STORE", "SEARCH")  # RFC 3501, 7.4.1

log = logger("imap")


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whose mailbox a session has, and whether it may change anything there."""

    address: str
    account: SharedAccount
    read_only: bool = False


class Gate(Protocol):
    """Who may come in, and to what. Owned by the session, answered by the server."""

    async def admit(self, user: str, password: str, ip: str) -> Admitted | None:
        """What a user gets; None for a wrong name or password.

        Raises Unavailable, and FolderError: `LIMIT` when the user has too many sessions,
        `UNAVAILABLE` when too many passwords were wrong.
        """

    async def leave(self, account: SharedAccount) -> None:
        """The session that was admitted has ended."""

    def acted(self, user: str, address: str, kind: Kind, folder: str) -> None:
        """Somebody who signed in as `user` did something to a message."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one session."""

    failed_logins: int
    errors: int
    poll_seconds: float  # how often IDLE looks for deliveries


class Session:
    """A client's session, from its greeting to its end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: Gate,
        bounds: Bounds,
        large: asyncio.Semaphore,
    ) -> None:
        self._writer = writer
        self._ip = str((writer.get_extra_info("peername") or ("",))[0])
        self._commands = CommandReader(reader, writer.write, large)
        self._gate = gate
        self._bounds = bounds
        self._talk: Conversation | None = None
        self._failed = 0
        self._errors = 0
        self.address = ""  # of the mailbox, once somebody is signed in

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        deadline = asyncio.get_running_loop().time() + LOGIN_SECONDS
        try:
            await self._send(f"* OK [CAPABILITY {BEFORE_LOGIN}] mailgov\r\n".encode())
            while True:
                limit = (
                    asyncio.timeout(IDLE_SECONDS) if self._talk else asyncio.timeout_at(deadline)
                )
                await self._one(limit)
        except (EOFError, OSError):
            pass  # the client is gone, or its TLS is broken
        except Refused as exc:
            await self.bye(str(exc))
        finally:
            if self._talk is not None:
                await self._gate.leave(self._talk.account)

    async def bye(self, why: str) -> None:
        """Tell the client that it is over; it may not be listening any more."""
        try:
            await self._send(f"* BYE {why}\r\n".encode())
        except OSError:
            return

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.drain()
        except TimeoutError as exc:
            raise ConnectionError("the client takes nothing") from exc

    async def _one(self, limit: asyncio.Timeout) -> None:
        """Read and answer one command."""
        try:
            async with limit:
                command = await self._commands.command()
        except TimeoutError as exc:
            raise Refused("you were silent for too long") from exc
        except NotACommand as exc:
            await self._finish(exc.tag, "BAD expected a command")
        except TooLarge as exc:
            await self._finish(exc.tag, "NO [TOOBIG] the literal is too large")
        else:
            await self._finish(command.tag, await self._answer(command))
            if command.name == "LOGOUT":
                raise EOFError

    async def _finish(self, tag: bytes, words: str) -> None:
        """Send the tagged response; a client that keeps on erring is sent away."""
        await self._send(b"%b %b\r\n" % (tag, words.encode()))
        if words.startswith("BAD"):
            self._errors += 1
            if self._errors > self._bounds.errors:
                raise Refused("there were too many errors")

    async def _answer(self, command: Command) -> str:
        """Do what a command says; the words after its tag."""
        handler = self._handler(command.name)
        if handler is None:
            return "BAD unknown command, or not in this state"
        try:
            words = await handler(command.arguments)
            await self._tell(expunges=command.name not in _KEEPS_NUMBERS)
        except BadCommand as exc:
            return f"BAD {exc}"
        except FolderError as exc:
            return f"NO [{exc.code}] {exc}" if exc.code else f"NO {exc}"
        except NameNotValid as exc:
            return f"NO [CANNOT] {exc}"
        except BadCharset:
            return f"NO [BADCHARSET ({b' '.join(CHARSETS).decode()})] unknown charset"
        except (OSError, sqlite3.Error, Unavailable) as exc:
            if isinstance(exc, ConnectionError):
                raise
            log.error("command.unavailable", command=command.name, cause=str(exc))  # noqa: TRY400 - known trouble
            return "NO [UNAVAILABLE] not now, try again"
        return words if words.startswith(("OK", "NO", "BAD")) else f"OK {words}"

    def _handler(self, name: str) -> Callable[[Scanner], Awaitable[str]] | None:
        own = {"CAPABILITY": self._capability, "NOOP": self._noop, "LOGOUT": self._logout}
        own["ID"] = self._id
        talk = self._talk
        if talk is None:
            own |= {"LOGIN": self._login, "AUTHENTICATE": self._authenticate}
            return own.get(name)
        own["IDLE"] = self._idle
        if name in own:
            return own[name]
        found = commands.WITH_MAILBOX.get(name)
        if found is None and talk.view is not None:
            found = commands.WITH_FOLDER.get(name)
        if found is None:
            return None
        if talk.read_only and name in commands.CHANGES:
            return self._refuse_change
        command = found
        return lambda scanner: command(talk, scanner)

    async def _tell(self, *, expunges: bool) -> None:
        """Send what happened to the folder meanwhile."""
        talk = self._talk
        if talk is None or talk.view is None:
            return
        view = talk.view
        await talk.respond(*(await talk.run(lambda _: view.sync(expunges=expunges))))

    # Commands of every state

    async def _capability(self, scanner: Scanner) -> str:
        scanner.end()
        able = AFTER_LOGIN if self._talk else BEFORE_LOGIN
        await self._send(f"* CAPABILITY {able}\r\n".encode())
        return "that is all"

    async def _refuse_change(self, scanner: Scanner) -> str:  # noqa: ARG002 - a command like others
        """Whatever is asked: nothing is put into this mailbox, and nothing changed."""
        raise FolderError("NOPERM", "the mailbox may only be read")

    async def _noop(self, scanner: Scanner) -> str:
        scanner.end()
        return "done"

    async def _logout(self, scanner: Scanner) -> str:
        scanner.end()
        await self.bye("good-bye")
        return "logged out"

    async def _id(self, scanner: Scanner) -> str:
        """ID (RFC 2971): what the client says of itself is read and forgotten."""
        scanner.space()
        if scanner.skip(b"("):
            while not scanner.skip(b")"):
                scanner.skip(b" ")
                if not scanner.skip(b"NIL"):
                    scanner.string()
        else:
            scanner.expect(b"NIL")
        scanner.end()
        await self._send(b'* ID ("name" "mailgov")\r\n')
        return "pleased to meet you"

    # Signing in

    async def _login(self, scanner: Scanner) -> str:
        scanner.space()
        user = scanner.astring()
        scanner.space()
        password = scanner.astring()
        scanner.end()
        return await self._sign_in(user, password)

    async def _authenticate(self, scanner: Scanner) -> str:
        """AUTHENTICATE PLAIN (RFC 4616), with its response at once (RFC 4959) or when asked."""
        scanner.space()
        if scanner.atom() != b"PLAIN":
            return "NO [CANNOT] only PLAIN"
        if scanner.skip(b" "):
            response = scanner.text[scanner.position :]
        else:
            await self._send(b"+ \r\n")
            response = await self._sasl_response()
        if response == b"*":
            raise BadCommand("cancelled")
        try:
            asked, user, password = base64.b64decode(response, validate=True).split(b"\0")
        except (binascii.Error, ValueError) as exc:
            raise BadCommand("expected a PLAIN response") from exc
        if asked not in (b"", user):
            return "NO [AUTHORIZATIONFAILED] sign in as yourself"
        return await self._sign_in(user, password)

    async def _sasl_response(self) -> bytes:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                return (await self._commands.line()).strip()
        except TimeoutError as exc:
            raise Refused("you were silent for too long") from exc

    async def _sign_in(self, user: bytes, password: bytes) -> str:
        try:
            admitted = await self._gate.admit(user.decode(), password.decode(), self._ip)
        except UnicodeDecodeError:
            admitted = None
        if admitted is None:
            self._failed += 1
            if self._failed >= self._bounds.failed_logins:
                raise Refused("too many wrong passwords")
            return "NO [AUTHENTICATIONFAILED] wrong user name or password"
        self.address = admitted.address
        name, address = user.decode(), self.address
        self._talk = Conversation(
            admitted.account,
            self._send,
            told=lambda *act: self._gate.acted(name, address, *act),
            read_only=admitted.read_only,
        )
        self._commands.signed_in = True
        return f"[CAPABILITY {AFTER_LOGIN}] signed in"

    # Waiting

    async def _idle(self, scanner: Scanner) -> str:
        """IDLE: tell of changes until the client says DONE."""
        scanner.end()
        assert self._talk is not None
        changed = asyncio.Event()
        listeners = self._talk.account.listeners
        listeners.add(changed)
        done = asyncio.create_task(self._commands.line())
        try:
            await self._send(b"+ idling\r\n")
            async with asyncio.timeout(IDLE_SECONDS):
                while not done.done():
                    await self._tell(expunges=True)
                    await self._wait(done, changed)
        except TimeoutError as exc:
            raise Refused("you were silent for too long") from exc
        finally:
            listeners.discard(changed)
            done.cancel()
        if done.result().strip().upper() != b"DONE":
            raise BadCommand("expected DONE")
        return "idle no more"

    async def _wait(self, done: asyncio.Task[bytes], changed: asyncio.Event) -> None:
        """Until the client speaks, another session changes something, or it is time to look."""
        waking = asyncio.create_task(changed.wait())
        try:
            await asyncio.wait(
                (done, waking), timeout=self._bounds.poll_seconds, return_when="FIRST_COMPLETED"
            )
        finally:
            waking.cancel()
            changed.clear()
