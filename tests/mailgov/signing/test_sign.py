"""Signatures on what we send: others verify them, and changes break them."""

from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailgov.db import Database
from mailgov.errors import ConfigError, Unavailable
from mailgov.message import Body
from mailgov.signing import Signer, keys
from mailgov.signing.keyring import KeyRing
from mailgov.signing.signature import OVERSIGNED
from mailgov.signing.verify import verify

from ...support.dns import FakeResolver
from .samples import (
    DOMAIN,
    MESSAGE,
    THEN,
    activate,
    add_domain,
    add_key,
    as_body,
    dkimpy_accepts,
    header_of,
    signatures_in,
)


@pytest.fixture(scope="module")
def made_keys() -> list[keys.PrivateKey]:
    """Two RSA keys: making them takes longer than all else here."""
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


@pytest.fixture(autouse=True)
def no_new_rsa_keys(made_keys: list[keys.PrivateKey], monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter(made_keys)
    new = keys._new_key

    def made(algorithm: keys.Algorithm) -> keys.PrivateKey:
        return next(left) if algorithm == "rsa2048" else new(algorithm)

    monkeypatch.setattr(keys, "_new_key", made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def record(database: Database, folder: Path) -> str:
    add_domain(database)
    return add_key(database, folder)


async def signed(database: Database, folder: Path, message: bytes = MESSAGE) -> bytes:
    signer = Signer(database, KeyRing(folder), lambda: THEN)
    fields = await signer.sign(header_of(message), as_body(message), DOMAIN)
    assert fields is not None
    return fields + message


async def test_others_verify_what_we_sign(database: Database, folder: Path, record: str) -> None:
    message = await signed(database, folder)
    assert dkimpy_accepts(message, record)
    (tags,) = signatures_in(message)
    assert (tags["a"], tags["c"], tags["d"], tags["s"], tags["t"]) == (
        "rsa-sha256",
        "relaxed/relaxed",
        DOMAIN,
        "2026a",
        str(int(THEN.timestamp())),
    )
    assert "l" not in tags
    assert max(len(line) for line in message.split(b"\r\n")) <= 78


async def test_what_readers_see_is_signed_once_more_than_it_occurs(
    database: Database, folder: Path, record: str
) -> None:
    (tags,) = signatures_in(await signed(database, folder))
    names = Counter(tags["h"].split(":"))
    present = Counter(line.split(b":")[0].lower() for line in header_of(MESSAGE).splitlines())
    for name in OVERSIGNED:
        assert names[name.decode()] == present[name] + 1


@pytest.mark.parametrize("name", OVERSIGNED)
async def test_nobody_can_add_a_field_that_readers_see(
    database: Database, folder: Path, record: str, name: bytes
) -> None:
    field = name + b": other"
    message = await signed(database, folder)
    header, _, body = message.partition(b"\r\n\r\n")
    assert dkimpy_accepts(message, record)
    assert not dkimpy_accepts(field + b"\r\n" + message, record)
    assert not dkimpy_accepts(header + b"\r\n" + field + b"\r\n\r\n" + body, record)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Giay   moi", b"Giay bao"),
        (b"an@sonoivu", b"anh@sonoivu"),
        (b"Dong cuoi", b"Dong kia"),
        (b"\r\n\r\n\r\n", b"\r\n\r\nthem\r\n"),
        (b"Kinh", b"kinh"),
    ],
)
async def test_a_changed_message_does_not_verify(
    database: Database, folder: Path, record: str, old: bytes, new: bytes
) -> None:
    message = await signed(database, folder)
    assert message.count(old) == 1
    assert not dkimpy_accepts(message.replace(old, new), record)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Giay   moi \r\n", b"Giay\r\n moi\r\n"),
        (b"Kinh  moi\tong \r\n", b"Kinh moi ong\r\n"),
        (b"cuoi \r\n\r\n\r\n", b"cuoi\r\n"),
        (b"Subject:", b"SUBJECT:"),
    ],
)
async def test_what_servers_do_to_blanks_breaks_nothing(
    database: Database, folder: Path, record: str, old: bytes, new: bytes
) -> None:
    message = await signed(database, folder)
    assert message.count(old) == 1
    assert dkimpy_accepts(message.replace(old, new), record)


async def test_trace_fields_may_come_on_top(database: Database, folder: Path, record: str) -> None:
    message = await signed(database, folder)
    assert dkimpy_accepts(b"Received: from x\r\nReturn-Path: <>\r\n" + message, record)


async def test_a_domain_without_key_is_not_signed(database: Database, folder: Path) -> None:
    add_domain(database)
    signer = Signer(database, KeyRing(folder))
    assert await signer.sign(header_of(MESSAGE), as_body(MESSAGE), DOMAIN) is None
    assert await signer.sign(header_of(MESSAGE), as_body(MESSAGE), "example.vn") is None


async def test_both_kinds_of_key_sign_side_by_side(
    database: Database, folder: Path, record: str
) -> None:
    ed25519 = add_key(database, folder, "2026e", "ed25519")
    assert [tags["s"] for tags in signatures_in(await signed(database, folder))] == ["2026a"]
    activate(database, "2026e")
    message = await signed(database, folder)
    assert [tags["a"] for tags in signatures_in(message)] == ["rsa-sha256", "ed25519-sha256"]
    resolver = FakeResolver(
        txt_of={
            f"2026a._domainkey.{DOMAIN}": [record.encode()],
            f"2026e._domainkey.{DOMAIN}": [ed25519.encode()],
        }
    )
    results = await verify(message, as_body(message), resolver, lambda: THEN)
    assert [result.result for result in results] == ["pass", "pass"]


async def test_a_new_key_of_a_kind_replaces_the_old_one(
    database: Database, folder: Path, record: str
) -> None:
    new = add_key(database, folder, "2026b")
    activate(database, "2026b")
    message = await signed(database, folder)
    assert [tags["s"] for tags in signatures_in(message)] == ["2026b"]
    assert dkimpy_accepts(message, new)


async def test_a_large_body_is_signed_from_its_file(
    database: Database, folder: Path, record: str, tmp_path: Path
) -> None:
    message = MESSAGE + b"Dong  dai \t\r\n" * 60_000
    (tmp_path / "body").write_bytes(message)
    known = as_body(message)
    body = Body(known.size_bytes, known.sha256, path=tmp_path / "body")
    fields = await Signer(database, KeyRing(folder)).sign(header_of(message), body, DOMAIN)
    assert fields is not None
    assert dkimpy_accepts(fields + message, record)


@pytest.fixture
def key_file(folder: Path, record: str) -> Path:
    (path,) = folder.iterdir()
    return path


async def test_a_lost_key_file_is_trouble_not_an_unsigned_message(
    database: Database, folder: Path, key_file: Path
) -> None:
    signer = Signer(database, KeyRing(folder))
    key_file.unlink()
    with pytest.raises(Unavailable, match="signing-key-missing"):
        await signer.sign(header_of(MESSAGE), as_body(MESSAGE), DOMAIN)


async def test_a_key_that_others_can_read_stops_the_service(
    database: Database, folder: Path, key_file: Path
) -> None:
    signer = Signer(database, KeyRing(folder))
    key_file.chmod(0o640)
    with pytest.raises(ConfigError, match="signing-key-exposed"):
        Signer(database, KeyRing(folder))
    with pytest.raises(ConfigError, match="signing-key-exposed"):
        await signer.sign(header_of(MESSAGE), as_body(MESSAGE), DOMAIN)


@pytest.mark.corpus
async def test_messages_of_the_world_verify_after_signing(
    database: Database, folder: Path, record: str, corpus: Path
) -> None:
    paths = sorted((corpus / "policy-samples").rglob("*.eml"))
    assert len(paths) >= 20
    signer = Signer(database, KeyRing(folder))
    for path in paths:
        message = path.read_bytes()
        fields = await signer.sign(header_of(message), as_body(message), DOMAIN)
        assert fields is not None
        assert dkimpy_accepts(fields + message, record), path
