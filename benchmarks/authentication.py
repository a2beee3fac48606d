"""What the checks on one inbound message cost: SPF, DKIM, DMARC, ARC, with DNS in the cache.

    python benchmarks/authentication.py [--quick]

CPU time per message on the event loop and its threads together, and the time that one message waits
(p50, p99) when they come one by one. A DNS server on loopback answers the first questions; all
others come from the resolver's cache, as for most mail.
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import dns.flags
import dns.message
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mailgov.addresses import Address
from mailgov.authentication import InboundAuthentication
from mailgov.clock import utc_now
from mailgov.config import Dns
from mailgov.message import Body, Client, Envelope, Recipient
from mailgov.resolver import DnsResolver
from mailgov.signing.canonical import RelaxedBody, body_hash, split_fields
from mailgov.signing.dns_records import dkim_value
from mailgov.signing.keys import PrivateKey, public_key
from mailgov.signing.sign import signature_field

DOMAIN = "sonoivu.tinhmau.gov.vn"
HEADER = (
    f"From: An <an@{DOMAIN}>\r\nTo: binh@example.vn\r\nSubject: Thu\r\n"
    "Date: Mon, 23 Nov 2026 12:00:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
).encode()
LINE = "Kính gửi các đồng chí lãnh đạo Sở Nội vụ tỉnh Mẫu,\r\n".encode()


def message_of(size_bytes: int, keys: dict[str, PrivateKey]) -> bytes:
    """A message of about that size, signed with each key."""
    message = HEADER + b"\r\n" + LINE * (size_bytes // len(LINE))
    digest, fields = body_hash([message], RelaxedBody()), split_fields(HEADER)
    moment = int(time.time())
    signed = (
        signature_field(key, selector, DOMAIN, fields, digest, moment)
        for selector, key in keys.items()
    )
    return b"".join(signed) + message


class _Names(asyncio.DatagramProtocol):
    """A DNS server of a few text records; no other name exists."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name = query.question[0].name
        text = self._texts.get(name.to_text(omit_final_dot=True).lower())
        if text is not None:
            pieces = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
            response.answer.append(dns.rrset.from_text(name, 3600, "IN", "TXT", pieces))
        self._transport.sendto(response.to_wire(), addr)


@contextlib.asynccontextmanager
async def names(texts: dict[str, str]) -> AsyncIterator[str]:
    """The server's address."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Names(texts), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    try:
        yield f"{host}:{port}"
    finally:
        transport.close()


async def measure(seconds: float) -> None:
    """Print a table."""
    keys: dict[str, PrivateKey] = {
        "r": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "e": ed25519.Ed25519PrivateKey.generate(),
    }
    kinds = {"r": "rsa2048", "e": "ed25519"}
    texts = {
        f"{selector}._domainkey.{DOMAIN}": dkim_value(kinds[selector], public_key(key))
        for selector, key in keys.items()
    }
    texts[DOMAIN] = "v=spf1 ip4:192.0.2.0/24 -all"
    texts["_dmarc.tinhmau.gov.vn"] = "v=DMARC1; p=reject; rua=mailto:r@tinhmau.gov.vn"
    envelope = Envelope(
        "inbound", Address("an", DOMAIN), (Recipient(Address("b", "vidu.gov.vn")),),
        client=Client(ip="192.0.2.7", helo=f"mail.{DOMAIN}"),
    )  # fmt: skip
    print(f"{'message':>16} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8}")  # noqa: T201
    async with names(texts) as server:
        resolver = DnsResolver(Dns(nameservers=[server]))
        checks = InboundAuthentication("mail.vidu.gov.vn", resolver, utc_now)
        for label, size, signers in (
            ("4 KB unsigned", 4 << 10, {}), ("4 KB", 4 << 10, keys), ("100 KB", 100 << 10, keys),
            ("1 MB", 1 << 20, keys),
        ):  # fmt: skip
            data = message_of(size, signers)
            header = data.partition(b"\r\n\r\n")[0] + b"\r\n"
            body = Body(len(data), sha256(data).digest(), data=data)
            found = await checks.check(envelope, header, body, [DOMAIN])
            assert found.results.dmarc == "pass", found
            waits, began, used = [], time.perf_counter(), time.process_time()
            while time.perf_counter() - began < seconds:
                start = time.perf_counter()
                await checks.check(envelope, header, body, [DOMAIN])
                waits.append(1000 * (time.perf_counter() - start))
            cpu = 1000 * (time.process_time() - used) / len(waits)
            p99 = sorted(waits)[int(len(waits) * 0.99)]
            print(f"{label:>16} {cpu:>8.2f} {statistics.median(waits):>8.2f} {p99:>8.2f}")  # noqa: T201


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    asyncio.run(measure(0.5 if parser.parse_args().quick else 3.0))


if __name__ == "__main__":
    main()
