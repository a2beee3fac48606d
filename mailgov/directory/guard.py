"""Bounds on guessing, counted so that strangers lock nobody out.

A guess is charged before the password is looked at, so that many at once gain nothing, and given
back when it was right. What a minute holds is counted in memory, what a day holds in the database.
The owner of an account is known by the networks and browsers that were used lately: what strangers
do elsewhere does not count there. App passwords are not guessed; the right one is never held off.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Literal

from mailgov.config import Limits

MOST_KEYS = 65_536  # counters kept; the longest unused goes first
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

Bound = Literal["", "place-minute", "place-day", "network-minute", "account-day"]


def network_of(ip: str) -> str:
    """The /24 or /56 that an address is in; the text itself where it is no address."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return ip[:43]
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = 24 if address.version == 4 else 56
    return str(ip_network(f"{address}/{bits}", strict=False))


@dataclass(frozen=True, slots=True)
class Try:
    """A guess: for which name, from where, and what is known of the day so far."""

    name: str  # in one form, so that its spellings share their counters
    network: str
    browser: str = ""  # digest of a browser that the owner has used; empty: none such
    known_network: bool = False  # the owner has used it lately
    failures: Mapping[str, int] = field(default_factory=dict)  # of the day, by network
    known_networks: Collection[str] = ()  # whose failures are no strangers'

    @property
    def place(self) -> tuple[str, str]:
        """Account and place: a browser of the owner's has counters of its own."""
        return self.name, self.browser or self.network


class Guard:
    """The counters of a process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._moments: OrderedDict[object, list[datetime]] = OrderedDict()

    def begin(self, guess: Try, now: datetime) -> Bound:
        """Charge a guess; or the bound that forbids it now, and nothing is charged."""
        limits = self._limits
        if self._count(guess.place, now) >= limits.failed_logins_per_minute:
            return "place-minute"
        if self._count(guess.network, now) >= limits.failed_logins_per_minute_network:
            return "network-minute"
        if not guess.browser:
            if guess.failures.get(guess.network, 0) >= limits.failed_logins_per_day:
                return "place-day"
            strangers = sum(
                count
                for network, count in guess.failures.items()
                if network not in guess.known_networks
            )
            if strangers >= limits.failed_logins_of_account and not guess.known_network:
                return "account-day"
        for key in (guess.place, guess.network):
            self._moments.setdefault(key, []).append(now)
            self._moments.move_to_end(key)
        while len(self._moments) > MOST_KEYS:
            self._moments.popitem(last=False)
        return ""

    def forgive(self, guess: Try) -> None:
        """The guess was right, or never came to a check."""
        for key in (guess.place, guess.network):
            if moments := self._moments.get(key):
                moments.pop()

    def _count(self, key: object, now: datetime) -> int:
        moments = self._moments.get(key)
        if moments is None:
            return 0
        while moments and moments[0] <= now - MINUTE:
            del moments[0]
        return len(moments)
