"""TLS policies that domains publish over HTTPS (MTA-STS, RFC 8461): found, fetched, kept.

A policy is kept as long as it asks for, across restarts, whatever DNS or the web say meanwhile:
who can keep us from fetching it must not be able to undo it.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, cast

import httpx2
from sqlmodel import Session

from mailgov.clock import Clock
from mailgov.db import Database
from mailgov.db.models import StsPolicy
from mailgov.delivery.mx import is_never_a_server
from mailgov.errors import DeliveryDeferred, Unavailable
from mailgov.logs import logger
from mailgov.resolver import Resolver

Mode = Literal["enforce", "testing", "none"]

FETCH_SECONDS = 60.0  # RFC 8461, 3.3
MAX_POLICY_OCTETS = 64 << 10
MAX_AGE_SECONDS = 31_557_600  # RFC 8461, 3.2
MAX_MX = 100

AGAIN = timedelta(minutes=5)
"""A fetch that failed is not tried again before this time (RFC 8461, 3.3)."""

PATIENCE = timedelta(hours=24)
"""So long mail waits for a policy that is announced and can't be had; then it goes without."""

_RECORD = re.compile(rb"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID = re.compile(rb"[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*")

log = logger("delivery")


class PolicyTrouble(Exception):
    """The policy can't be had. `kind` is of RFC 8460, 4.3.2.2."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain asks of those who send to it."""

    mode: Mode
    mx: tuple[str, ...]  # names, or `*.` before one; lower case
    max_age: timedelta

    def allows(self, host: str) -> bool:
        """Whether a server may take the domain's mail (RFC 8461, 4.1)."""
        return host in self.mx or f"*.{host.partition('.')[2]}" in self.mx

    @property
    def lines(self) -> list[str]:
        """As in reports (RFC 8460, 4.4)."""
        return [
            "version: STSv1",
            f"mode: {self.mode}",
            *(f"mx: {name}" for name in self.mx),
            f"max_age: {int(self.max_age.total_seconds())}",
        ]


def record_id(records: Sequence[bytes]) -> str:
    """The id in the TXT record at `_mta-sts`; empty when there is no record, or no one record."""
    found = [match[1] for record in records if (match := _RECORD.fullmatch(record))]
    if len(found) != 1:  # RFC 8461, 3.1
        return ""
    ids = [match[1] for part in found[0].split(b";") if (match := _ID.fullmatch(part))]
    return ids[0].decode() if ids else ""


def read_policy(text: str) -> Policy:
    """Read a policy file (RFC 8461, 3.2). Raises PolicyTrouble `sts-policy-invalid`."""
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        key, colon, value = line.partition(":")
        if not colon:
            continue
        value = value.strip()
        if key == "mx":
            mx.append(value.lower().rstrip("."))
        else:
            fields.setdefault(key, value)  # of two, the first counts
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if fields.get("version") != "STSv1":
        raise PolicyTrouble("sts-policy-invalid", "no version STSv1")
    if mode not in ("enforce", "testing", "none"):
        raise PolicyTrouble("sts-policy-invalid", "no mode")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise PolicyTrouble("sts-policy-invalid", "no max_age")
    if not mx and mode != "none":
        raise PolicyTrouble("sts-policy-invalid", "no mx")
    seconds = min(int(age), MAX_AGE_SECONDS)
    return Policy(cast("Mode", mode), tuple(mx[:MAX_MX]), timedelta(seconds=seconds))


Fetch = Callable[[str], Awaitable[str]]
"""The text of a domain's policy file. Raises PolicyTrouble."""


class HttpsFetch:
    """Fetches policies, from nobody but the policy host: no redirects, no proxy, a bounded file."""

    def __init__(
        self,
        resolver: Resolver,
        authorities: Sequence[Path] = (),
        *,
        allow_loopback: bool = False,
        port: int = 443,
    ) -> None:
        self._resolver = resolver
        self._authorities = tuple(authorities)
        self._allow_loopback = allow_loopback
        self._port = port

    async def __call__(self, domain: str) -> str:
        """The text of the file. Raises PolicyTrouble."""
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._fetch(host, await self._address(host))
        except TimeoutError as exc:
            raise PolicyTrouble("sts-policy-fetch-error", "no answer in time") from exc
        except Unavailable as exc:
            raise PolicyTrouble("sts-policy-fetch-error", "no address") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError) as exc:
            is_certificate = "CERTIFICATE_VERIFY_FAILED" in str(exc)
            kind = "sts-webpki-invalid" if is_certificate else "sts-policy-fetch-error"
            raise PolicyTrouble(kind, type(exc).__name__) from exc

    async def _address(self, host: str) -> str:
        found = (await self._resolver.addresses(host)).records
        good = [a for a in found if self._allow_loopback or not is_never_a_server(a)]
        if not good:
            raise PolicyTrouble("sts-policy-fetch-error", "no address")
        fours = [a for a in good if a.version == 4]
        best = (fours or good)[0]
        return f"[{best}]" if best.version == 6 else str(best)

    async def _fetch(self, host: str, address: str) -> str:
        context = await asyncio.to_thread(_context, self._authorities)
        url = f"https://{address}:{self._port}/.well-known/mta-sts.txt"
        async with (
            httpx2.AsyncClient(verify=context, trust_env=False, timeout=FETCH_SECONDS) as client,
            client.stream(
                "GET", url, headers={"Host": host}, extensions={"sni_hostname": host}
            ) as answer,
        ):
            if answer.status_code != 200:  # RFC 8461, 3.3: redirects are not followed
                raise PolicyTrouble("sts-policy-fetch-error", f"HTTP {answer.status_code}")
            if answer.headers.get("content-type", "").partition(";")[0].strip() != "text/plain":
                raise PolicyTrouble("sts-policy-fetch-error", "not text/plain")
            octets = b""
            async for piece in answer.aiter_bytes():
                octets += piece
                if len(octets) > MAX_POLICY_OCTETS:
                    raise PolicyTrouble("sts-policy-invalid", "too large")
        return octets.decode("utf-8", "replace")


@cache
def _context(authorities: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in authorities:
        context.load_verify_locations(path)
    return context


class StsPolicies:
    """The policy of each domain, from what is kept and what is published."""

    def __init__(
        self,
        resolver: Resolver,
        database: Database,
        clock: Clock,
        fetch: Fetch,
        told: Callable[[str, PolicyTrouble], None] = lambda _domain, _trouble: None,
    ) -> None:
        """`told` hears of each fetch that failed."""
        self._resolver = resolver
        self._database = database
        self._clock = clock
        self._fetch = fetch
        self._told = told
        self._failed: dict[str, tuple[datetime, datetime]] = {}  # first and last failure

    async def of(self, domain: str) -> Policy | None:
        """The policy that counts now; None when the domain has none.

        Raises DeliveryDeferred `policy-unavailable`, Unavailable when DNS does not answer.
        """
        kept = await self._kept(domain)
        try:
            wanted = record_id((await self._resolver.txt(f"_mta-sts.{domain}")).records)
        except Unavailable:
            if kept is None:
                raise
            return _policy(kept)
        if not wanted or (kept is not None and kept.policy_id == wanted):
            self._failed.pop(domain, None)
            return _policy(kept)
        fresh = await self._fresh(domain, wanted)
        if fresh is not None:
            return fresh
        if kept is None and self._is_worth_waiting(domain):
            raise DeliveryDeferred("policy-unavailable", domain=domain)
        return _policy(kept)

    async def _kept(self, domain: str) -> StsPolicy | None:
        row = await self._database.query(lambda session: session.get(StsPolicy, domain))
        return row if row is not None and row.expires_at > self._clock() else None

    async def _fresh(self, domain: str, policy_id: str) -> Policy | None:
        """Fetch and keep it; None when it can't be had now."""
        now = self._clock()
        first, last = self._failed.get(domain, (now, now - AGAIN))
        if now - last < AGAIN:
            return None
        try:
            policy = read_policy(await self._fetch(domain))
        except PolicyTrouble as exc:
            if len(self._failed) >= _MAX_FAILED:
                self._failed.clear()
            self._failed[domain] = (first, now)
            self._told(domain, exc)
            log.warning("policy.unavailable", domain=domain, kind=exc.kind, why=str(exc))
            return None
        self._failed.pop(domain, None)
        row = StsPolicy(
            domain=domain,
            policy_id=policy_id,
            mode=policy.mode,
            mx=list(policy.mx),
            fetched_at=now,
            expires_at=now + policy.max_age,
        )

        def keep(session: Session) -> None:
            session.merge(row)

        await self._database.submit(keep)
        return policy

    def _is_worth_waiting(self, domain: str) -> bool:
        first, last = self._failed.get(domain, (self._clock(), self._clock()))
        return last - first < PATIENCE


_MAX_FAILED = 10_000


def _policy(row: StsPolicy | None) -> Policy | None:
    if row is None or row.mode == "none":
        return None
    return Policy(cast("Mode", row.mode), tuple(row.mx), row.expires_at - row.fetched_at)
