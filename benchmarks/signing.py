"""What a DKIM signature costs, by size and kind of key; and what dkimpy alone would take.

    python benchmarks/signing.py [--quick]

CPU time per message of one thread: header, body hash, signature. The body comes from memory, and
for the largest size from a file in pieces, as the spool gives it. `blanks` is one line of blanks,
which costs dkimpy's expressions the square of its length.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mailgov.message import Body
from mailgov.signing.canonical import RelaxedBody, body_hash, split_fields
from mailgov.signing.keys import PrivateKey
from mailgov.signing.sign import signature_field

HEADER = (
    b"From: An <an@sonoivu.tinhmau.gov.vn>\r\nTo: binh@example.vn\r\n"
    b"Subject: =?utf-8?q?Gi=E1=BA=A5y_m=E1=BB=9Di_h=E1=BB=8Dp?=\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
)
DKIMPY_BYTES = 2 << 20
"""Larger messages would take dkimpy too long to be worth the wait."""

LINE = "Kính gửi các đồng chí lãnh đạo Sở Nội vụ tỉnh Mẫu,\r\n".encode()


def message_of(size_bytes: int) -> bytes:
    """A message of about that size."""
    return HEADER + b"\r\n" + LINE * (size_bytes // len(LINE))


def as_body(message: bytes, path: Path | None = None) -> Body:
    """The message as the gate has it: in memory, or in a file."""
    digest = sha256(message).digest()
    if path is None:
        return Body(len(message), digest, data=message)
    path.write_bytes(message)
    return Body(len(message), digest, path=path)


def sign(key: PrivateKey, body: Body) -> bytes:
    """What `Signer` does in its thread."""
    digest = body_hash(body.chunks(), RelaxedBody())
    return signature_field(key, "2026a", "tinhmau.gov.vn", split_fields(HEADER), digest, 1)


def sign_with_dkimpy(pem: bytes, message: bytes) -> bytes:
    """The library as it comes."""
    forms = (b"relaxed", b"relaxed")
    signed: bytes = dkim.sign(message, b"2026a", b"tinhmau.gov.vn", pem, canonicalize=forms)
    return signed


def cpu_ms(work: Callable[[], object], seconds: float) -> float:
    """Milliseconds of processor time for one run, over at least `seconds` of it."""
    work()
    runs, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        work()
        runs += 1
    return 1000 * (time.process_time() - began) / runs


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    seconds = 0.2 if parser.parse_args().quick else 2.0
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    edwards_key = ed25519.Ed25519PrivateKey.generate()
    pem = rsa_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    blanks = HEADER + b"\r\n" + b" " * 40_000 + b"x\r\n"
    print(f"{'message':>10} {'rsa2048':>10} {'ed25519':>10} {'dkimpy':>10}   ms of CPU each")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            ("4 KB", message_of(4 << 10), None),
            ("100 KB", message_of(100 << 10), None),
            ("1 MB", message_of(1 << 20), None),
            ("10 MB", message_of(10 << 20), Path(folder) / "body"),
            ("blanks", blanks, None),
        ]
        for name, message, path in cases:
            body = as_body(message, path)
            costs = [
                cpu_ms(partial(sign, rsa_key, body), seconds),
                cpu_ms(partial(sign, edwards_key, body), seconds),
                cpu_ms(partial(sign_with_dkimpy, pem, message), seconds)
                if len(message) < DKIMPY_BYTES
                else float("nan"),
            ]
            print(f"{name:>10} " + " ".join(f"{cost:>10.2f}" for cost in costs))  # noqa: T201


if __name__ == "__main__":
    main()
