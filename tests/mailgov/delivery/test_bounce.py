"""Notices: what people read, what machines read, and nothing a stranger could slip in."""

import email
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov.config import Config, load_config
from mailgov.content.header_block import HeaderBlock
from mailgov.delivery import bounce
from mailgov.delivery.bounce import Occasion, Sender, compose, subject_of
from mailgov.delivery.outcome import NoticeKind, conclude
from mailgov.delivery.status import advice_for
from mailgov.delivery.transports import Answer, Taken
from mailgov.errors import DeliveryDeferred, DeliveryRefused
from mailgov.queue import MAILBOX
from mailgov.texts import LANGUAGES, entry

from ..queue.samples import NOON
from .parcels import PREFIX, QUEUE_ID, parcel

HEADER = HeaderBlock(
    PREFIX + b"From: an@tinhmau.gov.vn\r\n"
    b"Subject: =?utf-8?q?B=C3=A1o_c=C3=A1o_thu_chi_th=C3=A1ng_11?=\r\n"
)
AN = Address("an", "tinhmau.gov.vn")
NO = DeliveryRefused("peer-refused", reply="550 5.1.1 no such user")
LATER = DeliveryDeferred("peer-unreachable", host="mx.example.vn", reason="refused")


@pytest.fixture
def config() -> Config:
    return load_config(
        None,
        site={
            "hostname": "mail.tinhmau.gov.vn",
            "organisation": "Tỉnh Mẫu",
            "help_url": "https://mail.tinhmau.gov.vn",
            "contact": "0200 000 000",
        },
    )


def occasion(
    kind: NoticeKind,
    answers: Sequence[Answer],
    *,
    age: timedelta = timedelta(0),
    recipients: Sequence[str] = ("binh@example.vn", "chi@example.vn"),
    original: str = "",
    envid: str = "",
    header: HeaderBlock = HEADER,
) -> Occasion:
    sent = parcel(
        *recipients[: len(answers)],
        notify=["SUCCESS", "FAILURE", "DELAY"],
        original=original,
        envid=envid,
        attempt=70 if age else 1,  # so many fill the days
    )
    now = NOON + age
    settings = Config().delivery
    outcomes = conclude(sent.items, dict(enumerate(answers, 1)), now, settings, lambda: 0.5)
    assert {outcome.notice for outcome in outcomes} == {kind}
    return Occasion(kind, sent.message, outcomes, header, now)


def read(told: Occasion, config: Config, to: Address = AN) -> EmailMessage:
    content = compose(told, to, config, QUEUE_ID)
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    return message


def parts(message: EmailMessage) -> tuple[str, list[dict[str, str]], str]:
    """The readable part, the blocks of the machine part, the header that returned."""
    text, machine, returned = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(returned, EmailMessage)
    blocks = [dict(block.items()) for block in cast("list[EmailMessage]", machine.get_payload())]
    readable, header = (part.get_content().replace("\r\n", "\n") for part in (text, returned))
    return readable, blocks, header


def test_a_failure_says_what_to_whom_why_and_what_to_do_now(config: Config) -> None:
    message = read(occasion("failure", [NO]), config)
    assert message["Subject"] == ("Thư chưa gửi được: Báo cáo thu chi tháng 11 / Not delivered")
    assert message["From"] == "Tỉnh Mẫu <postmaster@mail.tinhmau.gov.vn>"
    assert message["To"] == "an@tinhmau.gov.vn"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["References"] == "<1@tinhmau.gov.vn>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, _, _ = parts(message)
    vietnamese, english = text.split("Your message was NOT delivered to:")
    assert vietnamese == (
        "Thư của bạn CHƯA đến:\n"
        "\n"
        "  binh@example.vn\n"
        "  Vì sao: máy chủ nơi nhận từ chối thư.\n"
        "  Máy chủ nơi nhận trả lời: 550 5.1.1 no such user\n"
        "  Cần làm:\n"
        "    1. Kiểm tra lại từng chữ trong địa chỉ người nhận.\n"
        "    2. Tìm địa chỉ đúng trong danh bạ hoặc hỏi người nhận qua điện thoại.\n"
        "    3. Gửi lại thư đến địa chỉ đúng.\n"
        "\n"
        "Tiêu đề: Báo cáo thu chi tháng 11\n"
        "Gửi lúc: 12:00 23/11/2026\n"
        "Đây là thông báo tự động, xin không trả lời. English text follows.\n"
        "Hỗ trợ: 0200 000 000\n"
        f"Mã thư: {QUEUE_ID}\n"
        "\n"
    )
    assert "What to do now:\n    1. Check every letter" in english


def test_machines_read_the_fields_of_rfc_3464(config: Config) -> None:
    told = occasion("failure", [NO, DeliveryRefused("domain-not-found", domain="example.vn")])
    _, (of_message, *of_recipients), _ = parts(read(told, config))
    assert of_message == {
        "Reporting-MTA": "dns; mail.tinhmau.gov.vn",
        "Arrival-Date": "Mon, 23 Nov 2026 05:00:00 +0000",
    }
    assert of_recipients == [
        {
            "Final-Recipient": "rfc822; binh@example.vn",
            "Action": "failed",
            "Status": "5.1.1",
            "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
            "Last-Attempt-Date": "Mon, 23 Nov 2026 05:00:00 +0000",
        },
        {
            "Final-Recipient": "rfc822; chi@example.vn",
            "Action": "failed",
            "Status": "5.1.2",
            "Last-Attempt-Date": "Mon, 23 Nov 2026 05:00:00 +0000",
        },
    ]


def test_the_header_returns_and_nothing_of_the_content(config: Config) -> None:
    message = read(occasion("failure", [NO]), config)
    _, _, returned = parts(message)
    assert returned == HEADER.raw.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (b"noi dung\r\n", "7bit", "message/rfc822"),
        ("nội dung\r\n".encode(), "8bit", "message/rfc822"),
    ],
)
def test_the_whole_message_returns_where_that_was_asked(
    config: Config, body: bytes, encoding: str, kind: str
) -> None:
    whole = HEADER.raw + b"\r\n" + body
    message = read(replace(occasion("failure", [NO]), whole=whole), config)
    *_, returned = message.iter_parts()
    assert (returned.get_content_type(), returned["Content-Transfer-Encoding"]) == (kind, encoding)
    content = compose(replace(occasion("failure", [NO]), whole=whole), AN, config, QUEUE_ID)
    assert whole in content


def test_a_whole_message_with_a_header_in_utf8_says_so(config: Config) -> None:
    header = HeaderBlock("Subject: Họp\r\n".encode())
    told = replace(occasion("failure", [NO], header=header), whole=header.raw + b"\r\nx\r\n")
    assert b"Content-Type: message/global\r\n" in compose(told, AN, config, QUEUE_ID)


def test_the_postmaster_reads_whose_message_it_was(config: Config) -> None:
    told = replace(occasion("failure", [NO]), for_postmaster=True)
    message = read(told, config)
    text, _, _ = parts(message)
    assert message["Subject"].startswith("Không báo được cho người gửi: Báo cáo thu chi")
    assert "không báo lại được cho người gửi an@tinhmau.gov.vn" in text
    assert "its sender an@tinhmau.gov.vn could not be told" in text


def test_the_server_that_failed_is_named_to_machines(config: Config) -> None:
    told = occasion("failure", [DeliveryRefused("peer-lacks-requiretls", host="mx.example.vn")])
    _, (_, block), _ = parts(read(told, config))
    assert block["Remote-MTA"] == "dns; mx.example.vn"
    assert block["Status"] == "5.7.30"


def test_what_the_sender_asked_to_have_repeated_is_repeated(config: Config) -> None:
    told = occasion("failure", [NO], original="rfc822;Binh@example.vn", envid="QQ314")
    _, (of_message, of_recipient), _ = parts(read(told, config))
    assert of_message["Original-Envelope-Id"] == "QQ314"
    assert of_recipient["Original-Recipient"] == "rfc822;Binh@example.vn"


def test_an_address_beyond_ascii_has_its_form_for_seven_bits(config: Config) -> None:
    told = occasion("failure", [NO], recipients=["bình@example.vn"])
    text, (_, block), _ = parts(read(told, config))
    assert block["Final-Recipient"] == r"utf-8; b\x{EC}nh@example.vn"
    assert "  bình@example.vn\n" in text


def test_giving_up_names_the_days_and_the_last_trouble(config: Config) -> None:
    told = occasion("failure", [LATER], age=timedelta(days=5))
    text, (_, block), _ = parts(read(told, config))
    assert "Hệ thống đã thử gửi trong 5 ngày mà không được." in text
    assert "không kết nối được với máy chủ `mx.example.vn`" in text
    assert block["Status"] == "4.4.7"


def test_a_delay_says_that_nothing_needs_doing(config: Config) -> None:
    told = occasion("delay", [LATER], age=timedelta(hours=4))
    message = read(told, config)
    text, (_, block), _ = parts(message)
    assert message["Subject"].startswith("Thư đang chờ gửi: ")
    assert "Bạn không cần làm gì. Hệ thống tiếp tục thử đến 12:00 28/11/2026" in text
    assert "Cần làm:" not in text
    assert (block["Action"], block["Status"]) == ("delayed", "4.4.1")
    assert block["Will-Retry-Until"] == "Sat, 28 Nov 2026 05:00:00 +0000"


def test_success_tells_delivered_from_relayed(config: Config) -> None:
    answers = [Taken("250 in the mailbox", "mailbox"), Taken("250 2.0.0 queued", "relay")]
    told = occasion("success", answers, recipients=["binh@tinhmau.gov.vn", "chi@example.vn"])
    text, (_, first, second), _ = parts(read(told, config))
    assert "Thư đã vào hộp thư của người nhận." in text
    assert "Thư đã được chuyển cho máy chủ của bên nhận" in text
    assert (first["Action"], first["Status"]) == ("delivered", "2.0.0")
    assert "Diagnostic-Code" not in first
    assert (second["Action"], second["Diagnostic-Code"]) == ("relayed", "smtp; 250 2.0.0 queued")


def test_a_rule_that_a_server_like_ours_names_is_explained(config: Config) -> None:
    refused = DeliveryRefused(
        "peer-refused", reply="550 5.7.1 [legacy-encoding] Thu dung bang ma TCVN3. Convert it."
    )
    text, _, _ = parts(read(occasion("failure", [refused]), config))
    for language in LANGUAGES:
        rule = entry(language, "rule.legacy-encoding")
        assert rule["title"] in text
        assert rule["steps"]["webmail"][0] in text
    assert "https://mail.tinhmau.gov.vn/help/rules/legacy-encoding" in text


def test_a_word_in_brackets_that_is_no_rule_is_just_a_word(config: Config) -> None:
    refused = DeliveryRefused("peer-refused", reply="550 5.7.1 [spam] go away")
    text, _, _ = parts(read(occasion("failure", [refused]), config))
    assert "máy chủ nơi nhận từ chối thư" in text
    assert "/help/rules/" not in text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"Subject: plain\r\n", "plain"),
        (b"Subject:\r\n folded\r\n line\r\n", "folded line"),
        ("Subject: Họp khẩn\r\n".encode(), "Họp khẩn"),
        (b"Subject: =?utf-8?b?SOG7jXA=?=\r\n", "Họp"),
        (b"Subject: =?no-such-charset?q?x?=\r\n", ""),
        (b"Subject: =?utf-8?q?a=0D=0ABcc:_x=40y.vn?=\r\n", "a Bcc: x@y.vn"),
        (b"Subject: " + b"x" * 300 + b"\r\n", "x" * 119 + "…"),
        (b"From: nobody\r\n", ""),
    ],
)
def test_the_subject_is_shown_as_people_read_it(raw: bytes, shown: str) -> None:
    assert subject_of(HeaderBlock(raw)) == shown


def test_a_message_without_subject_is_named_so(config: Config) -> None:
    told = occasion("failure", [NO], header=HeaderBlock(b"From: a@b.vn\r\n"))
    text, _, _ = parts(read(told, config))
    assert "Tiêu đề: (không có tiêu đề)" in text


@settings(max_examples=60, deadline=None)
@given(
    reply=st.text(max_size=200),
    subject=st.binary(max_size=200).filter(lambda raw: b"\r" not in raw and b"\n" not in raw),
    envid=st.text(max_size=40),
    message_id=st.text(max_size=60),
)
def test_nothing_a_stranger_says_breaks_out_of_its_place(
    reply: str, subject: bytes, envid: str, message_id: str
) -> None:
    config = Config()
    told = occasion(
        "failure",
        [DeliveryRefused("peer-refused", reply=f"550 {reply}")],
        envid=envid,
        header=HeaderBlock(b"Subject: " + subject + b"\r\n"),
    )
    told = replace(told, message=replace(told.message, message_id=message_id))
    message = email.message_from_bytes(compose(told, AN, config, QUEUE_ID), policy=SMTP)
    allowed = {"From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted"}
    assert set(message.keys()) <= allowed | {"MIME-Version", "Content-Type"}
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/report",
        "text/plain",
        "message/delivery-status",
        "text/plain",  # its two blocks, as the library sees them
        "text/plain",
        "text/rfc822-headers",
    ]
    assert message["To"] == "an@tinhmau.gov.vn"


def test_a_notice_is_queued_for_its_sender_with_a_verdict_of_its_own(config: Config) -> None:
    new = bounce.notice(occasion("failure", [NO]), Sender(AN, MAILBOX, 7), config)
    assert new.envelope.mail_from is None
    (recipient,) = new.recipients
    assert (recipient.address, recipient.destination, recipient.mailbox_id) == (
        "an@tinhmau.gov.vn",
        MAILBOX,
        7,
    )
    assert (new.verdict.action.label, new.verdict.ruleset) == ("pass", "notice")
    assert new.size_bytes == len(new.body.read())


def test_every_trouble_has_words_and_advice() -> None:
    codes = set(entry("vi", "notice.why"))
    for language in LANGUAGES:
        advice = entry(language, "notice.todo")
        assert {advice_for(DeliveryRefused(code)) for code in codes} <= set(advice)
        assert all(len(steps) > 0 for steps in advice.values())
