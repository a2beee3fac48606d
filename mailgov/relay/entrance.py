"""A listening port: who comes is counted, and perhaps sent away, before anything is spent on them.

Where TLS comes first, the handshake is a cost that strangers choose, so it comes after the count.
From listed load balancers the first octets tell who the client is.
"""

import asyncio
import errno
import socket
import ssl
from ipaddress import IPv6Address, ip_address
from typing import Any

from mailgov.errors import Unavailable
from mailgov.listening import Listening, listen
from mailgov.logs import logger
from mailgov.relay import proxy_protocol
from mailgov.relay.connection import Connection
from mailgov.relay.limits import Guest, IPAddress
from mailgov.relay.parts import Listener, Parts
from mailgov.relay.replies import refusal
from mailgov.relay.session import RelaySession

PROXY_SECONDS = 5.0  # for a load balancer to say whom it brings
_AT_ONCE = 128  # accepted before other work gets its turn
_PAUSE_SECONDS = 1.0  # when the machine has no descriptors left
_TOLD_SECONDS = 1.0  # between two lines about those who were sent away
_HURRY_SECONDS = 1.0  # between two looks at who may be sent away under stress

log = logger("relay")


class Entrance:
    """One listener. `open` it, and `close` it in the end."""

    def __init__(
        self,
        parts: Parts,
        listener: Listener,
        tls: ssl.SSLContext,
        sessions: set[Connection],
        listening: Listening | None = None,
    ) -> None:
        self._parts = parts
        self._listening = listening
        self._listener = listener
        self._tls = tls
        self._sessions = sessions
        self._arriving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._hurried_at = self._told_at = float("-inf")
        self._refused = 0  # not told of yet

    async def open(self, address: str, *, reuse_port: bool) -> str:
        """Listen at `host:port`; the address that was bound.

        Raises Unavailable `port-busy` or `port-unavailable`.
        """
        try:
            self._socket = await asyncio.to_thread(self._bound, address, reuse_port=reuse_port)
        except OSError as exc:
            raise _not_bound(exc, self._listener, address) from exc
        self._loop.add_reader(self._socket, self._readable)
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _bound(self, address: str, *, reuse_port: bool) -> socket.socket:
        if self._listening is None or reuse_port:
            return listen(address, reuse_port=reuse_port)
        return self._listening.open(self._listener.name, address)

    def close(self) -> None:
        """Listen no more; those who still shake hands are let go."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for task in self._arriving:
            task.cancel()

    @property
    def arriving(self) -> frozenset["asyncio.Task[None]"]:
        """Those on their way to a session."""
        return frozenset(self._arriving)

    # Arrivals

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                connection, name = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._pause(exc)
                return
            connection.setblocking(False)
            self._arrived(connection, name)

    def _pause(self, error: OSError) -> None:
        """The kernel keeps the others waiting while the machine has no descriptors or memory."""
        log.error("accept.paused", listener=self._listener.name, reason=error.strerror)
        assert self._socket is not None
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._readable)

    def _arrived(self, connection: socket.socket, name: tuple[Any, ...]) -> None:
        ip, port = _address(name)
        if self._parts.is_balancer(ip):
            self._start(self._introduced(connection, ip, port))
        elif guest := self._admitted(connection, ip, port, counted=not self._parts.trusts(ip)):
            self._start(self._begun(connection, guest))

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._arriving.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("arrival.failed", exc_info=error)

    def _admitted(
        self, connection: socket.socket, ip: IPAddress, port: int, *, counted: bool
    ) -> Guest | None:
        parts = self._parts
        now = parts.now()
        why = parts.doorkeeper.enter(ip, now, trusted=not counted)
        if not why and parts.memory.is_short(now):
            why = "memory-short"
        if parts.doorkeeper.stressed:
            self._hurry(now)
        guest = Guest(parts.doorkeeper, ip, port)
        if not why:
            return guest
        guest.leave()
        self._tell_refused(ip, why, now)
        self._send_away(connection, why)
        return None

    def _tell_refused(self, ip: IPAddress, why: str, now: float) -> None:
        """Once a second, with how many there were: a flood must not become one of lines."""
        self._refused += 1
        if now - self._told_at >= _TOLD_SECONDS:
            log.info(
                "session.refused",
                ip=str(ip),
                listener=self._listener.name,
                why=why,
                count=self._refused,
            )
            self._refused, self._told_at = 0, now

    def _send_away(self, connection: socket.socket, why: str) -> None:
        try:
            if not self._listener.implicit_tls:  # a handshake to say no is more than it is worth
                connection.send(refusal(why).encode())
                connection.shutdown(socket.SHUT_WR)
        except OSError as exc:
            log.debug("session.broken", why=exc.strerror)
        finally:
            connection.close()

    def _hurry(self, now: float) -> None:
        """Places are short: who says nothing for long gives his to another."""
        if now - self._hurried_at < _HURRY_SECONDS:
            return
        self._hurried_at = now
        for session in list(self._sessions):
            session.hurry()

    async def _introduced(self, connection: socket.socket, ip: IPAddress, port: int) -> None:
        """A load balancer says who comes. Its octets are read to the last, and none beyond."""
        is_local = False
        try:
            async with asyncio.timeout(PROXY_SECONDS):
                start = proxy_protocol.read_start(
                    await self._exactly(connection, proxy_protocol.START_OCTETS)
                )
                rest = await self._exactly(connection, start.rest_octets)
            is_local = start.is_local
            if not is_local:
                ip, port = proxy_protocol.read_source(start, rest)
        except (OSError, TimeoutError, proxy_protocol.ProxyError) as exc:
            log.warning("proxy.not-understood", ip=str(ip), why=str(exc))
            connection.close()
            return
        except asyncio.CancelledError:
            connection.close()
            raise
        counted = not is_local and not self._parts.trusts(ip)
        if guest := self._admitted(connection, ip, port, counted=counted):
            await self._begun(connection, guest)

    async def _exactly(self, connection: socket.socket, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            block = await self._loop.sock_recv(connection, size - len(octets))
            if not block:
                raise ConnectionAbortedError("hung up")
            octets += block
        return octets

    async def _begun(self, connection: socket.socket, guest: Guest) -> None:
        """Shake hands where TLS comes first; the session then looks after itself."""
        implicit, seconds = self._listener.implicit_tls, self._parts.limits.handshake_seconds
        try:
            await self._loop.connect_accepted_socket(
                lambda: RelaySession(self._parts, self._listener, self._tls, self._sessions, guest),
                connection,
                ssl=self._tls if implicit else None,
                ssl_handshake_timeout=seconds if implicit else None,
            )
        except OSError as exc:  # ssl.SSLError among them
            guest.leave()
            log.debug("handshake.failed", ip=str(guest.ip), why=str(exc))
        except BaseException:
            guest.leave()
            raise


def _address(name: tuple[Any, ...]) -> tuple[IPAddress, int]:
    ip = ip_address(name[0].partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip, name[1]


def _not_bound(error: OSError, listener: Listener, address: str) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            "port-busy", listener=listener.name, address=address, reason=error.strerror
        )
    reason = error.strerror or str(error)
    return Unavailable("port-unavailable", listener=listener.name, address=address, reason=reason)
