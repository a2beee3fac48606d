"""To the next server: the way to it, and connections that are kept for a while."""

import asyncio
import random
from itertools import chain

from mailgov import faults
from mailgov.config import Delivery
from mailgov.delivery.mx import Hop, Router, is_own_address
from mailgov.delivery.transports import Answers, Fence, Parcel
from mailgov.delivery.transports.smtp_content import Demands, demands
from mailgov.delivery.transports.smtp_session import Server, SmtpSession, StaleSession, Tls
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.logs import logger
from mailgov.resolver import Resolver

SMTP_PORT = 25
MAX_TARGETS = 6
"""Addresses tried in one attempt."""

IDLE_SECONDS = 10.0
"""A connection without work is kept this long."""

MAX_MESSAGES = 50
"""Messages over one connection; then others in front of the same server have their turn."""

log = logger("delivery")


class SmtpTransport:
    """Delivers by MX records, or to the smarthost when one is set."""

    def __init__(
        self, settings: Delivery, hostname: str, resolver: Resolver, *, port: int = SMTP_PORT
    ) -> None:
        self._settings = settings
        self._hostname = hostname
        self._port = port
        self._router = Router(
            resolver, hostname, settings.allow_loopback, is_own_address, random.shuffle
        )
        self._idle: dict[str, list[SmtpSession]] = {}

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """One transaction for all recipients of the parcel."""
        content = chain([parcel.message.prefix], parcel.body.chunks())
        wanted = await asyncio.to_thread(demands, content)
        if wanted.bare_line_ends:
            raise DeliveryRefused("bare-line-ends")
        while session := self._kept(parcel.destination):
            try:
                return await self._use(session, parcel, wanted, fence)
            except StaleSession:
                continue  # nothing was sent; the next one, or a new one
        session = await self._connect(parcel.destination)
        return await self._use(session, parcel, wanted, fence)

    async def _use(
        self, session: SmtpSession, parcel: Parcel, wanted: Demands, fence: Fence
    ) -> Answers:
        """Run the transaction; keep the connection only if it ended in order."""
        try:
            answers = await session.send(parcel, wanted, fence)
        except DeliveryError:
            await session.close()
            raise
        except BaseException:
            session.abort()
            raise
        if session.is_usable and session.messages < MAX_MESSAGES:
            session.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(self._key(parcel.destination), []).append(session)
        else:
            await session.close()
        return answers

    def _key(self, destination: str) -> str:
        return self._settings.smarthost or destination

    def _kept(self, destination: str) -> SmtpSession | None:
        sessions = self._idle.get(self._key(destination), [])
        while sessions:
            session = sessions.pop()
            if session.is_usable:
                return session
        return None

    async def _connect(self, destination: str) -> SmtpSession:
        servers = [
            Server(hop.host, address, port, tls)
            for hop, port, tls in await self._hops(destination)
            for address in hop.addresses
        ]
        faults.point("D2")
        trouble = DeliveryDeferred("peer-unreachable", host=destination, reason="no address")
        for server in servers[:MAX_TARGETS]:
            try:
                return await SmtpSession.open(server, self._hostname)
            except DeliveryDeferred as exc:
                log.info("peer.unreachable", host=server.host, address=server.address, why=str(exc))
                trouble = exc
        raise trouble

    async def _hops(self, destination: str) -> list[tuple[Hop, int, Tls]]:
        if self._settings.smarthost:
            host, _, port = self._settings.smarthost.rpartition(":")
            host = host.strip("[]")
            return [(Hop(host, (host,)), int(port), self._settings.smarthost_tls)]
        hops = await self._router.route(destination)
        return [(hop, self._port, "opportunistic") for hop in hops]

    async def tend(self) -> None:
        """Close connections that had no work for a while."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        for key, sessions in list(self._idle.items()):
            for session in [s for s in sessions if s.idle_since < oldest]:
                sessions.remove(session)
                await session.close()
            if not sessions:
                self._idle.pop(key, None)

    async def close(self) -> None:
        """Close every connection that is kept."""
        while self._idle:
            _, sessions = self._idle.popitem()
            for session in sessions:
                await session.close()
