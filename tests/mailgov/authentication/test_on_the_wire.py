"""From the socket to the queue with every real part but DNS: what other servers hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlmodel import select

from mailgov.config import Config, load_config
from mailgov.db.migrate import migrate
from mailgov.db.models import DmarcResult, MessageRow
from mailgov.roles import relay
from mailgov.services import Services, build, open_database, running

from ...support.directory import AN, fill_directory
from ...support.dns import FakeResolver
from ...support.relay import Authority, Client

TO = AN
TEXTS = {
    "_dmarc.bank.test": [b"v=DMARC1; p=reject; rua=mailto:r@bank.test"],
    "bank.test": [b"v=spf1 ip4:192.0.2.1 -all"],
    "_dmarc.good.test": [b"v=DMARC1; p=reject"],
    "good.test": [b"v=spf1 ip4:127.0.0.1 -all"],
}


def config_of(folder: Path, authority: Authority) -> Config:
    return load_config(
        None,
        site={"hostname": "mail.tinhmau.test", "official_suffixes": ["gov.vn", "test"]},
        data={"path": str(folder)},
        readers={"processes": 1},
        relay={
            "mx": "127.0.0.1:0", "submission": "127.0.0.1:0", "submissions": "127.0.0.1:0",
            "certificate": str(authority.chain), "private_key": str(authority.key),
        },
    )  # fmt: skip


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Services, Client]]:
    """A relay with a client at its MX port."""
    authority = Authority(folder)
    data = folder / "data"
    data.mkdir()
    config = config_of(data, authority)
    database = open_database(config)
    migrate(database)
    with database.write() as session:
        fill_directory(session)
    database.close()
    resolver = FakeResolver(txt_of=TEXTS, broken=frozenset({"_dmarc.broken.test"}))
    listeners: dict[str, str] = {}
    ready, stop = asyncio.Event(), asyncio.Event()

    def announce(name: str, address: str) -> None:
        listeners[name] = address
        if "mx" in listeners:
            ready.set()

    async with running(build(config, resolver=resolver)) as services:
        task = asyncio.create_task(relay.run(services, announce, stop))
        async with asyncio.timeout(60):
            await ready.wait()
        host, _, port = listeners["mx"].rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port)), authority)
        try:
            assert (await client.reply()).startswith("220 ")
            yield services, client
        finally:
            await client.close()
            stop.set()
            await task


def letter(domain: str) -> bytes:
    return (
        f"From: a@{domain}\r\nTo: {TO}\r\nSubject: Chao\r\n"
        "Date: Mon, 23 Nov 2026 12:00:00 +0700\r\nMessage-ID: <1@x.test>\r\n"
        f"Authentication-Results: mail.tinhmau.test; dmarc=pass header.from={domain}\r\n"
        "\r\nChao anh.\r\n.\r\n"
    ).encode()


async def test_what_each_sender_hears_and_what_is_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as (services, client):
        replies = {}
        for domain in ("bank.test", "broken.test", "good.test"):
            await client.envelope(f"a@{domain}", TO)
            replies[domain] = await client.data(letter(domain))
        with services.database.read() as session:
            (message,) = session.exec(select(MessageRow)).all()
            (row,) = session.exec(select(DmarcResult)).all()
    assert replies["bank.test"].startswith("550 5.7.1 [authentication-failed]")
    assert replies["broken.test"].startswith("451 4.4.3 [trouble-dns]")
    assert replies["good.test"].startswith("250 ")
    assert message.mail_from == "a@good.test"
    assert message.prefix.startswith(b"Authentication-Results: mail.tinhmau.test;\r\n\tspf=pass ")
    assert message.content is not None
    assert b"Authentication-Results" not in message.content  # forged in our name
    assert (row.policy_domain, row.disposition) == ("bank.test", "reject")
