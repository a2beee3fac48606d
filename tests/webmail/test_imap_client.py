"""The webmail's mailboxes over IMAP, the same against both engines."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from mailgov.errors import Conflict, NotFound, Unavailable
from mailgov.mailstore import reach
from mailgov_webmail.imap import ImapPool, MailboxClient
from mailgov_webmail.imap_answers import decoded
from mailgov_webmail.mailbox import FLAGGED, FORWARDED, SEEN, Mailbox
from mailgov_webmail.question import parse
from tests.support.imap_engines import Engine, config_for


def letter(subject: str, text: str = "Kính gửi các phòng, ban.", *, file: str = "") -> bytes:
    message = EmailMessage()
    message["From"] = "Nguyễn Văn An <an@vidu.gov.vn>"
    message["To"] = '"Phòng (Tổ chức)" <tochuc@vidu.gov.vn>, binh@vidu.gov.vn'
    message["Subject"] = subject
    message["Date"] = "Sat, 21 Nov 2026 08:00:00 +0700"
    message.set_content(text)
    if file:
        message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename=file)
    return message.as_bytes(policy=SMTP)


@pytest.fixture
async def pool(engine: Engine) -> AsyncIterator[ImapPool]:
    pool = ImapPool(engine.config)
    yield pool
    pool.close()
    await asyncio.sleep(0)  # transports close in the next turn of the loop


@pytest.fixture
def mailbox(pool: ImapPool, engine: Engine) -> MailboxClient:
    client: Mailbox = pool.mailbox(engine.mailbox())  # what the pages ask for
    assert isinstance(client, MailboxClient)
    return client


async def test_folders_of_an_empty_mailbox(mailbox: MailboxClient) -> None:
    folders = await mailbox.folders()
    assert [(folder.name, folder.role) for folder in folders] == [
        ("INBOX", "inbox"),
        ("Drafts", "drafts"),
        ("Sent", "sent"),
        ("Archive", "archive"),
        ("Junk", "junk"),
        ("Trash", "trash"),
    ]
    assert all((folder.total, folder.unread) == (0, 0) for folder in folders)
    assert (await mailbox.page("INBOX", 0, 50)).rows == ()


async def test_folders_of_ones_own_come_last(mailbox: MailboxClient, engine: Engine) -> None:
    with engine.wire(mailbox.address) as wire:
        wire.ok(b'CREATE "C&APQ-ng v&AQM-n/2026"')
    engine.deliver(mailbox.address, [letter("Một"), letter("Hai")])
    folders = await mailbox.folders()
    assert (folders[0].total, folders[0].unread) == (2, 2)
    assert [(f.name, f.role) for f in folders if f.name.startswith("Công văn/")] == [
        ("Công văn/2026", "")
    ]


async def test_a_row_says_all_about_its_message(mailbox: MailboxClient, engine: Engine) -> None:
    data = letter('KHẨN * HỎA TỐC * (số 1 ) "', file="Giấy mời (1).pdf")
    before = datetime.now(UTC).replace(microsecond=0)
    uid = await mailbox.place("INBOX", data, [SEEN, FORWARDED])
    listing = await mailbox.page("INBOX", 0, 50)
    (row,) = listing.rows
    assert (listing.folder, listing.total) == ("INBOX", 1)
    assert listing.uidvalidity == await mailbox.uidvalidity("INBOX")
    assert row.uid == uid
    assert row.flags >= {SEEN, FORWARDED}
    assert (row.from_name, row.from_address) == ("Nguyễn Văn An", "an@vidu.gov.vn")
    assert row.to == ("Phòng (Tổ chức)", "binh@vidu.gov.vn")
    assert row.subject == 'KHẨN * HỎA TỐC * (số 1 ) "'
    assert before <= row.received_at <= datetime.now(UTC)
    assert row.size_bytes == len(data)
    assert row.has_files


@pytest.mark.parametrize(
    ("offset", "limit", "found"),
    [
        (0, 2, ["5", "4"]),
        (2, 2, ["3", "2"]),
        (4, 2, ["1"]),
        (5, 2, []),
        (0, 9, ["5", "4", "3", "2", "1"]),
    ],
)
async def test_pages_go_from_new_to_old(
    mailbox: MailboxClient, engine: Engine, offset: int, limit: int, found: list[str]
) -> None:
    engine.deliver(mailbox.address, [letter(str(number)) for number in range(1, 6)])
    listing = await mailbox.page("INBOX", offset, limit)
    assert [row.subject for row in listing.rows] == found
    assert listing.total == 5


async def test_filters(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter(str(number)) for number in range(1, 6)])
    await mailbox.set_flags("INBOX", [1, 3], add=[SEEN])
    await mailbox.set_flags("INBOX", [3, 4], add=[FLAGGED])
    unread = await mailbox.page("INBOX", 0, 2, "unread")
    assert ([row.subject for row in unread.rows], unread.total) == (["5", "4"], 3)
    flagged = await mailbox.page("INBOX", 1, 2, "flag")
    assert ([row.subject for row in flagged.rows], flagged.total) == (["3"], 2)
    await mailbox.set_flags("INBOX", [3], remove=[SEEN, FLAGGED])
    assert (await mailbox.page("INBOX", 0, 9, "flag")).total == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("giấy mời", ["Giấy mời họp", "Lịch"]),
        ("GIẤY MỜI", ["Giấy mời họp", "Lịch"]),
        ('"mời họp"', ["Giấy mời họp"]),
        ("nguyễn", ["Giấy mời họp", "Lịch", "Báo cáo"]),
        ('quý "IV', ["Báo cáo"]),
        ("không có", []),
    ],
)
async def test_search(mailbox: MailboxClient, engine: Engine, text: str, found: list[str]) -> None:
    engine.deliver(mailbox.address, [
        letter("Báo cáo", "Số liệu quý IV."), letter("Lịch", "Gửi kèm giấy mời."), letter("Giấy mời họp"),
    ])  # fmt: skip
    listing = await mailbox.search("INBOX", parse(text, date(2026, 11, 22), {}).criteria(), 10)
    assert [row.subject for row in listing.rows] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("có:tệp", ["Danh sách"]),
        ("-có:tệp", ["[GM] Họp quý", "Số liệu"]),
        ("loại:GM", ["[GM] Họp quý"]),
        ('từ:"văn an"', ["Danh sách", "[GM] Họp quý", "Số liệu"]),
        ("đến:tochuc -tiêu-đề:họp", ["Danh sách", "Số liệu"]),
        ("là:đã-đọc", []),
        ("lớn:100K", ["Số liệu"]),
        ("sau:1/1/2020 nhỏ:100K là:chưa-đọc", ["Danh sách", "[GM] Họp quý"]),
        ("trước:1/1/2020", []),
    ],
)
async def test_operators(
    mailbox: MailboxClient, engine: Engine, text: str, found: list[str]
) -> None:
    engine.deliver(mailbox.address, [
        letter("Số liệu", "0123456789 \n" * 10_000), letter("[GM] Họp quý"), letter("Danh sách", file="ds.pdf"),
    ])  # fmt: skip
    criteria = parse(text, date(2026, 11, 22), {}).criteria()
    listing = await mailbox.search("INBOX", criteria, 10)
    assert [row.subject for row in listing.rows] == found


async def test_a_search_finds_only_so_many(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter(str(number)) for number in range(1, 6)])
    listing = await mailbox.search("INBOX", 'TEXT "phòng"', 2)
    assert ([row.subject for row in listing.rows], listing.total) == (["5", "4"], 5)


async def test_the_bytes_are_the_bytes(mailbox: MailboxClient, engine: Engine) -> None:
    data = letter("Thử", "x" * 200_000 + "\r\n* 1 FETCH ({5}\r\n)\r\nA1 OK\r\n")
    engine.deliver(mailbox.address, [data])
    valid = await mailbox.uidvalidity("INBOX")
    assert await mailbox.fetch_raw("INBOX", valid, 1) == data
    header = await mailbox.fetch_header("INBOX", valid, 1)
    assert header == data[: data.index(b"\r\n\r\n") + 4]
    assert SEEN not in (await mailbox.page("INBOX", 0, 1)).rows[0].flags


async def test_flags_of_one_message(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter("Một")])
    valid = await mailbox.uidvalidity("INBOX")
    await mailbox.set_flags("INBOX", [1], add=[SEEN, FORWARDED])
    assert await mailbox.flags("INBOX", valid, 1) >= {SEEN, FORWARDED}
    with pytest.raises(NotFound, match="message-missing"):
        await mailbox.flags("INBOX", valid, 2)


async def test_moving_copying_removing(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter(str(number)) for number in range(1, 5)])
    assert await mailbox.move("INBOX", [1, 3], "Trash") == [1, 2]
    assert await mailbox.copy("INBOX", [4], "Archive") == [1]
    await mailbox.delete("INBOX", [2])
    assert [row.subject for row in (await mailbox.page("INBOX", 0, 9)).rows] == ["4"]
    assert [row.subject for row in (await mailbox.page("Trash", 0, 9)).rows] == ["3", "1"]
    assert [row.subject for row in (await mailbox.page("Archive", 0, 9)).rows] == ["4"]


async def test_placing_with_a_date(mailbox: MailboxClient) -> None:
    moment = datetime(2026, 2, 17, 1, 2, 3, tzinfo=UTC)
    assert await mailbox.place("Drafts", letter("Cũ"), ["\\Draft"], moment) == 1
    await mailbox.append("Drafts", letter("Mới"), ["\\Draft", SEEN])
    rows = (await mailbox.page("Drafts", 0, 9)).rows
    assert rows[1].received_at == moment
    assert rows[0].flags >= {"\\Draft", SEEN}


async def test_quota(mailbox: MailboxClient) -> None:
    await mailbox.place("INBOX", letter("x" * 3000))
    quota = await mailbox.quota()
    assert quota is not None
    assert quota.limit_bytes == 5 << 20
    assert 3000 < quota.used_bytes < 20_000


async def test_a_full_mailbox(mailbox: MailboxClient) -> None:
    with pytest.raises(Conflict, match="mailbox-full"):
        await mailbox.append("INBOX", letter("Lớn", "0123456789\r\n" * 500_000), [])
    await mailbox.append("INBOX", letter("Nhỏ"), [])


async def test_what_is_not_there(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter("Một")])
    valid = await mailbox.uidvalidity("INBOX")
    for work in (
        mailbox.page("Không có", 0, 1),
        mailbox.move("INBOX", [1], "Không có"),
        mailbox.copy("INBOX", [1], "Không có"),
        mailbox.append("Không có", letter("x"), []),
        mailbox.search("Không có", "ALL", 1),
    ):
        with pytest.raises(NotFound, match="folder-missing"):
            await work
    for uidvalidity, uid in ((valid, 2), (valid + 1, 1)):
        with pytest.raises(NotFound, match="message-missing"):
            await mailbox.fetch_raw("INBOX", uidvalidity, uid)
    assert await mailbox.move("INBOX", [99], "Trash") == []


async def test_folder_names_can_not_carry_commands(mailbox: MailboxClient) -> None:
    for name in ('INBOX" "x', "a\r\nX LOGOUT", "a\\", "{5}", "*"):
        with pytest.raises(NotFound):
            await mailbox.page(name, 0, 1)
    await mailbox.page("INBOX", 0, 1)


async def test_many_at_once_share_the_pool(mailbox: MailboxClient, engine: Engine) -> None:
    engine.deliver(mailbox.address, [letter(str(number)) for number in range(10)])
    listings = await asyncio.gather(*(mailbox.page("INBOX", n, 1) for n in range(10)))
    assert [listing.rows[0].subject for listing in listings] == [str(9 - n) for n in range(10)]


async def test_work_given_up_leaves_the_next_one_alone(
    mailbox: MailboxClient, engine: Engine
) -> None:
    engine.deliver(mailbox.address, [letter(str(n), "x" * 50_000) for n in range(20)])
    valid = await mailbox.uidvalidity("INBOX")
    reading = [asyncio.create_task(mailbox.fetch_raw("INBOX", valid, n)) for n in range(1, 4)]
    await asyncio.sleep(0)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert b"Subject: 6" in await mailbox.fetch_raw("INBOX", valid, 7)


async def test_an_unused_connection_is_closed(engine: Engine) -> None:
    pool = ImapPool(engine.config, idle_seconds=0.0)
    mailbox = pool.mailbox(engine.mailbox())
    await mailbox.folders()
    (connection,) = pool._idle[mailbox.address]
    async with asyncio.timeout(10):
        await connection._library.protocol.lost.wait()
    await mailbox.folders()  # with another one
    pool.close()
    await asyncio.sleep(0)


async def test_a_connection_lost_meanwhile_is_replaced(
    mailbox: MailboxClient, pool: ImapPool
) -> None:
    await mailbox.folders()
    (connection,) = pool._idle[mailbox.address]
    connection._library.protocol.transport.abort()
    await asyncio.sleep(0)
    assert await mailbox.folders()


async def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="mailstore-unavailable"):
        await ImapPool(config_for(tmp_path)).mailbox("an@vidu.gov.vn").folders()
    silent = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    reach.publish(tmp_path, f"{host}:{port}")
    async with silent:
        with pytest.raises(Unavailable, match="mailstore-unavailable"):
            await ImapPool(config_for(tmp_path)).mailbox("an@vidu.gov.vn").folders()
    with pytest.raises(Unavailable, match="mailstore-unavailable"):
        await ImapPool(config_for(tmp_path)).mailbox("an@vidu.gov.vn").folders()


async def test_a_stranger_has_no_mailbox(pool: ImapPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailgov.mailstore.own_client.KNOWN_SECONDS", 0.0)
    with pytest.raises(Unavailable, match="mailstore-unavailable"):
        await pool.mailbox("khong.ai@vidu.gov.vn").folders()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"=?utf-8?q?Gi=E1=BA=A5y?= =?utf-8?b?IG3hu51p?=", "Giấy mời"),
        ("Giấy mời".encode(), "Giấy mời"),
        (b"=?khong-co?q?abc?=", "abc"),
        (None, ""),
    ],
)
def test_decoded(raw: bytes | None, words: str) -> None:
    assert decoded(raw) == words
