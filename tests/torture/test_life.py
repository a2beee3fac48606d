"""The life of a server: it reloads whole or not at all, and stops without dropping what it has."""

import os
import signal
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlmodel import col, select

from mailgov import reload
from mailgov.db.models import EventRow
from mailgov.services import open_database

from .world import AN, BINH, NURSERY, DiedAtStart, Server
from .world import World as Installation

WAIT_SECONDS = 60.0
LETTER = f"From: {AN}\r\nTo: {BINH}\r\nSubject: Thu\r\n\r\nXin chao.".encode()


@dataclass
class Life:
    """An installation and its running server."""

    world: Installation
    server: Server

    def reload(self) -> str:
        """Ask for a reload; the code of the error, or nothing."""
        told = reload.ask(self.world.data, WAIT_SECONDS)
        assert [one["pid"] for one in told] == [self.server.pid]
        code: str = told[0]["code"]
        return code

    def set(self, old: str, new: str) -> None:
        """Change the configuration file."""
        text = self.world.config_file.read_text("utf-8")
        assert old in text
        self.world.config_file.write_text(text.replace(old, new), "utf-8")

    def offered_bytes(self) -> int:
        """SIZE, as EHLO offers it."""
        with smtplib.SMTP(*self.server.mx, timeout=WAIT_SECONDS) as client:
            client.ehlo()
            return int(client.esmtp_features["size"])

    def certificate(self) -> bytes:
        """The one that the server shows."""
        host, _, port = self.server.listeners["submissions"].rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((host, int(port)), WAIT_SECONDS) as raw,
            context.wrap_socket(raw) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        return shown

    def events(self) -> list[dict[str, Any]]:
        """What the ledger says of reloads."""
        database = open_database(self.world.config)
        try:
            with database.read() as session:
                query = select(EventRow).where(EventRow.kind == "configuration.reloaded")
                return [row.data for row in session.exec(query.order_by(col(EventRow.id)))]
        finally:
            database.close()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """One life for all tests of the file."""
    world = Installation(tmp_path_factory.mktemp("life"), "127.0.0.1:1").settle()
    server = world.start()
    yield Life(world, server)
    if not server.is_dead:
        server.kill()
    NURSERY.close()


def begun(server: Server) -> smtplib.SMTP:
    """A session that has begun its message and not ended it."""
    client = smtplib.SMTP(*server.mx, "peer.example", timeout=WAIT_SECONDS)
    client.ehlo()
    client.mail(AN)
    client.rcpt(BINH)
    assert client.docmd("DATA")[0] == 354
    client.send(LETTER)
    return client


def test_a_reload_takes_over_what_was_changed_and_refuses_nobody(life: Life) -> None:
    before = life.offered_bytes()
    life.set("message_bytes = 2097152", "message_bytes = 1048576")
    open_one = begun(life.server)
    done = threading.Event()
    refused: list[str] = []

    def knock() -> None:
        while not done.is_set():
            try:
                with smtplib.SMTP(*life.server.mx, timeout=WAIT_SECONDS) as client:
                    client.noop()
            except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException):
                continue  # 421 is what a stopping server says; the next one waits in the kernel
            except OSError as exc:
                refused.append(str(exc))

    knocking = threading.Thread(target=knock)
    knocking.start()
    ending = threading.Timer(0.3, open_one.send, (b"\r\n.\r\n",))
    ending.start()
    assert life.reload() == ""
    done.set()
    knocking.join()
    assert open_one.getreply()[0] == 250
    open_one.close()
    assert (before, life.offered_bytes()) == (2097152, 1048576)
    assert refused == []
    assert life.events()[-1] == {"applied": True, "code": "", "sections": ["limits"]}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("message_bytes = 1048576", "message_bytes = 'many'", "config-not-valid"),
        ('submission = "127.0.0.1:0"', 'submission = "{taken}"', "port-busy"),
        (
            'mx = "127.0.0.1:0"',
            'mx = "127.0.0.1:0"\nclient_authorities = ["none.pem"]',
            "client-authorities-not-valid",
        ),
        ('path = "{data}"', 'path = "{data}2"', "reload-needs-restart"),
    ],
)
def test_a_bad_configuration_changes_nothing(life: Life, old: str, new: str, code: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        fields = {"taken": f"127.0.0.1:{taken.getsockname()[1]}", "data": life.world.data}
        kept = life.world.config_file.read_text("utf-8")
        life.set(old.format(**fields), new.format(**fields))
        try:
            assert life.reload() == code
        finally:
            life.world.config_file.write_text(kept, "utf-8")
    assert life.offered_bytes() == 1048576
    assert life.events()[-1]["applied"] is False
    assert life.events()[-1]["code"] == code


def test_a_bad_certificate_stays_outside_and_a_new_one_is_shown(life: Life) -> None:
    chain, key = (life.world.data / "tls" / name for name in ("cert.pem", "key.pem"))
    before = life.certificate()
    kept = chain.read_bytes()
    chain.write_bytes(b"no certificate\n")
    assert life.reload() == "certificate-not-valid"
    assert life.certificate() == before
    chain.write_bytes(kept)
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    assert life.reload() == ""
    assert life.certificate() != before


def test_a_stop_lets_the_message_under_way_finish_and_says_421_to_others(life: Life) -> None:
    idle = smtplib.SMTP(*life.server.mx, "peer.example", timeout=WAIT_SECONDS)
    idle.ehlo()
    client = begun(life.server)
    os.kill(life.server.pid, signal.SIGTERM)
    assert idle.getreply()[0] == 421
    idle.close()
    client.send(b"\r\n.\r\n")
    assert client.getreply()[0] == 250
    client.close()
    assert life.server.wait(WAIT_SECONDS) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(life.server.mx, 5)
    assert not list((life.world.data / "serve").glob("*.json"))


def test_a_server_refuses_a_database_that_it_does_not_know(tmp_path: Path) -> None:
    world = Installation(tmp_path, "127.0.0.1:1")
    world.data.mkdir()
    with pytest.raises(DiedAtStart, match="schema-outdated"):
        world.start()
