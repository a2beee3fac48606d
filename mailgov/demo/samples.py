"""Messages that show what the gate does: what passes, what is refused, and why.

People, agencies and documents are invented ("tỉnh Mẫu").
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from xml.sax.saxutils import escape

# "Em gửi kèm báo cáo tháng 11 về tình hình thực hiện nhiệm vụ cải cách hành chính của cơ quan"
# typed with a .VnTime font: TCVN3 bytes, as they look when read as windows-1252.
TCVN3_TEXT = (
    "KÝnh göi Së Tµi chÝnh,\n\n"
    "Em göi kÌm b¸o c¸o th¸ng 11 vÒ t×nh h×nh thùc hiÖn nhiÖm vô c¶i c¸ch hµnh chÝnh "
    "cña c¬ quan, ®Ò nghÞ quý Së xem xÐt vµ cho ý kiÕn.\n"
)

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the sample province who writes or gets a sample message."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: an official, a colleague in another agency, the official's office."""

    official: Person
    colleague: Person
    office: Person


@dataclass(frozen=True, slots=True)
class Sample:
    """One message: `login` None comes from outside through the MX port."""

    title: str
    login: str | None
    mail_from: str
    recipients: tuple[str, ...]
    message: EmailMessage


@dataclass(frozen=True, slots=True)
class _File:
    """What is attached; `content` is the lines of a .docx, or the bytes themselves."""

    name: str
    content: tuple[str, ...] | bytes
    media_type: str = DOCX


@dataclass(frozen=True, slots=True)
class _Letter:
    """A sample before it is a message."""

    title: str
    sender: Person
    to: tuple[Person, ...]
    subject: str
    text: str
    file: _File | None = None
    declared: str = ""  # Mailgov-Document
    login: Person | None = None  # None: the sender; strangers never sign in


CITIZEN = Person("Nguyễn Thị Dân", "nguyenthidan1990@gmail.com")
CLERK = Person("Văn phòng huyện", "vpthuocmau@gmail.com")
PRIVATE = Person("Phạm Văn D", "phamvand@yahoo.com")
STRANGERS = (CITIZEN, CLERK)

_HEADING = ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc")
INVITATION = _File(
    "12-GM-SNV.docx",
    (
        "ỦY BAN NHÂN DÂN TỈNH MẪU", "SỞ NỘI VỤ", "Số: 12/GM-SNV", *_HEADING,
        "GIẤY MỜI", "Họp giao ban quý IV",
        "Sở Nội vụ trân trọng kính mời Lãnh đạo Sở Tài chính dự họp giao ban quý IV.",
        "Thời gian: 08 giờ 00 ngày 25 tháng 11 năm 2026.", "Nơi nhận: Như trên; Lưu: VT.",
    ),
)  # fmt: skip
NOTICE = _File(
    "45-TB-SNV.docx",
    ("SỞ NỘI VỤ", "Số: 45/TB-SNV", *_HEADING, "THÔNG BÁO", "Lịch nghỉ Tết Dương lịch"),
)
SECRET = _File(
    "bao-cao.docx",
    ("SỞ NỘI VỤ", "Số: 07/BC-SNV", "MẬT", *_HEADING, "BÁO CÁO", "Tình hình nội bộ"),
)
OFFICIAL_LETTER = _File(
    "15-UBND-VP.docx",
    ("ỦY BAN NHÂN DÂN", "Số: 15/UBND-VP", *_HEADING, "V/v cung cấp số liệu", "Kính gửi: Sở Nội vụ"),
)
# The head of a Windows program, under the name and type of a PDF.
PROGRAM = _File(
    "hoa-don.pdf",
    b"MZ" + bytes(58) + b"\x40\x00\x00\x00" + b"PE\x00\x00" + bytes(200),
    "application/pdf",
)


def samples(cast: Cast, now: datetime) -> list[Sample]:
    """The sample messages, those that pass and those that are refused."""
    return [_sample(letter, now) for letter in (*_accepted(cast), *_refused(cast))]


def _accepted(cast: Cast) -> list[_Letter]:
    an, binh, office = cast.official, cast.colleague, cast.office
    return [
        _Letter(
            "giấy mời kèm tệp .docx", an, (binh,), "Giấy mời họp giao ban quý IV",
            "Kính gửi Sở Tài chính,\n\nSở Nội vụ gửi kèm Giấy mời số 12/GM-SNV. Trân trọng.\n",
            INVITATION,
        ),
        _Letter(
            "thông báo có khai báo văn bản", an, (binh, office),
            "Thông báo số 45/TB-SNV về lịch nghỉ Tết Dương lịch",
            "Kính gửi các cơ quan,\n\nXem tệp kèm theo.\n", NOTICE,
            declared="type=TB; number=45; symbol=45/TB-SNV; date=2026-11-20",
        ),
        _Letter(
            "thư trao đổi công việc", binh, (an,), "Góp ý dự thảo kế hoạch",
            "Chào anh An,\n\nTôi đã đọc dự thảo và không có ý kiến gì thêm.\n\nBình\n",
        ),
        _Letter(
            "thư của công dân từ bên ngoài", CITIZEN, (an,), "Hỏi về thủ tục cấp lại giấy khai sinh",
            "Kính gửi Sở,\n\nTôi muốn hỏi thủ tục cấp lại giấy khai sinh cho con. Xin cảm ơn.\n",
        ),
    ]  # fmt: skip


def _refused(cast: Cast) -> list[_Letter]:
    an, binh, office = cast.official, cast.colleague, cast.office
    attached = "Xem tệp kèm theo.\n"
    return [
        _Letter("nội dung gõ bằng bảng mã TCVN3", an, (binh,), "Báo cáo tháng 11", TCVN3_TEXT),
        _Letter("tệp có dấu MẬT", an, (binh,), "Báo cáo nội bộ", attached, SECRET),
        _Letter(
            "văn bản gửi tới hộp thư miễn phí", an, (PRIVATE,), "Giấy mời họp", attached, INVITATION
        ),
        _Letter("chương trình đội lốt tệp PDF", an, (binh,), "Hóa đơn", attached, PROGRAM),
        _Letter(
            "văn bản gửi từ hộp thư miễn phí", CLERK, (office,), "Công văn số 15/UBND-VP",
            attached, OFFICIAL_LETTER,
        ),
        _Letter(
            "gửi dưới tên người khác", an, (office,), "Chỉ đạo khẩn",
            "Đề nghị thực hiện ngay.\n", login=binh,
        ),
    ]  # fmt: skip


def _sample(letter: _Letter, now: datetime) -> Sample:
    message = EmailMessage()
    message["From"] = f'"{letter.sender.name}" <{letter.sender.address}>'
    message["To"] = ", ".join(person.address for person in letter.to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    if letter.declared:
        message["Mailgov-Document"] = letter.declared
    message.set_content(letter.text)
    if letter.file is not None:
        content = letter.file.content
        main, _, sub = letter.file.media_type.partition("/")
        message.add_attachment(
            content if isinstance(content, bytes) else docx(content),
            maintype=main,
            subtype=sub,
            filename=letter.file.name,
        )
    login = None if letter.sender in STRANGERS else (letter.login or letter.sender).address
    recipients = tuple(person.address for person in letter.to)
    return Sample(letter.title, login, letter.sender.address, recipients, message)


def docx(lines: Sequence[str]) -> bytes:
    """A word-processor file with one paragraph per line."""
    paragraphs = "".join(
        f'<w:p><w:r><w:rPr><w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman"/></w:rPr>'
        f'<w:t xml:space="preserve">{escape(line)}</w:t></w:r></w:p>'
        for line in lines
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="word/document.xml" Type='
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
        "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{paragraphs}</w:body></w:document>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + text)
    return buffer.getvalue()
