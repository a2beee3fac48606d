"""A letter as bytes: whatever was typed arrives, and nothing typed becomes a header field."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.content.parts import read_parts
from mailgov.errors import InputError
from mailgov_webmail.compose.build import Attached, Message, build, file_name
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.people import Recipient
from mailgov_webmail.reading import read

AT = datetime(2026, 11, 21, 1, 5, tzinfo=UTC)
ME = Recipient(Address.parse("annv@sonoivu.tinhmau.gov.vn"), "Nguyễn Văn An")
LETTER = Letter(
    to="Trần Thị B <b@x.gov.vn>", subject="Giấy mời họp giao ban quý IV", body="Kính gửi"
)


def message(
    letter: Letter = LETTER, files: tuple[Attached, ...] = (), sender: Recipient = ME
) -> Message:
    return build(letter, sender, files, message_id="1.2@mail.vidu.gov.vn", at=AT)


one_line = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)


@settings(max_examples=80, deadline=None)
@given(one_line)
def test_any_subject_arrives_as_it_was_typed(subject: str) -> None:
    subject = " ".join(subject.split())
    data = message(replace(LETTER, subject=subject)).data
    assert read(data, Limits()).root.fields.text("subject") == subject
    assert max(map(len, data.split(b"\r\n"))) <= 78


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=400))
def test_any_text_arrives_as_it_was_typed(text: str) -> None:
    found = read(message(replace(LETTER, body=text)).data, Limits()).text
    assert found.replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


@settings(max_examples=60, deadline=None)
@given(one_line, st.binary(max_size=200))
def test_any_file_arrives_under_its_name(name: str, content: bytes) -> None:
    shown = file_name(name)
    data = message(files=(Attached(shown, "application/pdf", content),)).data
    part = read_parts(data, Limits()).root.children[1]
    assert part.content() == content
    assert part.names[0].strip() == shown.strip()
    assert max(map(len, data.split(b"\r\n"))) <= 78


def test_names_of_people_arrive_with_their_marks_and_commas() -> None:
    typed = '"Trần, B" <b@x.gov.vn>, Uỷ ban nhân dân xã Hòa Bình, huyện cũ <c@x.gov.vn>, "A. B" <d@x.gov.vn>'
    header = read(message(replace(LETTER, to=typed)).data, Limits()).header
    assert [(p.name, p.address) for p in header.to] == [
        ("Trần, B", "b@x.gov.vn"),
        ("Uỷ ban nhân dân xã Hòa Bình, huyện cũ", "c@x.gov.vn"),
        ("A. B", "d@x.gov.vn"),
    ]
    assert header.from_[0].name == "Nguyễn Văn An"


def test_the_gate_reads_one_message_without_defects() -> None:
    content = read_message(message(files=(Attached("a.pdf", "application/pdf", b"%PDF-"),)).data)
    assert content.malformed == ()
    assert [item.part for item in content.attachments] == ["2"]


def test_hidden_recipients_are_in_the_envelope_and_in_the_copy_only() -> None:
    made = message(replace(LETTER, bcc="hidden@x.gov.vn, b@x.gov.vn"))
    assert [str(address) for address in made.recipients] == ["b@x.gov.vn", "hidden@x.gov.vn"]
    assert b"hidden" not in made.data
    assert made.copy == b"Bcc: hidden@x.gov.vn, b@x.gov.vn\r\n" + made.data


def test_the_document_form_becomes_a_declaration_that_the_gate_reads() -> None:
    letter = replace(
        LETTER, document="quyet-dinh", symbol="12/QĐ-UBND", urgency="hoa-toc", due="2026-11-25",
        paper="no",
    )  # fmt: skip
    declared = read_message(message(letter).data).declared
    assert declared is not None
    assert (declared.type, declared.notation) == ("quyet-dinh", "12/QĐ-UBND")
    assert (declared.date, declared.due) == ("2026-11-21", "2026-11-25")
    assert declared.urgency == "HOẢ TỐC"


def test_a_category_is_declared_as_such() -> None:
    declared = read_message(message(replace(LETTER, document="meeting-papers")).data).declared
    assert declared is not None
    assert (declared.type, declared.category) == ("", "meeting-papers")


def test_ordinary_mail_declares_nothing() -> None:
    letter = replace(LETTER, symbol="12/QĐ-UBND", urgency="khan").normal()
    assert b"Mailgov-Document" not in message(letter).data


def test_the_same_letter_gives_the_same_bytes() -> None:
    files = (Attached("Báo cáo.pdf", "application/pdf", b"x" * 500),)
    assert message(files=files).data == message(files=files).data


@pytest.mark.parametrize("end", ["\r\nBcc: x@y.vn", "\nX: y", "\0"])
def test_no_text_can_end_its_field(end: str) -> None:
    for letter in (replace(LETTER, subject=f"a{end}"), replace(LETTER, in_reply_to=f"<a>{end}")):
        with pytest.raises(InputError, match="header-not-valid"):
            message(letter)
    with pytest.raises(InputError, match="header-not-valid"):
        message(sender=replace(ME, name=f"An{end}"))
    with pytest.raises(InputError, match="header-not-valid"):
        message(files=(Attached(f"a{end}.pdf", "application/pdf", b""),))


def test_a_form_full_of_line_ends_becomes_single_lines() -> None:
    letter = Letter.from_form(lambda name: f"{name}\r\nBcc: evil@x.vn\0")
    assert letter.subject == "subject Bcc: evil@x.vn"
    assert "\n" not in letter.to + letter.references + letter.symbol + letter.reason
    assert letter.body == "body\nBcc: evil@x.vn"
    assert (letter.document, letter.urgency, letter.due, letter.paper) == ("", "", "", "")


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        (r"C:\Users\an\Báo cáo.docx", "Báo cáo.docx"),
        ("../../etc/passwd", "passwd"),
        ("bao\r\ncao\0.pdf", "baocao.pdf"),
        ("hình\u202egpj.exe", "hìnhgpj.exe"),
        ("", "tep"),
        ("/", "tep"),
        ("..", "tep"),
        ("a/.", "tep"),
        ("a" * 300 + ".docx", "a" * 145 + ".docx"),
    ],
)
def test_file_names_are_made_harmless(given_name: str, kept: str) -> None:
    assert file_name(given_name) == kept


def test_a_forwarded_message_is_attached_as_bytes() -> None:
    data = message(files=(Attached("thu.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),)).data
    assert b"Content-Type: application/octet-stream" in data
