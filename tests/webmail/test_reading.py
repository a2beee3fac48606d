"""Stored messages of every make, taken apart for a page."""

import base64
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from mailgov.config import Limits
from mailgov.errors import InputError
from mailgov_webmail.reading import Reading, read
from mailgov_webmail.standing import standing
from tests.support.webmail import letter

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def reading(data: bytes) -> Reading:
    return read(data, Limits())


def test_plain_text_and_its_header() -> None:
    found = reading(letter("Giấy mời", "Kính gửi ông.\n"))
    assert found.header.subject == "Giấy mời"
    assert found.header.from_[0].name == "Trần Thị B"
    assert (found.text.strip(), found.html, found.files) == ("Kính gửi ông.", "", ())
    assert found.sent_at is not None
    assert found.sent_at.isoformat() == "2026-11-21T08:05:00+07:00"
    assert found.language == "vi"


def test_of_alternatives_both_forms_are_kept_apart() -> None:
    found = reading(letter(text="bản chữ\n", html="<p>bản HTML</p>"))
    assert (found.text.strip(), found.html.strip()) == ("bản chữ", "<p>bản HTML</p>")


def test_html_alone_gives_its_words() -> None:
    data = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + "<p>Kính</p><p>gửi</p>".encode()
    assert reading(data).text == "Kính\n\ngửi"


def test_text_before_and_behind_a_file_is_read_in_order() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ndau\r\n--b\r\n"
        b"Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--b\r\n"
        b"Content-Type: text/html\r\n\r\n<i>cuoi</i>\r\n--b--\r\n"
    )
    found = reading(data)
    assert found.text.split() == ["dau", "cuoi"]
    assert "<hr><i>cuoi</i>" in found.html
    assert "dau" in found.html
    assert [(file.number, file.name) for file in found.files] == [("2", "a.pdf")]


def test_files_keep_their_names_and_bytes() -> None:
    found = reading(letter(files={"Báo cáo tháng 11.pdf": b"%PDF-1.4 x"}))
    (file,) = found.files
    assert file.name == "Báo cáo tháng 11.pdf"
    part = found.part(file.number)
    assert part is not None
    assert part.content() == b"%PDF-1.4 x"
    assert found.part("1") is None
    assert found.part("9") is None


def test_pictures_that_the_body_shows_are_no_files() -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "a@x.vn"
    message.set_content("x")
    message.add_alternative('<img src="cid:logo@x"><img src="cid:other@x">', subtype="html")
    html = message.get_payload()[1]  # type: ignore[index]  # the part just added
    html.add_related(PICTURE, maintype="image", subtype="png", cid="<logo@x>")
    html.add_related(b"<svg/>", maintype="image", subtype="svg+xml", cid="<other@x>")
    found = reading(message.as_bytes())
    assert found.images().keys() == {"logo@x"}
    assert [file.media_type for file in found.files] == ["image/svg+xml"]


def test_a_forwarded_message_is_one_file() -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = "a@x.vn"
    message.set_content("xem thư kèm")
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "bên trong"
    inner.set_content("nội dung bên trong")
    message.add_attachment(inner)
    found = reading(message.as_bytes())
    assert found.text.strip() == "xem thư kèm"
    (file,) = found.files
    assert file.name.endswith(".eml")
    part = found.part(file.number)
    assert part is not None
    assert b"Subject: " in part.content()


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"dong mot \r\ntiep tuc\r\nrieng", "dong mot tiep tuc\nrieng"),
        (b"> trich \r\n> tiep\r\nloi", "> trich tiep\nloi"),
        (b"> trich \r\n>> sau hon\r\n", "> trich \n>> sau hon\n"),
        (b"-- \r\nAn", "-- \nAn"),
        (b" thut vao", "thut vao"),
    ],
)
def test_folded_paragraphs_are_whole_again(sent: bytes, shown: str) -> None:
    data = b"Content-Type: text/plain; format=flowed\r\n\r\n" + sent
    assert reading(data).text == shown


def test_deleted_spaces_of_folded_paragraphs() -> None:
    data = b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nKinh g \r\nui"
    assert reading(data).text == "Kinh gui"


def test_nothing_at_all_is_still_a_message() -> None:
    found = reading(b"")
    assert (found.text, found.html, found.files, found.sent_at) == ("", "", (), None)


def test_a_message_beyond_all_measure_is_not_taken_apart() -> None:
    data = b"X: " + b"a" * 70_000 + b"\r\n\r\nx"
    with pytest.raises(InputError, match="message-too-complex"):
        reading(data)


def test_ten_thousand_nested_parts_do_no_harm() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(10_000)
    )
    assert isinstance(reading(deep[:2_000_000]), Reading)


TRACE = "from pc ([10.0.0.1]) by mail.vidu.gov.vn with {protocol} id 0123456789abcdefghjk; x"
RESULTS = "mail.vidu.gov.vn; spf=pass smtp.mailfrom=x.vn; dkim=pass; dmarc={dmarc}"


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ({"Received": TRACE.format(protocol="ESMTPSA")}, "inside"),
        ({"Received": TRACE.format(protocol="HTTP")}, "inside"),
        ({"Received": TRACE.format(protocol="ESMTPS")}, "unknown"),
        ({"Received": "by evil.example with ESMTPSA id 0123456789abcdefghjk; x"}, "unknown"),
        ({"Authentication-Results": RESULTS.format(dmarc="pass")}, "authentic"),
        ({"Authentication-Results": RESULTS.format(dmarc="none")}, "unauthentic"),
        ({"Authentication-Results": "evil.example; dmarc=pass"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_what_is_said_of_the_sender_rests_on_our_own_trace(
    header: dict[str, str], word: str
) -> None:
    found = reading(letter(header=header))
    assert standing(found, "mail.vidu.gov.vn", "mail.vidu.gov.vn").word == word


def test_marks_and_queue_id_come_from_our_own_fields() -> None:
    header = {
        "Received": TRACE.format(protocol="HTTP"),
        "X-Mailgov-Policy": "action=tag; reason=legacy-encoding-possible",
    }
    seen = standing(reading(letter(header=header)), "mail.vidu.gov.vn", "x")
    assert seen.marks == ("legacy-encoding-possible",)
    assert seen.queue_id == "0123456789abcdefghjk"
    invented = reading(letter(header={"X-Mailgov-Policy": "action=tag; reason=lies"}))
    assert standing(invented, "mail.vidu.gov.vn", "x").marks == ()


@pytest.mark.parametrize(
    "said",
    [
        "a dmarc=pass",
        "dmarc=pass",
        "; dmarc=pass",
        'a\\"; dmarc=pass',
        "=?utf-8?q?=22=3B_dmarc=3Dpass?=",
    ],
)
def test_what_a_sender_says_in_a_result_is_no_result(said: str) -> None:
    header = f'Authentication-Results: mail.vidu.gov.vn;\r\n\tdkim=fail header.s="{said}"\r\n'
    found = reading(header.encode() + letter())
    assert standing(found, "mail.vidu.gov.vn", "mail.vidu.gov.vn").word == "unauthentic"
