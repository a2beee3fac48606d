"""Into mailboxes: once, whole, private, and found again after a crash."""

import asyncio
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from mailgov import faults
from mailgov.addresses import Address
from mailgov.delivery.status import status_of
from mailgov.delivery.transports import LeaseLost, Parcel, Taken
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.errors import DeliveryDeferred, DeliveryError, DeliveryRefused
from mailgov.mailstore import layout
from mailgov.message import Body

from ..queue.samples import TEXT, body_of
from .parcels import PREFIX, QUEUE_ID, lost, ours, parcel

BINH = Address("binh", "tinhmau.gov.vn")


def maildir(data: Path, address: Address = BINH) -> Path:
    return layout.maildir(data, address)


def files(data: Path, address: Address = BINH) -> list[str]:
    return sorted(path.name for path in maildir(data, address).glob("*/*"))


async def test_the_mailbox_gets_trace_fields_prefix_and_the_bytes_as_they_are(
    tmp_path: Path,
) -> None:
    answers = await MaildirTransport(tmp_path).deliver(parcel(str(BINH)), ours)
    assert answers[1] == Taken("250 2.0.0 in the mailbox", "mailbox")
    (path,) = (maildir(tmp_path) / "new").iterdir()
    wanted = (
        b"Return-Path: <an@tinhmau.gov.vn>\r\nDelivered-To: binh@tinhmau.gov.vn\r\n" + PREFIX + TEXT
    )
    assert path.read_bytes() == wanted
    assert path.name == f"{QUEUE_ID}.1,S={len(wanted)},W={len(wanted)}"
    assert files(tmp_path) == [path.name]


async def test_the_null_sender_has_an_empty_return_path(tmp_path: Path) -> None:
    await MaildirTransport(tmp_path).deliver(parcel(str(BINH), sender=""), ours)
    (path,) = (maildir(tmp_path) / "new").iterdir()
    assert path.read_bytes().startswith(b"Return-Path: <>\r\n")


async def test_nobody_else_may_look_into_a_mailbox(tmp_path: Path) -> None:
    await MaildirTransport(tmp_path).deliver(parcel(str(BINH)), ours)
    made = [tmp_path / "mail", *(tmp_path / "mail").rglob("*")]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.is_dir()} == {"0o700"}
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.is_file()} == {"0o600"}


async def test_a_large_body_comes_whole_from_its_file(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    (tmp_path / "body").write_bytes(data)
    body = Body(len(data), body_of(data).sha256, path=tmp_path / "body")
    await MaildirTransport(tmp_path).deliver(parcel(str(BINH), body=body), ours)
    (path,) = (maildir(tmp_path) / "new").iterdir()
    assert path.read_bytes().endswith(PREFIX + data)


async def test_recipients_get_a_file_each_and_one_that_fails_stops_nobody(tmp_path: Path) -> None:
    maildir(tmp_path).parent.mkdir(parents=True)
    maildir(tmp_path).write_text("not a folder")
    answers = await MaildirTransport(tmp_path).deliver(
        parcel("binh@tinhmau.gov.vn", "chi@tinhmau.gov.vn"), ours
    )
    assert isinstance(answers[1], DeliveryDeferred)
    assert answers[1].code == "mailbox-unavailable"
    assert isinstance(answers[2], Taken)
    assert len(files(tmp_path, Address("chi", "tinhmau.gov.vn"))) == 1


async def test_a_mailbox_that_is_gone_is_a_no(tmp_path: Path) -> None:
    gone = parcel("binh@example.vn", destination="mailbox")
    answers = await MaildirTransport(tmp_path).deliver(gone, ours)
    assert isinstance(answers[1], DeliveryRefused)
    assert answers[1].code == "mailbox-unknown"


async def test_without_the_lease_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(LeaseLost):
        await MaildirTransport(tmp_path).deliver(parcel(str(BINH)), lost)
    assert not (tmp_path / "mail").exists()


class Crash(Exception):
    """The process dies here."""


def crash_at(name: str) -> Callable[[str], None]:
    def handler(point: str) -> None:
        if point == name:
            raise Crash

    return handler


@pytest.mark.parametrize("point", ["D2", "D4", "D5", "D6"])
async def test_an_attempt_repeated_after_a_crash_delivers_once(tmp_path: Path, point: str) -> None:
    transport = MaildirTransport(tmp_path)
    faults.set_handler(crash_at(point))
    try:
        with pytest.raises(Crash):
            await transport.deliver(parcel(str(BINH)), ours)
    finally:
        faults.set_handler(None)
    await transport.deliver(parcel(str(BINH), attempt=2), ours)
    assert len(list((maildir(tmp_path) / "new").iterdir())) == 1


async def test_what_was_read_meanwhile_is_not_delivered_again(tmp_path: Path) -> None:
    transport = MaildirTransport(tmp_path)
    await transport.deliver(parcel(str(BINH)), ours)
    (path,) = (maildir(tmp_path) / "new").iterdir()
    path.rename(maildir(tmp_path) / "cur" / f"{path.name}:2,FS")
    answers = await transport.deliver(parcel(str(BINH), attempt=2), ours)
    assert isinstance(answers[1], Taken)
    assert files(tmp_path) == [f"{path.name}:2,FS"]


async def test_attempts_that_race_deliver_once(tmp_path: Path) -> None:
    transport = MaildirTransport(tmp_path)
    attempts = [parcel(str(BINH), attempt=number) for number in range(1, 9)]
    await asyncio.gather(*(transport.deliver(attempt, ours) for attempt in attempts))
    assert len(files(tmp_path)) == 1


async def test_a_full_disk_is_trouble_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = (await MaildirTransport(tmp_path).deliver(parcel(str(BINH)), ours))[1]
    assert isinstance(answer, DeliveryError)
    assert answer.code == "disk-full"


def filled(data: Path, size_bytes: int) -> None:
    """Mail of so many bytes, in two folders."""
    for folder in ("cur", ".Archive/cur"):
        (maildir(data) / folder).mkdir(parents=True, exist_ok=True)
        (maildir(data) / folder / f"1.{size_bytes},S={size_bytes // 2}:2,S").touch()


@pytest.mark.parametrize(
    ("full", "kind", "status"),
    [("temporary", DeliveryDeferred, "4.2.2"), ("permanent", DeliveryRefused, "5.2.2")],
)
async def test_a_full_mailbox_is_answered_for_as_the_operator_wants(
    full: Literal["temporary", "permanent"], kind: type, status: str, tmp_path: Path
) -> None:
    sent = parcel(str(BINH))
    sent = replace(sent, items=(replace(sent.items[0], quota_mb=1),))
    filled(tmp_path, 1024 * 1024)
    transport = MaildirTransport(tmp_path, full)
    answer = (await transport.deliver(sent, ours))[1]
    assert isinstance(answer, kind)
    assert isinstance(answer, DeliveryError)
    assert (answer.code, status_of(answer)) == ("mailbox-full", status)
    # Somebody makes room, which a listing kept from before must not hide.
    (maildir(tmp_path) / ".Archive" / "cur" / "1.1048576,S=524288:2,S").unlink()
    assert isinstance((await transport.deliver(sent, ours))[1], Taken)


async def test_what_was_delivered_before_needs_no_room_again(tmp_path: Path) -> None:
    sent = parcel(str(BINH))
    size = len((await delivered(tmp_path, sent)).read_bytes())
    filled(tmp_path, 2 * (1024 * 1024 - size))
    again = parcel(str(BINH), attempt=2)
    again = replace(again, items=(replace(again.items[0], quota_mb=1),))
    assert isinstance((await MaildirTransport(tmp_path).deliver(again, ours))[1], Taken)
    assert len(list((maildir(tmp_path) / "new").iterdir())) == 1


async def delivered(data: Path, sent: Parcel) -> Path:
    """The file of a delivery."""
    await MaildirTransport(data).deliver(sent, ours)
    (path,) = (maildir(data) / "new").iterdir()
    return path
