"""What all sessions of a process share."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from mailgov.config import Limits
from mailgov.relay.limits import Doorkeeper, FreeSpace, IPAddress
from mailgov.relay.ports import Directory, Intake, Outcome, Spool


@dataclass(frozen=True, slots=True)
class Listener:
    """A port and what it is for. Users come to submission ports, other servers to the MX."""

    name: Literal["mx", "submission", "submissions"]
    submission: bool
    implicit_tls: bool = False


MX = Listener("mx", submission=False)
SUBMISSION = Listener("submission", submission=True)
SUBMISSIONS = Listener("submissions", submission=True, implicit_tls=True)


@dataclass(slots=True)
class Parts:
    """What all sessions of a process share."""

    hostname: str
    greeting: str
    help_base: str  # address before `/help/rules/<code>`
    limits: Limits
    trusted_networks: tuple[IPv4Network | IPv6Network, ...]
    directory: Directory
    intake: Intake
    spool: Spool
    doorkeeper: Doorkeeper
    free_space: FreeSpace
    executor: Executor  # for writing bodies
    now: Callable[[], float] = time.monotonic  # seconds
    judging: set["asyncio.Task[Outcome]"] = field(default_factory=set)

    def judge(self, work: Coroutine[Any, Any, Outcome]) -> "asyncio.Task[Outcome]":
        """Start judging a message in a task of its own: a client that hangs up cancels nothing."""
        task = asyncio.create_task(work)
        self.judging.add(task)
        task.add_done_callback(self.judging.discard)
        return task

    def trusts(self, ip: IPAddress) -> bool:
        """Whether hosts of this address may relay without signing in."""
        return any(ip in network for network in self.trusted_networks)
