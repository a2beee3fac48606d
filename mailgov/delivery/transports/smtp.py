"""To the next server: the way to it, and connections that are kept for a while."""

import asyncio
import random
from dataclasses import replace
from functools import partial
from itertools import chain

from mailgov import faults
from mailgov.config import Delivery
from mailgov.delivery.mx import Hop, Router, is_own_address
from mailgov.delivery.tls_policy import TlsPolicies, Way
from mailgov.delivery.tls_results import AppliedPolicy, Observed, TlsResults
from mailgov.delivery.transports import Answer, Answers, Fence, Parcel, Taken
from mailgov.delivery.transports.pool import Pool
from mailgov.delivery.transports.security import Security, kind_of
from mailgov.delivery.transports.smtp_content import demands
from mailgov.delivery.transports.smtp_session import Login, NotOffered, Server, SmtpSession
from mailgov.delivery.transports.wire import TlsFailed
from mailgov.errors import DeliveryDeferred, DeliveryRefused
from mailgov.logs import logger
from mailgov.queue import QueueItem
from mailgov.resolver import IpAddress, Resolver

SMTP_PORT = 25
MAX_TARGETS = 6
"""Addresses tried in one attempt."""

_LEVELS = {
    "none": Security("clear"),
    "opportunistic": Security("opportunistic"),
    "required": Security("verified"),
    "implicit": Security("verified", implicit=True),
}

log = logger("delivery")


class SmtpTransport:
    """Delivers by MX records, or to the smarthost when one is set.

    Without `policies` TLS is taken as it comes; `results` hears how it came.
    """

    def __init__(
        self,
        settings: Delivery,
        hostname: str,
        resolver: Resolver,
        *,
        port: int = SMTP_PORT,
        policies: TlsPolicies | None = None,
        results: TlsResults | None = None,
        login: Login | None = None,
    ) -> None:
        self._settings = settings
        self._hostname = hostname
        self._port = port
        self._policies = policies or TlsPolicies(settings, resolver)
        self._results = results
        self._login = login
        own = frozenset(settings.own_addresses)

        def is_own(address: IpAddress) -> bool:
            return address in own or is_own_address(address)

        self._router = Router(resolver, hostname, settings.allow_loopback, is_own, random.shuffle)
        self._pool = Pool()

    async def deliver(self, parcel: Parcel, fence: Fence) -> Answers:
        """One transaction for all recipients of the parcel, or more where the peer takes fewer."""
        content = chain([parcel.message.prefix], parcel.body.chunks())
        wanted = await asyncio.to_thread(demands, content)
        if wanted.bare_line_ends:
            raise DeliveryRefused("bare-line-ends")
        key = self._settings.smarthost or parcel.destination
        if parcel.message.require_tls:
            key = f"{key} REQUIRETLS"
        # RFC 8689, 4.1: who asks for both gets the safe one.
        regardless = wanted.tls_not_required and not parcel.message.require_tls
        if regardless:
            key = f"{key} TLS-REQUIRED=NO"  # others must not get the connection
        connect = partial(self._connect, parcel.destination, regardless=regardless)
        answers: dict[int, Answer] = {}
        left = parcel
        while True:
            told = await self._pool.send(key, connect, left, wanted, fence)
            answers |= told
            again = _beyond_the_limit(left, told)
            if not again:
                return answers
            left = replace(left, items=tuple(again))

    async def _connect(self, destination: str, *, regardless: bool) -> SmtpSession:
        ways = await self._ways(destination, regardless=regardless)
        faults.point("D2")
        trouble = DeliveryDeferred("peer-unreachable", host=destination, reason="no address")
        targets = [(way, address) for way in ways for address in way.hop.addresses]
        for way, address in targets[:MAX_TARGETS]:
            try:
                return await self._open(way, address)
            except DeliveryDeferred as exc:
                log.info("peer.unreachable", host=way.hop.host, address=address, why=str(exc))
                trouble = exc
        raise trouble

    async def _ways(self, destination: str, *, regardless: bool) -> list[Way]:
        if self._settings.smarthost:
            host = self._settings.smarthost.rpartition(":")[0].strip("[]")
            security = _LEVELS[self._settings.smarthost_tls]
            return [Way(Hop(host, (host,)), security, AppliedPolicy(destination))]
        hops = await self._router.route(destination)
        if regardless:
            return self._policies.regardless(destination, hops)
        return await self._policies.ways(destination, hops, self._port)

    def _server(self, way: Way, address: str, security: Security) -> Server:
        port = self._port
        if self._settings.smarthost:
            port = int(self._settings.smarthost.rpartition(":")[2])
        return Server(way.hop.host, address, port, security, login=self._login)

    async def _open(self, way: Way, address: str) -> SmtpSession:
        """A session as sure as the policy demands. Raises DeliveryDeferred.

        A policy in its trial is tried first, and its trouble written down. Opportunistic TLS goes
        on in clear when it fails: without a policy nobody can tell the right server anyway.
        """
        security = way.security
        levels = [Security(security.trial)] if security.trial else []
        levels.append(replace(security, trial=""))
        if not security.is_demanded and security.level != "clear":
            levels.append(Security("clear"))
        trouble: TlsFailed | None = None
        for level in levels:
            try:
                session = await SmtpSession.open(
                    self._server(way, address, level),
                    self._hostname,
                    self._settings.tls_authorities,
                )
            except TlsFailed as exc:
                if trouble is None:
                    self._note(way, address, exc.local_address, exc)
                trouble = exc
                continue
            if trouble is None:
                failure = None if session.is_secured else NotOffered("")
                self._note(way, address, session.local_address, failure)
            return session
        assert trouble is not None
        reason = str(trouble.args[0])
        raise DeliveryDeferred("peer-unsafe", host=way.hop.host, reason=reason) from trouble

    def _note(self, way: Way, address: str, local: str, failure: TlsFailed | None) -> None:
        if self._results is None or self._settings.smarthost or way.policy is None:
            return
        kind = ""
        if isinstance(failure, NotOffered):
            kind = "starttls-not-supported"
        elif failure is not None:
            kind = kind_of(failure)
        reason = str(failure.args[0])[:200] if failure is not None else ""
        self._results.note(Observed(way.policy, kind, way.hop.host, address, reason, local))

    async def tend(self) -> None:
        """Close connections that had no work for a while; write down how they were secured."""
        await self._pool.tend()
        if self._results is not None:
            await self._results.tend()

    async def close(self) -> None:
        """Close every connection that is kept, and write down what was counted."""
        await self._pool.close()
        if self._results is not None:
            await self._results.write()


def _beyond_the_limit(parcel: Parcel, told: Answers) -> list[QueueItem]:
    """Recipients that the peer wants in a transaction of their own (RFC 5321, 4.5.3.1.10)."""
    if not any(isinstance(answer, Taken) for answer in told.values()):
        return []
    return [
        item
        for item in parcel.items
        if isinstance(answer := told.get(item.recipient_id), DeliveryDeferred)
        and answer.reply.startswith("452")
    ]
