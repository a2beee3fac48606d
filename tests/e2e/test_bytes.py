"""Bytes in equal bytes out: by SMTP into the queue, from there into the mailbox, and out by IMAP.

What is put before them are trace fields, whole lines; a signature that held before holds after.
"""

import asyncio
import base64
import re
import smtplib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import dkim
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel import SQLModel

from mailgov import services as platform
from mailgov.addresses import Address
from mailgov.config import Config, load_config
from mailgov.directory.provisioning import NewMailbox, add_domain, add_mailbox
from mailgov.mailstore import layout
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov.relay.records import Records
from mailgov.relay.server import RelayServer
from mailgov.roles import deliver
from mailgov.rulesets import AgencyRulesets
from mailgov.services import Services
from mailgov_policies import Ruleset, facts

from ..mailgov.imap.test_corpus import mail
from ..support.directory import SUFFIXES, act, fill_directory
from ..support.imap_engines import Engine, _run, config_for, require_dovecot, users
from ..support.imap_wire import values
from ..support.platform import eventually

BOX = users()[0].address
TRACE = (b"Return-Path:", b"Delivered-To:", b"Received:", b"Authentication-Results:", b"\t", b" ")

OURS = re.compile(
    rb"^(?:return-path|x-mailgov-policy)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*",
    re.IGNORECASE | re.MULTILINE,
)


class Unread:
    """The words of a message are not what is tried here."""

    async def read(self, body: Body) -> facts.Content:
        return facts.Content(size_bytes=body.size_bytes)


def _config(folder: Path) -> Config:
    config = load_config(
        None,
        data={"path": str(folder)},
        site={"hostname": "mail.vidu.gov.vn", "official_suffixes": SUFFIXES},
        relay={"mx": "127.0.0.1:0", "submission": "127.0.0.1:0", "submissions": "127.0.0.1:0"},
        authentication={"exempt_networks": ["127.0.0.0/8"]},
        mailstore={"engine": "embedded", "imap": "127.0.0.1:9"},
    )
    many = {"new_connections_per_minute": 100_000, "errors": 100_000, "junk_commands": 100_000}
    return config.model_copy(update={"limits": config.limits.model_copy(update=many)})


def _platform(folder: Path) -> Services:
    issued = trustme.CA().issue_cert("mail.vidu.gov.vn")
    (folder / "tls").mkdir()
    issued.cert_chain_pems[0].write_to_path(folder / "tls" / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "tls" / "key.pem")
    services = platform.build(_config(folder))
    with services.database.write() as session:
        SQLModel.metadata.create_all(session.connection())
        fill_directory(session)
        add_domain(session, act(), name="vidu.gov.vn", agency="H99.02", official_suffixes=SUFFIXES)
        add_mailbox(
            session,
            act(),
            NewMailbox(address=BOX, agency="H99.02", name="Lê Văn Ba", staff_no="VC-9"),
        )
    services.spool.prepare(services.database)
    lenient = AgencyRulesets(Ruleset("none", "1", ()), None, services.database)
    reader = Unread()
    intake = replace(services.intake, readers=reader, rules=lenient)
    return replace(services, readers=cast(ReaderPool, reader), intake=intake)


async def _bring(services: Services, messages: Sequence[bytes]) -> None:
    """Send each over SMTP, the sender's address telling its number; wait until all have arrived."""
    server = RelayServer(
        config=services.config,
        directory=services.directory,
        intake=services.intake,
        spool=services.spool,
        records=Records(services.database, services.clock, services.config.screening),
        resolver=services.resolver,
    )
    listeners = await server.start()
    stop = asyncio.Event()
    worker = asyncio.create_task(deliver.run(services, lambda *_: None, stop))
    try:
        await asyncio.to_thread(_send, listeners["mx"], messages)
        maildir = layout.maildir(services.config.data.path, Address.parse(BOX))
        await asyncio.to_thread(eventually, lambda: _arrived(maildir) == len(messages), seconds=240)
    finally:
        stop.set()
        await worker
        await server.stop(grace_seconds=1)
        services.directory.close()
        services.database.close()


def _arrived(maildir: Path) -> int:
    return len(list(maildir.glob("new/*")))


def _send(listener: str, messages: Sequence[bytes]) -> None:
    host, _, port = listener.rpartition(":")
    client = smtplib.SMTP(host, int(port))
    with closing(client):
        client.ehlo("client.example")
        for number, data in enumerate(messages):
            client.mail(f"n{number}@khach.example", ["BODY=8BITMIME"])
            client.rcpt(BOX)
            code, said = client.docmd("DATA")
            assert code == 354, said
            dotted = data.replace(b"\r\n.", b"\r\n..")
            dotted = b"." + dotted if dotted.startswith(b".") else dotted
            client.send(dotted + b".\r\n")
            code, said = client.getreply()
            assert code == 250, (number, said, data[:200])


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signed(data: bytes) -> bytes:
    pem = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    field: bytes = dkim.sign(data, b"s", b"khach.example", pem)
    return field + data


def _key_in_dns(name: bytes, timeout: int = 5) -> bytes:
    public = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def as_sent(data: bytes) -> bytes | None:
    """A message of the corpus as it can be sent; None for one that SMTP can't carry."""
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    longest = max(map(len, data.split(b"\r\n")))
    return data if longest <= 998 and not data.startswith(b"From ") else None


def as_kept(sent: bytes) -> bytes:
    """A message without the fields that only we may write (RFC 5321, 4.4)."""
    header, end, body = sent.partition(b"\r\n\r\n")
    return OURS.sub(b"", header + end[:2]) + end[2:] + body


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> tuple[Path, list[bytes]]:
    """The data folder with every message in one mailbox, and what was sent."""
    folder = tmp_path_factory.mktemp("bytes")
    messages = [sent for _, data in mail(corpus) if (sent := as_sent(data)) is not None]
    plain = "From: a@khach.example\r\nSubject: Có dấu\r\n\r\nNội dung\r\n.\r\n..\r\n".encode()
    messages.append(_signed(plain))
    asyncio.run(_bring(_platform(folder), messages))
    return folder, messages


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["embedded", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def test_every_message_comes_out_as_it_went_in(
    brought: tuple[Path, list[bytes]], name: str
) -> None:
    data, messages = brought
    if name == "dovecot":
        require_dovecot(config_for(data))
    running = _run(name, data)
    engine = next(running)
    try:
        found = _fetched(engine, len(messages))
    finally:
        assert next(running, None) is None
    assert found.keys() == set(range(len(messages)))
    for number, sent in enumerate(messages):
        kept = as_kept(sent)
        top = found[number].removesuffix(kept)
        assert len(top) + len(kept) == len(found[number]), sent[:300]
        assert all(line.startswith(TRACE) for line in top.split(b"\r\n")[:-1]), top
    signed = found[len(messages) - 1]
    assert dkim.verify(signed, dnsfunc=_key_in_dns)
    assert not dkim.verify(signed.replace(b"dung", b"dunk"), dnsfunc=_key_in_dns)


def _fetched(engine: Engine, count: int) -> dict[int, bytes]:
    """Bodies by the number in the sender's address."""
    found = {}
    with engine.wire(BOX) as wire:
        wire.ok(b"SELECT INBOX")
        for number in range(1, count + 1):
            (answer,) = wire.ok(b"FETCH %d (BODY.PEEK[])" % number)
            body = values(answer)[3][1]
            assert isinstance(body, bytes)
            found[int(body.removeprefix(b"Return-Path: <n").partition(b"@")[0])] = body
    return found
