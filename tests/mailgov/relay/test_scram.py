"""SCRAM-SHA-256: the published example, what a client may not say, and a whole sign-in."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from mailgov.config import Limits
from mailgov.db import Database
from mailgov.directory import Directory
from mailgov.directory.provisioning import add_app_password
from mailgov.relay import scram
from mailgov.relay.commands import CommandError

from ...support.directory import AN, NOW, act, fill_directory
from ...support.directory import PASSWORD as AN_PASSWORD
from ...support.relay import APP_PASSWORD, OFFICIAL, Authority, Client, running_relay

# RFC 7677, 3: user `user`, password `pencil`.
CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
NONCE = CLIENT_NONCE + b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
FIRST = b"n,,n=user,r=" + CLIENT_NONCE
SERVER_FIRST = b"r=" + NONCE + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=" + NONCE + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def verifier(password: str, salt: bytes = SALT) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256$4096:{encoded[0]}${encoded[1]}:{encoded[2]}"


def challenge() -> scram.Challenge:
    return scram.Challenge(scram.read_first(FIRST), SERVER_FIRST, NONCE)


def test_the_published_example() -> None:
    proof = challenge().read_final(FINAL)
    assert proof.signature_for(verifier("pencil")) == SIGNATURE


@pytest.mark.parametrize("stored", [verifier("pen"), "", "SCRAM-SHA-1$4096:AA==$AA==:AA=="])
def test_another_password(stored: str) -> None:
    assert challenge().read_final(FINAL).signature_for(stored) == b""


def test_a_challenge_tells_salt_count_and_both_nonces() -> None:
    first = scram.read_first(FIRST)
    one, other = (scram.Challenge.new(first, SALT, 4096) for _ in range(2))
    assert one.nonce != other.nonce
    assert one.nonce.startswith(CLIENT_NONCE)
    assert one.text == b"r=" + one.nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def test_a_name_with_comma_and_equals_sign() -> None:
    assert scram.read_first(b"y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x").name == "a,b=c"


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (b"", "login-syntax"),
        (b"n,,n=user", "login-syntax"),
        (b"n,,r=x,n=user", "login-syntax"),
        (b"n,,m=ext,n=user,r=x", "login-syntax"),
        (b"p=tls-exporter,,n=user,r=x", "login-syntax"),
        (b"n,,n=us=er,r=x", "login-syntax"),
        (b"n,,n=\xff,r=x", "login-syntax"),
        (b"n,,n=user,r=a b", "login-syntax"),
        (b"n,a=chutich@vidu.gov.vn,n=user,r=x", "login-wrong"),
    ],
)
def test_beginnings_that_are_none(message: bytes, key: str) -> None:
    with pytest.raises(CommandError, match=key):
        scram.read_first(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        FINAL.replace(b"c=biws", b"c=eSws"),  # another GS2 header than at first
        FINAL.replace(b"c=biws", b"c=b"),
        FINAL.replace(b"hvYD", b"xxxx"),  # another nonce
        FINAL.partition(b",p=")[0],
        FINAL[:-1] + b"!",
    ],
)
def test_endings_that_are_none(message: bytes) -> None:
    with pytest.raises(CommandError, match="login-syntax"):
        challenge().read_final(message)


def test_a_proof_of_another_length() -> None:
    short = FINAL.partition(b",p=")[0] + b",p=AAAA"
    assert challenge().read_final(short).signature_for(verifier("pencil")) == b""


async def answer(client: Client, text: bytes) -> str:
    return await client.say(base64.b64encode(text))


async def prove(client: Client, password: str, name: str = OFFICIAL) -> tuple[bytes, str]:
    """The client's side of an exchange: the last text of the server, and what came of it."""
    bare = f"n={name},r=abc".encode()
    begun = await client.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,," + bare))
    assert begun.startswith("334 ")
    server_first = base64.b64decode(begun[4:])
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"])
    )
    without = b"c=biws,r=" + fields[b"r"]
    key = hmac.digest(salted, b"Client Key", "sha256")
    covered = b",".join([bare, server_first, without])
    signature = hmac.digest(hashlib.sha256(key).digest(), covered, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    reply = await answer(client, without + b",p=" + base64.b64encode(proof))
    if not reply.startswith("334 "):
        return b"", reply
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), covered, "sha256")
    assert base64.b64decode(reply[4:]) == b"v=" + base64.b64encode(server)
    return base64.b64decode(reply[4:]), await client.say("")


class TestASignIn:
    async def test_is_offered_only_where_it_is_set(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority) as relay:
            client = await relay.connect("submissions")
            assert "SCRAM" not in await client.say("EHLO c.example")
            reply = await client.say("AUTH SCRAM-SHA-256")
            assert reply.startswith("504 5.5.4 [login-mechanism] ")
            await client.close()

    async def test_opens_with_an_app_password(self, tmp_path: Path, authority: Authority) -> None:
        async with running_relay(tmp_path, authority, settings={"scram": True}) as relay:
            client = await relay.connect("submissions")
            assert "AUTH PLAIN LOGIN SCRAM-SHA-256" in await client.say("EHLO c.example")
            _, reply = await prove(client, APP_PASSWORD)
            assert reply == "235 2.7.0 signed in"
            assert relay.directory.sign_ins == [(OFFICIAL, True)]
            assert (await client.say(f"MAIL FROM:<{OFFICIAL}>")).startswith("250 ")
            await client.close()

    @pytest.mark.parametrize("name", [OFFICIAL, "khongco@vidu.gov.vn"])
    async def test_fails_alike_for_wrong_passwords_and_unknown_names(
        self, name: str, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings={"scram": True}) as relay:
            client = await relay.connect("submissions")
            await client.say("EHLO c.example")
            for wanted in ["535 5.7.8 [login-wrong] "] * 3:
                _, reply = await prove(client, "aaaa-bbbb-cccc-dddd-eeee-ffff-gggg", name)
                assert reply.startswith(wanted)
            reply = await client.say("AUTH SCRAM-SHA-256")
            assert reply.startswith("421 4.7.0 [too-many-failed-logins] ")
            assert relay.directory.sign_ins == [(name, False)] * 3
            await client.close()

    async def test_that_is_given_up_counts_as_a_guess(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings={"scram": True}) as relay:
            client = await relay.connect("submissions")
            await client.say("EHLO c.example")
            assert await client.say("AUTH SCRAM-SHA-256") == "334 "
            assert (await answer(client, b"n,,n=a@b.vn,r=x")).startswith("334 ")
            assert (await client.say("*")).startswith("501 5.7.0 [login-aborted] ")
            assert relay.directory.sign_ins == [("a@b.vn", False)]
            await client.close()

    async def test_may_be_proved_by_any_of_the_app_passwords(
        self, tmp_path: Path, authority: Authority
    ) -> None:
        async with running_relay(tmp_path, authority, settings={"scram": True}) as relay:
            relay.directory.apps[OFFICIAL].append("other-pass")
            for password in (APP_PASSWORD, "other-pass"):
                client = await relay.connect("submissions")
                await client.say("EHLO c.example")
                _, reply = await prove(client, password)
                assert reply == "235 2.7.0 signed in"
                await client.close()


async def test_with_the_directory_itself(
    tmp_path: Path, authority: Authority, database: Database
) -> None:
    """An app password made there opens; the same account's own password does not."""
    with database.write() as session:
        fill_directory(session)
        made = add_app_password(session, act(), AN, label="máy tính", scopes=["smtp"])
        other = add_app_password(session, act(), AN, label="điện thoại", scopes=["imap"])
    directory = Directory(database, lambda: NOW, Limits())
    async with running_relay(tmp_path, authority, settings={"scram": True}) as relay:
        relay.server._parts.directory = directory
        for password, wanted in (
            (AN_PASSWORD, "535 5.7.8 "),
            (other.password, "535 5.7.8 "),
            (made.password, "235 2.7.0 "),
        ):
            client = await relay.connect("submissions")
            await client.say("EHLO c.example")
            _, reply = await prove(client, password, AN)
            assert reply.startswith(wanted)
            await client.close()
    directory.close()
