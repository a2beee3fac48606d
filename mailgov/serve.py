"""Start the roles, keep them running, stop them gracefully.

A role is a function found under the entry point group `mailgov.roles`:
`async run(services, announce, stop)`. It calls `announce(name, "host:port")` once for each listener,
or once with an empty name where it has none, and returns soon after `stop` is set. A role that fails
before it is ready ends the start with its error; one that fails later is started again, with growing
pauses.

When a sync fails, all roles stop and the process ends at once, with an exit code: nothing more is
written, not even by closing files, but for a note of what was under way
(mailgov/queue/unrecorded.py), and the next start recovers (mailgov/durable.py).
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from importlib.metadata import entry_points
from typing import Any, NoReturn, Protocol, cast

from mailgov import durable
from mailgov.config import Config
from mailgov.errors import InputError, MailgovError
from mailgov.logs import logger
from mailgov.reload import (
    Status,
    certificate_print,
    changed_sections,
    listeners,
    note,
    prepare,
    untouched,
)
from mailgov.services import Services

ROLES = ("relay", "deliver", "mailstore", "web", "api", "metrics", "scheduler")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STOP_SECONDS = 20.0
DISTRUST_STOP_SECONDS = 12.0  # for the last 451, and answers to what was sent already
DISTRUST_EXIT_CODE = 9  # as of Unavailable: whoever supervises us starts us again

Announce = Callable[[str, str], None]

log = logger("serve")


class Role(Protocol):
    """What an entry point must be."""

    def __call__(
        self, services: Services, announce: Announce, stop: asyncio.Event, /
    ) -> Awaitable[None]:
        """Run until `stop` is set."""


def find_roles(names: Sequence[str]) -> dict[str, Role]:
    """The functions of these roles. Raises InputError `role-unknown`."""
    known = {point.name: point for point in entry_points(group="mailgov.roles")}
    for name in names:
        if name not in known:
            raise InputError("role-unknown", role=name, known=", ".join(sorted(known)))
    return {name: cast(Role, known[name].load()) for name in names}


async def serve(
    services: Services,
    names: Sequence[str] = ROLES,
    *,
    when_ready: Callable[[dict[str, str]], Awaitable[None]] | None = None,
    reread: Callable[[], Config] | None = None,
) -> None:
    """Run the roles until SIGTERM or SIGINT; on SIGHUP with the configuration that `reread` gives.

    `when_ready` gets the listeners, by name, once all roles are ready. Raises what kept a role from
    starting: Unavailable `port-busy`, ConfigError and the like.
    """
    house = _House(services, find_roles(names), reread)
    services.listening.hold()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, house.stop.set)
    loop.add_signal_handler(signal.SIGHUP, house.reload.set)

    def stop_soon() -> None:
        loop.call_soon_threadsafe(house.stop.set)

    unwatch = durable.watch(stop_soon)
    try:
        await house.begin()
        _tell_systemd("READY=1")
        log.info("ready", **house.listeners)
        with Status(services.config.data.path, names) as status:
            if when_ready is not None:
                await when_ready(dict(house.listeners))
            await house.live(status)
    finally:
        _tell_systemd("STOPPING=1")
        await house.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
        unwatch()
        log.info("stopped")


class _House:
    """The roles of this process: one generation after the other, by one configuration each."""

    def __init__(
        self, services: Services, roles: dict[str, Role], reread: Callable[[], Config] | None
    ) -> None:
        self.stop, self.reload = asyncio.Event(), asyncio.Event()
        self.listeners: dict[str, str] = {}
        self._first, self._services, self._roles, self._reread = services, services, roles, reread
        self._supervisors: list[_Supervisor] = []
        self._shown = b""  # the certificate that roles began with

    async def begin(self) -> None:
        """Start every role. Raises the first error of one that could not start."""
        self._shown = await asyncio.to_thread(certificate_print, self._services.config)
        await self.open()

    async def open(self) -> None:
        """Start the roles that do not run, and wait for them.

        Raises the first error of one that could not start.
        """
        there = {one.name for one in self._supervisors}
        self._supervisors += [
            _Supervisor(name, role, self._services, self.listeners)
            for name, role in self._roles.items()
            if name not in there
        ]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await _all_ready(self._supervisors, stopping)
        finally:
            stopping.cancel()

    async def live(self, status: Status) -> None:
        """Until told to stop, or until every role has ended by itself; reload when asked."""
        while not self.stop.is_set():
            events = [asyncio.create_task(one.wait()) for one in (self.stop, self.reload)]
            tasks = {one.task for one in self._supervisors}
            await asyncio.wait([*events, *tasks], return_when="FIRST_COMPLETED")
            for one in events:
                one.cancel()
            if self.reload.is_set() and not self.stop.is_set():
                self.reload.clear()
                error = await self._renew()
                status.told(error)
            elif any(task.done() for task in tasks):
                return

    async def _renew(self) -> MailgovError | None:
        """Change to the configuration as it is now, whole; or stay, and say why."""
        if self._reread is None:
            return None
        _tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        old, error = self._services, None
        changed: list[str] = []
        try:
            new = await prepare(old, self._reread, self._roles)
            changed = changed_sections(old.config, new.config)
            shown = await asyncio.to_thread(certificate_print, new.config)
            staying = untouched(changed, same_certificate=shown == self._shown)
            await self._replace(new, staying)
            self._shown = shown
        except MailgovError as exc:
            error = exc
        await note(self._services, error, changed)
        _tell_systemd("READY=1")
        return error

    async def _replace(self, new: Services, staying: Collection[str]) -> None:
        """The roles of the old configuration finish, then those of the new one start.

        Those that the change does not touch go on. Raises what kept one from starting; then the
        old configuration serves again.
        """
        old = self._services
        await self._finish(staying)
        if self.stop.is_set():
            await new.readers.close()
            return
        self._services = new
        try:
            await self.open()
        except MailgovError:
            await self._finish(staying)
            self._services = old
            await new.readers.close()
            await self.open()
            raise
        finally:
            self._services.listening.keep_only(listeners(self._services.config, self._roles))
        await old.readers.close()

    async def _finish(self, staying: Collection[str] = ()) -> None:
        """Stop every role but those that stay; they get some time."""
        going = [one for one in self._supervisors if one.name not in staying]
        for one in going:
            one.stop.set()
        tasks = [one.task for one in going]
        if durable.failure():
            await _give_up(tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                log.warning("role.late", role=task.get_name())
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if durable.failure():  # while we stopped
            await _give_up(tasks)
        self._supervisors = [one for one in self._supervisors if one not in going]

    async def close(self) -> None:
        """Listen no more, stop every role, end the readers of this generation."""
        self._services.listening.close()
        await self._finish()
        if self._services is not self._first:
            await self._services.readers.close()


class _Supervisor:
    """One role and its restarts. A role is ready once it announces."""

    def __init__(
        self, name: str, role: Role, services: Services, listeners: dict[str, str]
    ) -> None:
        self.name = name
        self.ready, self.stop = asyncio.Event(), asyncio.Event()
        self._role, self._services, self._listeners = role, services, listeners
        self.task = asyncio.create_task(self._run(), name=f"role {name}")

    def _announce(self, name: str, address: str) -> None:
        """Note a listener; an empty name says only that the role is ready."""
        if name:
            self._listeners[name] = address
        self.ready.set()

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self.stop.is_set():
            try:
                await self._role(self._services, self._announce, self.stop)
                return
            except Exception as exc:
                if not self.ready.is_set():
                    raise
                cause = str(exc) if isinstance(exc, MailgovError) else repr(exc)
                log.exception("role.failed", role=self.name, cause=cause, again_in_seconds=pause)
            await _wait(self.stop, pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _all_ready(supervisors: list[_Supervisor], stopping: "asyncio.Task[Any]") -> None:
    """Wait for every role; raise the first error of one that could not start."""
    ready = [asyncio.create_task(s.ready.wait()) for s in supervisors]
    tasks = {s.task for s in supervisors}
    waiting: set[asyncio.Task[Any]] = {*ready, *tasks, stopping}
    try:
        while not all(one.done() for one in ready):
            done, waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
            for task in done & tasks:
                task.result()
            if done & {*tasks, stopping}:
                return  # asked to stop before all were ready
    finally:
        for one in ready:
            one.cancel()


async def _give_up(tasks: list[asyncio.Task[None]]) -> NoReturn:
    """End without another write, be it the last that a closed file would make."""
    log.critical("disk.distrusted", reason=durable.failure())
    await asyncio.wait(tasks, timeout=DISTRUST_STOP_SECONDS)
    logging.shutdown()
    os._exit(DISTRUST_EXIT_CODE)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _tell_systemd(state: str) -> None:
    """Notify the service manager, when it asked for it (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.sendall(state.encode())
