"""Start the roles, keep them running, stop them gracefully.

A role is a function found under the entry point group `mailgov.roles`:
`async run(services, announce, stop)`. It calls `announce(name, "host:port")` once for each listener,
or once with an empty name where it has none, and returns soon after `stop` is set. A role that fails
before it is ready ends the start with its error; one that fails later is started again, with growing
pauses.

When a sync fails, all roles stop and the process ends at once, with an exit code: nothing more is
written, not even by closing files, and the next start recovers (mailgov/durable.py).
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import entry_points
from typing import Any, NoReturn, Protocol, cast

from mailgov import durable
from mailgov.errors import InputError, MailgovError
from mailgov.logs import logger
from mailgov.services import Services

ROLES = ("relay", "deliver", "mailstore", "web", "metrics", "scheduler")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
STOP_SECONDS = 20.0
DISTRUST_STOP_SECONDS = 3.0  # for the last 451; nothing can be written down any more
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
) -> None:
    """Run the roles until SIGTERM or SIGINT.

    `when_ready` gets the listeners, by name, once all roles are ready. Raises what kept a role from
    starting: Unavailable `port-busy`, ConfigError and the like.
    """
    roles = find_roles(names)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_soon() -> None:
        loop.call_soon_threadsafe(stop.set)

    unwatch = durable.watch(stop_soon)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listeners: dict[str, str] = {}
    supervisors = [
        _Supervisor(name, role, services, listeners, stop) for name, role in roles.items()
    ]
    tasks = [asyncio.create_task(s.run(), name=f"role {s.name}") for s in supervisors]
    try:
        await _all_ready(supervisors, tasks)
        _tell_systemd("READY=1")
        log.info("ready", **listeners)
        if when_ready is not None:
            await when_ready(dict(listeners))
        await asyncio.wait(
            [*tasks, asyncio.create_task(stop.wait())], return_when="FIRST_COMPLETED"
        )
    finally:
        stop.set()
        _tell_systemd("STOPPING=1")
        if durable.failure():
            await _give_up(tasks)
        await _finish(tasks)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        unwatch()
        if durable.failure():  # while we stopped
            await _give_up(tasks)
        log.info("stopped")


class _Supervisor:
    """One role and its restarts. A role is ready once it announces."""

    def __init__(
        self,
        name: str,
        role: Role,
        services: Services,
        listeners: dict[str, str],
        stop: asyncio.Event,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self._role, self._services, self._listeners, self._stop = role, services, listeners, stop

    def _announce(self, name: str, address: str) -> None:
        """Note a listener; an empty name says only that the role is ready."""
        if name:
            self._listeners[name] = address
        self.ready.set()

    async def run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                await self._role(self._services, self._announce, self._stop)
                return
            except Exception as exc:
                if not self.ready.is_set():
                    raise
                cause = str(exc) if isinstance(exc, MailgovError) else repr(exc)
                log.exception("role.failed", role=self.name, cause=cause, again_in_seconds=pause)
            await _wait(self._stop, pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _all_ready(supervisors: list[_Supervisor], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for every role; raise the first error of one that could not start."""
    ready = [asyncio.create_task(s.ready.wait()) for s in supervisors]
    waiting: set[asyncio.Task[Any]] = {*ready, *tasks}
    try:
        while not all(one.done() for one in ready):
            done, waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
            for task in done & set(tasks):
                task.result()
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


async def _finish(tasks: list[asyncio.Task[None]]) -> None:
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for task in late:
        log.warning("role.late", role=task.get_name())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
