"""How sure we must be of the servers of a domain before mail goes to them.

The first that applies: TLSA records of the server (DANE, RFC 7672), the domain's published policy
(MTA-STS, RFC 8461), our own list of domains. Where none does, TLS is taken as it comes (RFC 7435).
DANE comes before MTA-STS (RFC 8461, 2), and nothing undoes our own list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailgov.addresses import is_within
from mailgov.config import Delivery
from mailgov.delivery import dane
from mailgov.delivery.mta_sts import Policy, StsPolicies
from mailgov.delivery.mx import Hop
from mailgov.delivery.tls_results import AppliedPolicy, Observed, TlsResults
from mailgov.delivery.transports.security import Security
from mailgov.errors import DeliveryDeferred, Unavailable
from mailgov.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Way:
    """A server that may be called, how sure we must be of it, and by which policy."""

    hop: Hop
    security: Security
    policy: AppliedPolicy | None  # None: whatever it may be, it was not asked for


class TlsPolicies:
    """Decides for each domain and server. `sts` and `results` are None where they are not wanted."""

    def __init__(
        self,
        settings: Delivery,
        resolver: Resolver,
        sts: StsPolicies | None = None,
        results: TlsResults | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._sts = sts
        self._results = results

    async def ways(self, domain: str, hops: Sequence[Hop], port: int) -> list[Way]:
        """The servers that may be called, in order; never empty.

        Raises DeliveryDeferred `peer-unsafe`, `policy-unavailable`; Unavailable when DNS does not
        answer.
        """
        policy = await self._sts.of(domain) if self._sts is not None else None
        ways: list[Way] = []
        trouble = DeliveryDeferred("peer-unsafe", host=domain, reason="no server fits its policy")
        for hop in hops:
            try:
                way = await self._way(domain, hop, port, policy)
            except Unavailable:
                # RFC 7672, 2.1.1: without an answer about TLSA there is no way to this server.
                applied = AppliedPolicy(domain, "tlsa", mx=(hop.host,))
                self._note(Observed(applied, "dnssec-invalid", hop.host))
                trouble = DeliveryDeferred(
                    "peer-unsafe", host=hop.host, reason="no answer about its TLSA records"
                )
                continue
            if way is not None:
                ways.append(way)
        if not ways:
            raise trouble
        return ways

    def regardless(self, domain: str, hops: Sequence[Hop]) -> list[Way]:
        """The servers, for mail whose sender does not mind who reads it (RFC 8689, 3).

        What the recipients' domain wants counts for nothing then; our own list does.
        """
        is_listed = is_within(domain, self._settings.enforced_tls)
        security = Security("verified" if is_listed else "opportunistic")
        return [Way(hop, security, None) for hop in hops]

    async def _way(self, domain: str, hop: Hop, port: int, policy: Policy | None) -> Way | None:
        is_listed = is_within(domain, self._settings.enforced_tls)
        by_dane = await self._by_dane(domain, hop, port)
        if by_dane is not None and (by_dane.security.is_authenticated or not is_listed):
            return by_dane
        if policy is not None:
            by_policy = self._by_policy(domain, hop, policy)
            if by_policy is None or not is_listed:
                return by_policy
            return Way(hop, Security("verified"), by_policy.policy)
        applied = AppliedPolicy(domain)
        return Way(hop, Security("verified" if is_listed else "opportunistic"), applied)

    async def _by_dane(self, domain: str, hop: Hop, port: int) -> Way | None:
        if not (self._settings.dane and hop.secure):  # RFC 7672, 2.2.1 and 2.2.2
            return None
        found = await self._resolver.tlsa(f"_{port}._tcp.{hop.host}")
        if not (found.secure and found.records):
            return None
        strings = tuple(
            f"{r.usage} {r.selector} {r.matching} {r.data.hex()}" for r in found.records
        )
        applied = AppliedPolicy(domain, "tlsa", strings, (hop.host,))
        records = dane.usable(found.records)
        # RFC 7672, 2.2: records that say nothing still say that there is TLS.
        security = Security("dane", tlsa=records) if records else Security("encrypted")
        return Way(hop, security, applied)

    def _by_policy(self, domain: str, hop: Hop, policy: Policy) -> Way | None:
        applied = AppliedPolicy(domain, "sts", tuple(policy.lines), policy.mx)
        if not policy.allows(hop.host):
            self._note(Observed(applied, "validation-failure", hop.host, reason="mx not in policy"))
            if policy.mode == "enforce":
                return None
            return Way(hop, Security("opportunistic"), applied)
        if policy.mode == "enforce":
            return Way(hop, Security("verified"), applied)
        return Way(hop, Security("opportunistic", trial="verified"), applied)

    def _note(self, observed: Observed) -> None:
        if self._results is not None:
            self._results.note(observed)
