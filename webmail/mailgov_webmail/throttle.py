"""Wrong passwords, counted by account and network, so that strangers can't lock an owner out.

Counters live in the process: a second web process doubles what an attacker may try, no more.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from mailgov.clock import Clock
from mailgov.config import Limits

MOST_KEYS = 20_000  # counters kept; the longest unused goes first
PER_NETWORK_FACTOR = 9  # a network may fail this many times as often as one account in it
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


class Throttle:
    """Says when a sign-in may not be tried, before any password is looked at."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._per_minute = limits.failed_logins_per_minute
        self._per_day = limits.failed_logins_per_day
        self._failures: OrderedDict[str, list[datetime]] = OrderedDict()

    def may_try(self, address: str, ip: str) -> bool:
        """Whether another password may be tried for the account from this network."""
        network = _network(ip)
        return (
            self._count(f"{address} {network}", _MINUTE) < self._per_minute
            and self._count(f"{address} {network}", _DAY) < self._per_day
            and self._count(network, _MINUTE) < self._per_minute * PER_NETWORK_FACTOR
        )

    def failed(self, address: str, ip: str) -> None:
        """A wrong password, or a name that does not exist: both count alike."""
        network = _network(ip)
        most = max(self._per_day, self._per_minute * PER_NETWORK_FACTOR)
        for key in (f"{address} {network}", network):
            moments = self._failures.setdefault(key, [])
            moments.append(self._clock())
            del moments[:-most]
            self._failures.move_to_end(key)
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)

    def _count(self, key: str, span: timedelta) -> int:
        since = self._clock() - span
        return sum(moment > since for moment in self._failures.get(key, ()))


def _network(ip: str) -> str:
    """The /24 or /56 that the address is in; the text itself where it is no address."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    bits = 24 if address.version == 4 else 56
    return str(ip_network(f"{ip.partition('%')[0]}/{bits}", strict=False))
