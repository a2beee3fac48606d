"""Keys at rest, and the process of its own that alone can read them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from mailgov.config import Config, load_config
from mailgov.config import Signing as SigningSettings
from mailgov.errors import ConfigError, Conflict, Unavailable
from mailgov.signing import keys
from mailgov.signing.holder import key_holder
from mailgov.signing.keyring import KeyRing, SigningKey
from mailgov.signing.remote import MAX_BYTES, RemoteKeys, is_signature_field, serve_keys
from mailgov.signing.secret import CREDENTIAL, create_secret, read_secret

DOMAIN = "vidu.gov.vn"
FILE = f"k._domainkey.{DOMAIN}.pem"
KEY = SigningKey(DOMAIN, "k", "ed25519", FILE)
SECRET = b"x" * 40
GOOD = b"from:a@vidu.gov.vn\r\ndkim-signature:v=1; a=ed25519-sha256; d=vidu.gov.vn; s=k; h=from; b="


def public_of(folder: Path, secret: bytes | None = None) -> ed25519.Ed25519PublicKey:
    key = keys.load(folder / FILE, secret)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.public_key()


def test_a_key_is_encrypted_where_there_is_a_secret(tmp_path: Path) -> None:
    keys.generate(tmp_path, FILE, "ed25519", SECRET)
    assert keys.is_encrypted((tmp_path / FILE).read_bytes())
    assert keys.load(tmp_path / FILE, SECRET)
    for wrong in (None, b"y" * 40):
        with pytest.raises(Unavailable, match="signing-key-missing"):
            keys.load(tmp_path / FILE, wrong)


def test_a_key_is_encrypted_later_without_being_another(tmp_path: Path) -> None:
    told = keys.generate(tmp_path, FILE, "ed25519")
    assert keys.encrypt(tmp_path / FILE, SECRET)
    assert keys.is_encrypted((tmp_path / FILE).read_bytes())
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert keys.public_key(keys.load(tmp_path / FILE, SECRET)) == told
    assert not keys.encrypt(tmp_path / FILE, SECRET)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def settings(path: Path | None) -> SigningSettings:
    return SigningSettings(secret_file=path)


def test_the_secret_is_long_private_and_elsewhere(tmp_path: Path) -> None:
    data, path = tmp_path / "data", tmp_path / "etc" / "signing.secret"
    with pytest.raises(ConfigError, match="signing-secret-missing"):
        read_secret(settings(path), data)
    create_secret(path)
    secret = read_secret(settings(path), data)
    assert secret is not None
    assert len(secret) == 64
    with pytest.raises(Conflict):
        create_secret(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="signing-secret-exposed"):
        read_secret(settings(path), data)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match="signing-secret-weak"):
        read_secret(settings(path), data)
    with pytest.raises(ConfigError, match="signing-secret-beside-keys"):
        read_secret(settings(data / "secret"), data)


def test_systemd_hands_the_secret_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "run"))
    assert read_secret(settings(None), tmp_path / "data") is None
    create_secret(tmp_path / "run" / CREDENTIAL)
    assert read_secret(settings(None), tmp_path / "data") is not None


def config(folder: Path, **signing: str) -> Config:
    return load_config(None, data={"path": str(folder)}, signing=signing)


def test_nothing_starts_over_keys_or_a_secret_that_others_can_read(tmp_path: Path) -> None:
    create_secret(tmp_path / "secret")
    keys.generate(tmp_path / "data" / "keys", FILE, "ed25519", SECRET)
    (tmp_path / "secret").chmod(0o604)
    with pytest.raises(ConfigError, match="signing-secret-exposed"):
        key_holder(config(tmp_path / "data", secret_file=str(tmp_path / "secret")))
    (tmp_path / "data" / "keys" / FILE).chmod(0o640)
    with pytest.raises(ConfigError, match="signing-key-exposed"):
        key_holder(config(tmp_path / "data"))


def test_who_asks_another_process_reads_no_key(tmp_path: Path) -> None:
    keys.generate(tmp_path / "data" / "keys", FILE, "ed25519")
    (tmp_path / "data" / "keys").chmod(0)  # root may read it all the same, so the kind is told
    holder = key_holder(config(tmp_path / "data", socket=str(tmp_path / "s")))
    assert isinstance(holder, RemoteKeys)


@asynccontextmanager
async def held(folder: Path) -> AsyncIterator[Path]:
    keys.generate(folder / "keys", FILE, "ed25519")
    path, stop, ready = folder / "run" / "signer", asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve_keys(KeyRing(folder / "keys"), path, stop, ready.set))
    async with asyncio.timeout(10):
        await ready.wait()
    try:
        yield path
    finally:
        stop.set()
        await task
    assert not path.exists()


async def test_a_process_of_its_own_signs(tmp_path: Path) -> None:
    async with held(tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o660
        signature = await RemoteKeys(path).sign(KEY, GOOD)
        assert signature == await KeyRing(tmp_path / "keys").sign(KEY, GOOD)
        many = await asyncio.gather(*(RemoteKeys(path).sign(KEY, GOOD) for _ in range(50)))
        assert set(many) == {signature}


@pytest.mark.parametrize(
    "data",
    [
        b"anything at all",
        GOOD.replace(b"d=vidu.gov.vn", b"d=other.gov.vn"),
        GOOD.replace(b"s=k", b"s=l"),
        GOOD.replace(b"ed25519-sha256", b"rsa-sha256"),
        GOOD + b"AAAA",
        GOOD.replace(b"dkim-signature:", b"subject:"),
        GOOD.replace(b"s=k;", b"s=k; d=vidu.gov.vn; d=x.test;"),
        GOOD + b"\r\n",
    ],
)
async def test_it_signs_nothing_but_signature_fields_of_the_key(
    tmp_path: Path, data: bytes
) -> None:
    assert is_signature_field(GOOD, KEY)
    assert not is_signature_field(data, KEY)
    async with held(tmp_path) as path:
        with pytest.raises(Unavailable, match="signing-refused"):
            await RemoteKeys(path).sign(KEY, data)


@pytest.mark.parametrize(
    "key",
    [
        SigningKey(DOMAIN, "k", "ed25519", "../keys/" + FILE),
        SigningKey("../" + DOMAIN, "k", "ed25519", f"k._domainkey.../{DOMAIN}.pem"),
        SigningKey(DOMAIN, "k/..", "ed25519", FILE),
    ],
)
async def test_it_reads_no_other_file(tmp_path: Path, key: SigningKey) -> None:
    async with held(tmp_path) as path:
        with pytest.raises(Unavailable, match="signing-refused"):
            await RemoteKeys(path).sign(key, GOOD)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"x" * 10_000 + b"\n",
        json.dumps([DOMAIN, "k", "ed25519", FILE, MAX_BYTES + 1]).encode() + b"\n",
        json.dumps([DOMAIN, "k", "ed25519", FILE, -1]).encode() + b"\n",
        json.dumps([1, 2, 3, 4, "x"]).encode() + b"\n",
    ],
)
async def test_requests_that_are_none_get_an_answer_and_do_no_harm(
    tmp_path: Path, request_bytes: bytes
) -> None:
    async with held(tmp_path) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request_bytes)
        assert json.loads(await reader.readline()) == {"code": "signing-refused"}
        writer.close()
        assert await RemoteKeys(path).sign(KEY, GOOD)


async def test_a_missing_key_or_process_is_trouble_for_now(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="signing-unavailable"):
        await RemoteKeys(tmp_path / "nobody").sign(KEY, GOOD)
    async with held(tmp_path) as path:
        (tmp_path / "keys" / FILE).unlink()
        with pytest.raises(Unavailable, match="signing-key-missing"):
            await RemoteKeys(path).sign(KEY, GOOD)
