"""Filters of people at Dovecot: mail comes in over LMTP, programs set filters over ManageSieve."""

import asyncio
import base64
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.config import load_config
from mailgov.delivery.status import status_of
from mailgov.delivery.transports import Answers, Taken
from mailgov.delivery.transports.lmtp import LmtpTransport
from mailgov.errors import ConfigError, DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.mailstore import layout, reach
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.plan import features
from mailgov.mailstore.users import Change, User
from tests.mailgov.delivery.parcels import ours, parcel
from tests.support.imap_engines import PASSWORD, LoopThread, require_dovecot, users
from tests.support.imap_wire import Wire

pytestmark = pytest.mark.dovecot

AN, SMALL = users()[0], replace(users()[1], quota_mb=1)
OFFICE = User("vanthu@vidu.gov.vn", "", 5, is_open=False)
FILTER = 'require ["fileinto", "mailbox"];\nif header :contains "subject" "Thu" { fileinto :create "Thu moi"; }\n'


class House:
    """A Dovecot that takes mail over LMTP, with what is needed to send it some."""

    def __init__(self, data: Path, full: str) -> None:
        self.config = load_config(
            None,
            data={"path": str(data)},
            mailstore={
                "engine": "dovecot", "imap": "127.0.0.1:0", "managesieve": "127.0.0.1:0",
                "filters": True, "full_mailbox": full,
            },
        )  # fmt: skip
        self.loop = LoopThread()
        self.child = DovecotChild(self.config)
        self.socket = str(data / "dovecot" / "run" / "lmtp")

    def start(self) -> None:
        self.loop.run(self.child.apply(Change((AN, SMALL), closed=(OFFICE,))))
        self.host, self.port = reach.split(self.loop.run(self.child.start()))

    def maildir(self, address: str) -> Path:
        return layout.maildir(self.config.data.path, Address.parse(address))

    async def deliver(self, *addresses: str, queue_id: str = "", data: bytes = b"") -> Answers:
        transport = LmtpTransport(self.socket, "mail.vidu.gov.vn")
        sent = parcel(*addresses, data=data or b"Subject: Thu\r\n\r\nx\r\n")
        sent = replace(
            sent,
            message=replace(sent.message, queue_id=queue_id or sent.message.queue_id),
            items=tuple(replace(item, mailbox=item.address) for item in sent.items),
        )
        try:
            return await transport.deliver(sent, ours)
        finally:
            await transport.close()


def require_filters(house: House) -> None:
    require_dovecot(house.config)
    if not {"sieve", "managesieve", "lmtp"} <= features():
        if os.environ.get("CI"):
            pytest.fail("dovecot-sieve, dovecot-managesieved or dovecot-lmtpd is not installed")
        pytest.skip("no Dovecot with Sieve on this machine")


@pytest.fixture(scope="module", params=["temporary", "permanent"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("filters"), request.param)
    require_filters(house)
    house.start()
    yield house
    house.loop.run(house.child.stop())
    house.loop.close()


async def test_mail_arrives_for_people_and_for_offices(house: House) -> None:
    answers = await house.deliver(AN.address, OFFICE.address, "khong.co@vidu.gov.vn")
    assert isinstance(answers[1], Taken)
    assert isinstance(answers[2], Taken)
    assert isinstance(answers[3], DeliveryRefused)
    assert status_of(answers[3]) == "5.1.1"
    (file,) = (house.maildir(OFFICE.address) / "new").iterdir()
    assert file.read_bytes().endswith(b"Subject: Thu\r\n\r\nx\r\n")
    assert b"Return-Path: <an@tinhmau.gov.vn>\r\n" in file.read_bytes()


async def test_a_delivery_that_is_repeated_is_kept_once(house: House) -> None:
    for _ in range(3):
        answers = await house.deliver(OFFICE.address, queue_id="01lap", data=b"A: lap\r\n\r\n1\r\n")
        assert isinstance(answers[1], Taken)
    await house.deliver(OFFICE.address, queue_id="01khac", data=b"A: lap\r\n\r\n1\r\n")
    found = [
        f for f in (house.maildir(OFFICE.address) / "new").iterdir() if b"A: lap" in f.read_bytes()
    ]
    assert len(found) == 2  # the two messages


async def test_a_full_mailbox_is_answered_for_as_the_operator_wants(house: House) -> None:
    data = b"Subject: lon\r\n\r\n" + (b"x" * 998 + b"\r\n") * 400
    kinds = []
    for number in range(4):
        answer = (await house.deliver(SMALL.address, queue_id=f"01day{number}", data=data))[1]
        kinds.append(answer)
    full = kinds[-1]
    assert isinstance(kinds[0], Taken)
    assert isinstance(full, DeliveryError)
    wanted = house.config.mailstore.full_mailbox
    assert type(full) is (DeliveryDeferred if wanted == "temporary" else DeliveryRefused)
    assert status_of(full) == ("4.2.2" if wanted == "temporary" else "5.2.2")


class Sieve:
    """As much of ManageSieve (RFC 5804) as a mail program speaks."""

    def __init__(self, at: tuple[str, int]) -> None:
        self._socket = socket.create_connection(at, 20)
        self._file = self._socket.makefile("rb")
        self.capabilities = self.reply()
        plain = base64.b64encode(f"\0{AN.address}\0{PASSWORD}".encode()).decode()
        assert self.ask(f'AUTHENTICATE "PLAIN" "{plain}"'.encode())[-1].startswith(b"OK")

    def reply(self) -> list[bytes]:
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith((b"OK", b"NO", b"BYE")):
            lines.append(self._file.readline())
            assert lines[-1], lines
        return lines

    def ask(self, command: bytes) -> list[bytes]:
        self._socket.sendall(command + b"\r\n")
        return self.reply()

    def put(self, script: str) -> bytes:
        data = script.encode()
        return self.ask(b'PUTSCRIPT "loc" {%d+}\r\n%b' % (len(data), data))[-1]

    def close(self) -> None:
        self._file.close()
        self._socket.close()


async def test_a_filter_set_by_a_program_files_mail(house: House) -> None:
    assert house.child.filters_at is not None
    sieve = await asyncio.to_thread(Sieve, house.child.filters_at)
    assert sieve.put(FILTER).startswith(b"OK")
    assert sieve.ask(b'SETACTIVE "loc"')[-1].startswith(b"OK")
    sieve.close()
    assert isinstance((await house.deliver(AN.address, queue_id="01loc"))[1], Taken)
    assert len(list((house.maildir(AN.address) / ".Thu moi" / "new").iterdir())) == 1
    with Wire(house.host, house.port) as wire:
        wire.login(AN.address, PASSWORD)
        assert b"* 1 EXISTS" in wire.ok(b'SELECT "Thu moi"')


@pytest.mark.parametrize(
    "script",
    [
        'require "vacation"; vacation "vang mat";',
        'require "reject"; reject "khong";',
        'require "enotify"; notify "mailto:x@gmail.com";',
    ],
)
async def test_what_the_platform_does_itself_no_filter_does(house: House, script: str) -> None:
    assert house.child.filters_at is not None
    sieve = await asyncio.to_thread(Sieve, house.child.filters_at)
    assert sieve.put(script).startswith(b"NO")
    sieve.close()


async def test_no_filter_sends_mail_out(house: House) -> None:
    assert house.child.filters_at is not None
    sieve = await asyncio.to_thread(Sieve, house.child.filters_at)
    taken = sieve.put('redirect "x@gmail.com";')
    if taken.startswith(b"OK"):
        sieve.ask(b'SETACTIVE "loc"')
    sieve.close()
    answer = (await house.deliver(AN.address, queue_id="01ra", data=b"A: ra\r\n\r\n1\r\n"))[1]
    assert isinstance(answer, Taken)
    kept = [f for f in (house.maildir(AN.address) / "new").iterdir() if b"A: ra" in f.read_bytes()]
    assert len(kept) == 1


def test_filters_need_dovecot() -> None:
    with pytest.raises(ConfigError, match="filters"):
        load_config(None, mailstore={"filters": True})
