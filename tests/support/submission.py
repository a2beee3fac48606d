"""The road of a submission as it is: relay, directory, reader, rules, queue; nobody delivers."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from sqlmodel import Session, SQLModel, col, select
from structlog.testing import capture_logs

from mailgov import services as platform
from mailgov.config import Config, load_config
from mailgov.db.models import MessageRow, RecipientRow
from mailgov.directory.provisioning import (
    NewMailbox,
    add_alias,
    add_app_password,
    add_mailbox,
    grant_send_as,
)
from mailgov.readers import ReaderPool
from mailgov.relay.records import Records
from mailgov.relay.server import RelayServer
from mailgov.services import Services

from .directory import AN, OFFICE, act, fill_directory
from .relay import HOSTNAME, Authority, Client, plain
from .webmail import ReaderHere

ALIAS = "an.nv@sonoivu.tinhmau.test"
BEHALF = "xahoabinh@xahoabinh.tinhmau.test"  # An may write on behalf of it
CHAIR = "chutich@tinhmau.test"  # and not of this one
BINH = "binhtv@sonoivu.tinhmau.test"  # nor of a colleague
SESSIONS = 8


@dataclass
class Submission:
    """A running platform front, and An's app password."""

    services: Services
    listeners: dict[str, str]
    authority: Authority
    password: str

    async def connect(self, listener: str) -> Client:
        """A client after the banner and EHLO; TLS where the port wants it."""
        host, _, port = self.listeners[listener].rpartition(":")
        tls = self.authority.client() if listener == "submissions" else None
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=tls, server_hostname=HOSTNAME if tls else None
        )
        client = Client(reader, writer, self.authority)
        assert (await client.reply()).startswith("220 ")
        await client.say("EHLO client.example")
        if listener == "submission":
            await client.say("STARTTLS")
            await client.start_tls()
            await client.say("EHLO client.example")
        return client

    async def signed_in(self) -> Client:
        """A client of An's."""
        client = await self.connect("submissions")
        assert (await client.say(f"AUTH PLAIN {plain(AN, self.password)}")).startswith("235 ")
        return client

    async def submit(self, messages: Sequence[tuple[str, bytes]]) -> list[str]:
        """Send every (envelope sender, message) as An, over a few sessions; the last replies."""
        replies = [""] * len(messages)

        async def session(first: int) -> None:
            client = await self.signed_in()
            for number in range(first, len(messages), SESSIONS):
                replies[number] = await send(client, *messages[number])
            await client.close()

        async with asyncio.TaskGroup() as tasks:
            for first in range(min(SESSIONS, len(messages))):
                tasks.create_task(session(first))
        return replies

    def kept(self) -> list[tuple[str, str]]:
        """Envelope sender and recipient of everything in the queue."""
        with self.services.database.read() as session:
            return _kept(session)


def _kept(session: Session) -> list[tuple[str, str]]:
    rows = session.exec(
        select(MessageRow.mail_from, RecipientRow.address).join(
            RecipientRow, col(RecipientRow.message_id) == MessageRow.id
        )
    )
    return list(rows.all())


async def send(client: Client, sender: str, message: bytes) -> str:
    """One transaction; the reply that refused or ended it."""
    client.send(f"MAIL FROM:<{sender}> SMTPUTF8\r\nRCPT TO:<{BINH}>\r\nDATA\r\n".encode())
    mail, rcpt, data = [await client.reply() for _ in range(3)]
    if not data.startswith("354"):
        await client.say("RSET")
        return mail if not mail.startswith("250") else rcpt
    client.send(message)
    return await client.reply()


def make_data(folder: Path) -> None:
    """A database with An, an office An writes for, one An writes on behalf of, and others."""
    services = platform.build(_config(folder, None))
    with services.database.write() as session:
        SQLModel.metadata.create_all(session.connection())
        fill_directory(session)
        for address, agency, name, number in (
            (CHAIR, "H99", "Lê Văn Chủ", "VC-00001"),
            (BINH, "H99.02", "Trần Văn Bình", "VC-00002"),
        ):
            new = NewMailbox(address=address, agency=agency, name=name, staff_no=number)
            add_mailbox(session, act(), new)
        add_mailbox(session, act(), NewMailbox(address=BEHALF, agency="H99.47", kind="office"))
        add_alias(session, act(), address=ALIAS, mailbox=AN)
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN)
        grant_send_as(session, act(), mailbox=BEHALF, holder=AN, rights="on-behalf")
        new_password = add_app_password(session, act(), AN, label="thử", scopes=["smtp"])
    services.spool.prepare(services.database)
    (folder / "app-password").write_text(new_password.password)
    services.directory.close()
    services.database.close()


def _config(folder: Path, authority: Authority | None) -> Config:
    relay = {
        "mx": "127.0.0.1:0",
        "submission": "127.0.0.1:0",
        "submissions": "127.0.0.1:0",
    }
    if authority is not None:
        relay |= {"certificate": str(authority.chain), "private_key": str(authority.key)}
    config = load_config(
        None,
        data={"path": str(folder)},
        site={"hostname": HOSTNAME, "official_suffixes": ["gov.vn", "test"]},
        relay=relay,
        authentication={"exempt_networks": ["127.0.0.0/8"]},  # there are no names to look up
        database={"batch_wait_ms": 0.5},
    )
    changes = {"errors": 100_000, "junk_commands": 100_000, "unknown_recipients": 100_000}
    changes |= {"recipients_per_hour": 100_000, "recipients_per_day": 100_000}
    changes |= {"messages_per_day": 100_000, "failed_logins": 100_000}
    return config.model_copy(update={"limits": config.limits.model_copy(update=changes)})


@asynccontextmanager
async def running_submission(
    made: Path, folder: Path, authority: Authority
) -> AsyncIterator[Submission]:
    """The front on a copy of that data."""
    shutil.copytree(made, folder)
    services = platform.build(_config(folder, authority))
    reader = ReaderHere()
    services = replace(
        services,
        readers=cast(ReaderPool, reader),
        intake=replace(services.intake, readers=reader),
    )
    server = RelayServer(
        config=services.config,
        directory=services.directory,
        intake=services.intake,
        spool=services.spool,
        records=Records(services.database, services.clock, services.config.screening),
        resolver=services.resolver,
    )
    listeners = await server.start()
    password = (folder / "app-password").read_text()
    try:
        with capture_logs():
            yield Submission(services, listeners, authority, password)
    finally:
        await server.stop(grace_seconds=1)
        services.directory.close()
        services.database.close()
