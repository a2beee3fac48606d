"""Listening sockets that outlive those who serve them: a reload refuses nobody.

Whoever serves an address gets a handle of its own. When it is closed, the socket goes on listening
and the kernel keeps who knocks until the next one serves.
"""

import socket
import threading
from collections.abc import Iterable

BACKLOG = 1024  # connections that the kernel holds for us


def listen(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A socket that listens at `host:port`, not blocking. Raises OSError. Blocks for names."""
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, name = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind(name)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


class Listening:
    """The sockets of one process, by name of the listener and address as it was asked for.

    Only after `hold` do they outlive their handles.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], socket.socket] = {}
        self._holds = False

    def hold(self) -> None:
        """Keep sockets from now on, until `close`."""
        self._holds = True

    def open(self, name: str, address: str) -> socket.socket:
        """A handle on the socket that listens there; port 0 stays the port it became.

        Raises OSError. Blocks for names.
        """
        with self._lock:
            kept = self._kept.get((name, address))
            if kept is None:
                kept = listen(address)
                if not self._holds:
                    return kept
                self._kept[name, address] = kept
            return kept.dup()

    def keep_only(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Listen no more anywhere else."""
        wanted = set(wanted)
        with self._lock:
            for key in [key for key in self._kept if key not in wanted]:
                self._kept.pop(key).close()

    def close(self) -> None:
        """Listen no more: who comes now is refused by the kernel."""
        self._holds = False
        self.keep_only(())
