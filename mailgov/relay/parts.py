"""What all sessions of a process share."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from mailgov.addresses import Address
from mailgov.config import Limits
from mailgov.relay.limits import Doorkeeper, IPAddress
from mailgov.relay.ports import Directory, Intake, Outcome, Spool, Tokens
from mailgov.relay.rates import SendingRates
from mailgov.relay.resources import Backlog, FreeSpace, Memory
from mailgov.relay.screening import Screening


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
    load_balancers: tuple[IPv4Network | IPv6Network, ...]
    repair_line_ends: bool  # of trusted hosts
    directory: Directory
    intake: Intake
    spool: Spool
    doorkeeper: Doorkeeper
    free_space: FreeSpace
    memory: Memory
    backlog: Backlog
    rates: SendingRates
    screening: Screening
    scram: bool  # offered
    tokens: Tokens | None  # an identity provider's, when there is one
    postmaster: Address | None  # takes mail to postmaster where there is none
    executor: Executor  # for writing bodies
    now: Callable[[], float] = time.monotonic  # seconds
    judging: set["asyncio.Task[Outcome]"] = field(default_factory=set)
    # Passwords of hosts we don't know are checked by so many at once: a flood of guesses leaves the
    # others' sign-ins their place.
    strangers_checked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    large_bodies: int = 0  # messages that are just coming in, and lie on the disk

    def judge(self, work: Coroutine[Any, Any, Outcome]) -> "asyncio.Task[Outcome]":
        """Start judging a message in a task of its own: a client that hangs up cancels nothing."""
        task = asyncio.create_task(work)
        self.judging.add(task)
        task.add_done_callback(self.judging.discard)
        return task

    def trusts(self, ip: IPAddress) -> bool:
        """Whether hosts of this address may relay without signing in."""
        return any(ip in network for network in self.trusted_networks)

    def is_balancer(self, ip: IPAddress) -> bool:
        """Whether connections of this address begin with the PROXY protocol."""
        return any(ip in network for network in self.load_balancers)

    @property
    def stressed(self) -> bool:
        """Whether places, memory or disk are short, and with them patience."""
        now = self.now()
        return (
            self.doorkeeper.stressed
            or self.memory.is_short(now)
            or self.free_space.is_crowded(self.large_bodies, now)
        )
