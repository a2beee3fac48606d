"""Policies of other domains: read, fetched over HTTPS, kept."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from mailgov.db import Database
from mailgov.delivery.mta_sts import (
    MAX_POLICY_OCTETS,
    HttpsFetch,
    Policy,
    PolicyTrouble,
    StsPolicies,
    read_policy,
    record_id,
)
from mailgov.errors import DeliveryDeferred, Unavailable

from ...support.dns import FakeResolver
from ..queue.samples import NOON

TEXT = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.vn\r\nmx: *.b.vn\r\nmax_age: 604800\r\n"
DNS = FakeResolver(txt_of={"_mta-sts.a.vn": [b"v=STSv1; id=20260101T0;"]})


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=STSv1; id=20260101T0;"], "20260101T0"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ; x=y; id=1"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=2;"], "2"),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], ""),
        ([b"v=STSv1; id=not-one;"], ""),
        ([b"v=STSv10; id=1;"], ""),
        ([b"v=STSv1;"], ""),
        ([], ""),
    ],
)
def test_the_record(records: list[bytes], found: str) -> None:
    assert record_id(records) == found


def test_the_policy() -> None:
    policy = read_policy(TEXT)
    assert policy == Policy("enforce", ("mx.a.vn", "*.b.vn"), timedelta(days=7))
    assert [policy.allows(h) for h in ("mx.a.vn", "x.b.vn", "b.vn", "y.x.b.vn", "x.a.vn")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert read_policy("version: STSv1\nmode: none\nmax_age: 0\n").mode == "none"
    first = read_policy(TEXT + "mode: none\nnew_field: x\nwithout colon\n")
    assert first.mode == "enforce"


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("STSv1", "STSv2"),
        TEXT.replace("enforce", "perhaps"),
        TEXT.replace("604800", "-1"),
        TEXT.replace("604800", "a week"),
        "version: STSv1\nmode: enforce\nmax_age: 1\n",
    ],
)
def test_no_policy(text: str) -> None:
    with pytest.raises(PolicyTrouble) as caught:
        read_policy(text)
    assert caught.value.kind == "sts-policy-invalid"


@dataclass
class Publisher:
    """What a domain publishes; None is a file that can't be had."""

    text: str | None = TEXT
    fetched: int = 0
    troubles: list[str] = field(default_factory=list)
    now: datetime = NOON

    async def fetch(self, _domain: str) -> str:
        self.fetched += 1
        if self.text is None:
            raise PolicyTrouble("sts-policy-fetch-error", "HTTP 404")
        return self.text

    def policies(self, database: Database, resolver: FakeResolver = DNS) -> StsPolicies:
        return StsPolicies(
            resolver,
            database,
            lambda: self.now,
            self.fetch,
            lambda _domain, trouble: self.troubles.append(trouble.kind),
        )


async def test_a_policy_is_fetched_once_and_outlives_a_restart(any_database: Database) -> None:
    publisher = Publisher()
    for _ in range(3):
        policy = await publisher.policies(any_database).of("a.vn")
        assert policy is not None
        assert policy.mode == "enforce"
    assert publisher.fetched == 1


async def test_a_domain_without_a_record_has_no_policy(database: Database) -> None:
    publisher = Publisher()
    assert await publisher.policies(database).of("b.vn") is None
    assert publisher.fetched == 0


@pytest.mark.parametrize("trouble", ["the record is gone", "DNS does not answer", "no file"])
async def test_nobody_can_make_us_forget_a_policy(database: Database, trouble: str) -> None:
    publisher = Publisher()
    assert await publisher.policies(database).of("a.vn")
    dns = {
        "the record is gone": FakeResolver(),
        "DNS does not answer": FakeResolver(broken=frozenset({"_mta-sts.a.vn"})),
        "no file": FakeResolver(txt_of={"_mta-sts.a.vn": [b"v=STSv1; id=2;"]}),
    }[trouble]
    publisher.text = None
    policy = await publisher.policies(database, dns).of("a.vn")
    assert policy is not None
    assert policy.mode == "enforce"
    publisher.now += timedelta(days=8)  # it asked for seven
    if trouble == "the record is gone":
        assert await publisher.policies(database, dns).of("a.vn") is None


async def test_a_new_id_brings_the_new_policy(database: Database) -> None:
    publisher = Publisher()
    await publisher.policies(database).of("a.vn")
    publisher.text = TEXT.replace("enforce", "none")
    dns = FakeResolver(txt_of={"_mta-sts.a.vn": [b"v=STSv1; id=2;"]})
    assert await publisher.policies(database).of("a.vn")
    first = await publisher.policies(database, dns).of("a.vn")
    assert first is None or first.mode == "none"
    assert await publisher.policies(database, dns).of("a.vn") is None
    assert publisher.fetched == 2


async def test_mail_waits_a_day_for_a_policy_that_is_announced(database: Database) -> None:
    publisher = Publisher(text=None)
    policies = publisher.policies(database)
    for _ in range(2):
        with pytest.raises(DeliveryDeferred, match="policy-unavailable"):
            await policies.of("a.vn")
    assert publisher.fetched == 1  # not again within five minutes
    publisher.now += timedelta(hours=25)
    assert await policies.of("a.vn") is None  # RFC 8461, 3.3
    assert publisher.troubles == ["sts-policy-fetch-error"] * 2


async def test_without_an_answer_from_dns_mail_waits(database: Database) -> None:
    dns = FakeResolver(broken=frozenset({"_mta-sts.a.vn"}))
    with pytest.raises(Unavailable):
        await Publisher().policies(database, dns).of("a.vn")


HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def publishing(
    answer: str, authority: trustme.CA, folder: Path, name: str = "mta-sts.a.vn"
) -> AsyncIterator[tuple[HttpsFetch, list[str]]]:
    """A policy host on loopback, and who fetches from it."""
    asked: list[str] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    years = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    authority.issue_cert(name, not_before=years[0], not_after=years[1]).configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        writer.write(answer.encode())
        try:
            await writer.drain()
        except ConnectionError:
            pass  # it has read enough
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    resolver = FakeResolver(addresses_of={"mta-sts.a.vn": ["127.0.0.1"]})
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield HttpsFetch(resolver, [path], allow_loopback=True, port=port), asked


async def test_over_https_from_the_policy_host(tmp_path: Path) -> None:
    async with publishing(HEAD + TEXT, trustme.CA(), tmp_path) as (fetch, asked):
        assert await fetch("a.vn") == TEXT
    assert asked[0].startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.a.vn\r\n")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "sts-policy-fetch-error"),
        (
            "HTTP/1.1 302 Go\r\nLocation: https://mta-sts.a.vn/x\r\nContent-Length: 0\r\n\r\n",
            "sts-policy-fetch-error",
        ),
        (HEAD.replace("text/plain", "text/html") + TEXT, "sts-policy-fetch-error"),
        (HEAD + "x" * (MAX_POLICY_OCTETS + 1), "sts-policy-invalid"),
        ("nonsense\r\n\r\n", "sts-policy-fetch-error"),
    ],
    ids=["missing", "redirect", "html", "too large", "nonsense"],
)
async def test_what_is_no_answer(answer: str, kind: str, tmp_path: Path) -> None:
    async with publishing(answer, trustme.CA(), tmp_path) as (fetch, asked):
        with pytest.raises(PolicyTrouble) as caught:
            await fetch("a.vn")
    assert caught.value.kind == kind
    assert len(asked) == 1


async def test_a_host_that_can_not_prove_its_name_is_not_believed(tmp_path: Path) -> None:
    async with publishing(HEAD + TEXT, trustme.CA(), tmp_path, "www.a.vn") as (fetch, asked):
        with pytest.raises(PolicyTrouble) as caught:
            await fetch("a.vn")
    assert caught.value.kind == "sts-webpki-invalid"
    assert asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "169.254.169.254"])
async def test_no_zone_makes_us_ask_this_host(address: str) -> None:
    fetch = HttpsFetch(FakeResolver(addresses_of={"mta-sts.a.vn": [address]}))
    with pytest.raises(PolicyTrouble):
        await fetch("a.vn")
