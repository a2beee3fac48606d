"""Both canonical forms of fields and of bodies, both kinds of key: what dkimpy signs, we verify."""

import base64
from hashlib import sha256
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mailgov.signing.keys import PrivateKey, public_key
from mailgov.signing.verify import verify

from ...support.dns import FakeResolver
from ..queue.samples import body_of
from .samples import MESSAGE, THEN, header_of

FORMS = ("simple", "relaxed")
HEADERS = [b"from", b"to", b"subject", b"date", b"message-id"]


@pytest.fixture(scope="module")
def keys() -> dict[str, PrivateKey]:
    return {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=1024),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


def signed_by_dkimpy(key: PrivateKey, message: bytes, forms: tuple[str, str]) -> bytes:
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    names = tuple(form.encode() for form in forms)
    field: bytes = dkim.sign(
        message, b"k", b"example.vn", secret, canonicalize=names, include_headers=HEADERS
    )
    return field + message


def signed(key: PrivateKey, message: bytes, forms: tuple[str, str]) -> bytes:
    """By dkimpy; with Ed25519, for which it wants another library, over what dkimpy canonicalizes."""
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        return signed_by_dkimpy(key, message, forms)
    policy = dkim.CanonicalizationPolicy.from_c_value("/".join(forms).encode())
    fields, body = dkim.rfc822_parse(message)
    digest = sha256(policy.canonicalize_body(body)).digest()
    value = (
        f" v=1; a=ed25519-sha256; c={'/'.join(forms)}; d=example.vn; s=k;\r\n"
        f" h={b':'.join(HEADERS).decode()}; bh={base64.b64encode(digest).decode()};\r\n b="
    ).encode()
    chosen = dkim.select_headers(policy.canonicalize_headers(fields), HEADERS)
    own = policy.canonicalize_headers([(b"DKIM-Signature", value + b"\r\n")])[0]
    covered = b"".join(name + b":" + text for name, text in chosen)
    covered += own[0] + b":" + own[1].removesuffix(b"\r\n")
    signature = base64.b64encode(key.sign(sha256(covered).digest()))
    return b"DKIM-Signature:" + value + signature + b"\r\n" + message


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("field_form", FORMS)
@pytest.mark.parametrize("body_form", FORMS)
async def test_all_forms(
    keys: dict[str, PrivateKey], kind: str, field_form: str, body_form: str
) -> None:
    key = keys[kind]
    record = f"v=DKIM1; k={kind}; p={public_key(key)}".encode()
    resolver = FakeResolver(txt_of={"k._domainkey.example.vn": [record]})

    async def result(message: bytes) -> str:
        (found,) = await verify(header_of(message), body_of(message), resolver)
        return found.result

    message = signed(key, MESSAGE, (field_form, body_form))
    assert await result(message) == "pass"
    # What a relaxed form forgives, a simple one does not; what changes words, none does.
    respaced = message.replace(b"Subject:  Giay   moi ", b"subject: Giay moi")
    assert await result(respaced) == ("pass" if field_form == "relaxed" else "fail")
    respaced = message.replace(b"Kinh  moi\tong ", b"Kinh moi ong")
    assert await result(respaced) == ("pass" if body_form == "relaxed" else "fail")
    assert await result(message + b"\r\n\r\n") == "pass"
    assert await result(message + b"x\r\n") == "fail"
    assert await result(message.replace(b"Giay", b"Giai")) == "fail"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "wanted"), [("rfc6376.signed.rsa.msg", True), ("rfc6376.signed.no_t.msg", False)]
)
async def test_dkimpy_and_we_say_the_same_of_its_own_messages(
    corpus: Path, name: str, wanted: bool
) -> None:
    auth = corpus / "third-party/auth"
    message = (auth / "dkim-dkimpy" / name).read_bytes()
    message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    zone = (auth / "dkim-mail-auth/dkim/001.txt").read_bytes().splitlines()[:2]
    records = {line.split(b" ", 1)[0].decode(): [line.split(b" ", 1)[1]] for line in zone}
    resolver = FakeResolver(txt_of=records)
    found = await verify(header_of(message), body_of(message), resolver, lambda: THEN)
    assert [one.result for one in found] == ["pass" if wanted else "fail"]
    assert dkim.verify(message, dnsfunc=lambda name, timeout=5: zone_line(records, name)) is wanted


def zone_line(records: dict[str, list[bytes]], name: bytes) -> bytes | None:
    return records.get(name.decode().rstrip("."), [None])[0]


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_tlsrpt.txt", "key is not for mail"),
        ("badversion.txt", "key record is not well-formed"),
        ("badk.txt", "key is of another algorithm"),
        ("test_bad.txt", "key can't be read"),
    ],
)
async def test_keys_of_the_corpus_that_do_not_count(
    corpus: Path, keys: dict[str, PrivateKey], name: str, reason: str
) -> None:
    record = (corpus / "third-party/auth/dkim-dkimpy" / name).read_bytes().strip()
    resolver = FakeResolver(txt_of={"k._domainkey.example.vn": [record]})
    message = signed_by_dkimpy(keys["rsa"], MESSAGE, ("relaxed", "relaxed"))
    (found,) = await verify(header_of(message), body_of(message), resolver)
    assert (found.result, found.reason) == ("permerror", reason)
