"""What a peer may cost us: sessions, commands, guesses at passwords. Counted in memory, in bounded space.

Moments are seconds of a monotonic clock and come in as arguments.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from mailgov.config import Limits

IPAddress = IPv4Address | IPv6Address
_K = TypeVar("_K")

# Keys remembered by each table. The one unused for longest goes first: forgetting it lets nobody
# gain more than a fresh start costs in addresses.
MAX_KEYS = 65_536
MINUTE = 60.0


def host_of(ip: IPAddress) -> bytes:
    """What counts as one address: of IPv6 the /64, because a host picks freely within it."""
    return ip.packed if ip.version == 4 else ip.packed[:8]


def network_of(ip: IPAddress) -> bytes:
    """What counts as one network: /24, or /56 of IPv6."""
    return ip.packed[:3] if ip.version == 4 else ip.packed[:7]


class Allowance:
    """`count` at once, then as many per `seconds`, for each key (generic cell rate algorithm)."""

    def __init__(self, count: int, seconds: float, max_keys: int = MAX_KEYS) -> None:
        self._interval = seconds / count
        self._depth = seconds - self._interval
        self._max_keys = max_keys
        self._full_again: OrderedDict[Hashable, float] = OrderedDict()

    def spend(self, key: Hashable, now: float) -> bool:
        """Take one if there is one."""
        full_again = max(self._full_again.get(key, now), now)
        # The tolerance forgives rounding in sums of intervals.
        if full_again - now > self._depth + 1e-6:
            return False
        self._full_again[key] = full_again + self._interval
        self._full_again.move_to_end(key)
        if len(self._full_again) > self._max_keys:
            self._full_again.popitem(last=False)
        return True

    def give_back(self, key: Hashable) -> None:
        """Undo a `spend` that turned out to be harmless."""
        if key in self._full_again:
            self._full_again[key] -= self._interval


class Doorkeeper:
    """Counts sessions: of the process, of an address, of a network, of a user."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open = 0
        self._by_place: Counter[bytes] = Counter()  # hosts and networks differ in length
        self._by_user: Counter[str] = Counter()
        per_minute = limits.new_connections_per_minute
        self._new_of_host = Allowance(per_minute, MINUTE)
        self._new_of_network = Allowance(limits.new_connections_per_minute_network, MINUTE)
        self._vouched: OrderedDict[bytes, None] = OrderedDict()  # hosts

    def enter(self, ip: IPAddress, now: float, *, trusted: bool = False) -> str:
        """Let a session in: "", or the key of the refusal. Then `leave` must be called.

        Trusted networks stand for many: only the limit of the process holds for them.
        """
        self._open += 1
        self._by_place[host_of(ip)] += 1
        self._by_place[network_of(ip)] += 1
        if self._open > self._limits.connections:
            return "too-many-sessions"
        if trusted:
            return ""
        strangers = self._limits.connections * (1 - self._limits.reserved_share)
        if self._open > strangers and not self.knows(ip):
            return "too-many-sessions"
        if self._by_place[host_of(ip)] > self._limits.connections_per_address:
            return "too-many-from-address"
        if self._by_place[network_of(ip)] > self._limits.connections_per_network:
            return "too-many-from-network"
        if not self._new_of_host.spend(host_of(ip), now):
            return "sessions-too-fast"
        if not self._new_of_network.spend(network_of(ip), now):
            return "sessions-too-fast"
        return ""

    @property
    def stressed(self) -> bool:
        """Whether so many are here that patience must be short."""
        return self._open > self._limits.connections * self._limits.stressed_share

    def leave(self, ip: IPAddress) -> None:
        """A session has ended, let in or not."""
        self._open -= 1
        for place in (host_of(ip), network_of(ip)):
            _lower(self._by_place, place)

    def vouch(self, ip: IPAddress) -> None:
        """Somebody there has brought mail that was taken, or signed in: the last places are theirs."""
        host = host_of(ip)
        self._vouched[host] = None
        self._vouched.move_to_end(host)
        if len(self._vouched) > MAX_KEYS:
            self._vouched.popitem(last=False)

    def knows(self, ip: IPAddress) -> bool:
        """Whether somebody vouched for the host."""
        return host_of(ip) in self._vouched

    def sign_in(self, address: str) -> bool:
        """Count a session for its user; False when he has enough. Then `sign_out` is not due."""
        if self._by_user[address] >= self._limits.connections_per_user:
            return False
        self._by_user[address] += 1
        return True

    def sign_out(self, address: str) -> None:
        """A signed-in session has ended."""
        _lower(self._by_user, address)


def _lower(counter: Counter[_K], key: _K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


class Guest:
    """Who is at the other end of a connection, and the place it takes. `leave` may be called again."""

    __slots__ = ("_door", "ip", "port")

    def __init__(self, door: Doorkeeper, ip: IPAddress, port: int) -> None:
        self.ip = ip
        self.port = port
        self._door: Doorkeeper | None = door

    def leave(self) -> None:
        """Give the place back."""
        if self._door is not None:
            self._door.leave(self.ip)
            self._door = None


class SessionCounters:
    """What went wrong in one session. Each method says whether it was once too often.

    While `stressed` says so, once is too often.
    """

    __slots__ = ("_limits", "_stressed", "deferred", "errors", "failed_logins", "junk", "unknown")

    def __init__(self, limits: Limits, stressed: Callable[[], bool] = lambda: False) -> None:
        self._limits = limits
        self._stressed = stressed
        self.errors = self.junk = self.unknown = self.failed_logins = self.deferred = 0

    def error(self) -> bool:
        """A command was refused for good."""
        self.errors += 1
        return self._too_many(self.errors, self._limits.errors)

    def junk_command(self) -> bool:
        """A command that moves no mail."""
        self.junk += 1
        return self._too_many(self.junk, self._limits.junk_commands)

    def deferral(self) -> bool:
        """A command was refused for now. Long lists of recipients bring many at once."""
        self.deferred += 1
        return self.deferred > self._limits.recipients_inbound

    def message_taken(self) -> None:
        """Who brings mail may talk on."""
        self.junk = self.deferred = 0

    def unknown_recipient(self) -> bool:
        """A recipient that we do not know."""
        self.unknown += 1
        return self._too_many(self.unknown, self._limits.unknown_recipients)

    def _too_many(self, count: int, most: int) -> bool:
        return count > (1 if self._stressed() else most)

    def failed_login(self) -> None:
        """A wrong password."""
        self.failed_logins += 1

    @property
    def logins_spent(self) -> bool:
        """No further attempt in this session."""
        return self.failed_logins >= self._limits.failed_logins
