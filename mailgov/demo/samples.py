"""Messages that show what the gate does: what passes, what is refused, and why.

People, agencies and documents are invented ("tỉnh Mẫu").
"""

import io
import zipfile
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

_NATIONAL_HEADING = ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the sample province who writes or gets a sample message."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One message: `login` None comes from outside through the MX port."""

    title: str
    login: str | None
    mail_from: str
    recipients: tuple[str, ...]
    message: EmailMessage


def docx(lines: list[str]) -> bytes:
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


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def samples(official: Person, colleague: Person, office: str, now: datetime) -> list[Sample]:
    """The sample messages of one official, a colleague in another agency and strangers."""
    invitation = docx(
        [
            "ỦY BAN NHÂN DÂN TỈNH MẪU",
            "SỞ NỘI VỤ",
            "Số: 12/GM-SNV",
            *_NATIONAL_HEADING,
            "GIẤY MỜI",
            "Họp giao ban quý IV",
            "Sở Nội vụ trân trọng kính mời Lãnh đạo Sở Tài chính dự họp giao ban quý IV.",
            "Thời gian: 08 giờ 00 ngày 25 tháng 11 năm 2026.",
            "Nơi nhận: Như trên; Lưu: VT.",
        ]
    )
    notice = docx(
        ["SỞ NỘI VỤ", "Số: 45/TB-SNV", *_NATIONAL_HEADING, "THÔNG BÁO", "Lịch nghỉ Tết Dương lịch"]
    )
    secret = docx(
        ["SỞ NỘI VỤ", "Số: 07/BC-SNV", "MẬT", *_NATIONAL_HEADING, "BÁO CÁO", "Tình hình nội bộ"]
    )
    program = b"MZ" + bytes(58) + b"\x40\x00\x00\x00" + b"PE\x00\x00" + bytes(200)
    citizen = Person("Nguyễn Thị Dân", "nguyenthidan1990@gmail.com")
    clerk = Person("Văn phòng huyện", "vpthuocmau@gmail.com")

    def written(sender: Person, to: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = f'"{sender.name}" <{sender.address}>'
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(now)
        message.set_content(text)
        return message

    def attached(message: EmailMessage, content: bytes, media_type: str, name: str) -> EmailMessage:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
        return message

    to_colleague = written(
        official,
        colleague.address,
        "Giấy mời họp giao ban quý IV",
        "Kính gửi Sở Tài chính,\n\nSở Nội vụ gửi kèm Giấy mời số 12/GM-SNV. Trân trọng.\n",
    )
    declared = written(
        official,
        f"{colleague.address}, {office}",
        "Thông báo số 45/TB-SNV về lịch nghỉ Tết Dương lịch",
        "Kính gửi các cơ quan,\n\nXem tệp kèm theo.\n",
    )
    declared["Mailgov-Document"] = "type=TB; number=45; symbol=45/TB-SNV; date=2026-11-20"
    question = written(
        colleague,
        official.address,
        "Góp ý dự thảo kế hoạch",
        "Chào anh An,\n\nTôi đã đọc dự thảo và không có ý kiến gì thêm.\n\nBình\n",
    )
    legacy = written(official, colleague.address, "Báo cáo tháng 11", TCVN3_TEXT)
    marked = written(official, colleague.address, "Báo cáo nội bộ", "Gửi kèm báo cáo.\n")
    private = written(
        official, "phamvand@yahoo.com", "Giấy mời họp", "Gửi anh giấy mời, xem tệp kèm theo.\n"
    )
    disguised = written(official, colleague.address, "Hóa đơn", "Xem tệp kèm theo.\n")
    petition = written(
        citizen,
        official.address,
        "Hỏi về thủ tục cấp lại giấy khai sinh",
        "Kính gửi Sở,\n\nTôi muốn hỏi thủ tục cấp lại giấy khai sinh cho con. Xin cảm ơn.\n",
    )
    unofficial = written(
        clerk, office, "Công văn số 15/UBND-VP", "Kính gửi Sở, xem tệp kèm theo.\n"
    )
    return [
        Sample(
            "giấy mời kèm tệp .docx",
            official.address,
            official.address,
            (colleague.address,),
            attached(to_colleague, invitation, DOCX, "12-GM-SNV.docx"),
        ),
        Sample(
            "thông báo có khai báo văn bản",
            official.address,
            official.address,
            (colleague.address, office),
            attached(declared, notice, DOCX, "45-TB-SNV.docx"),
        ),
        Sample(
            "thư trao đổi công việc",
            colleague.address,
            colleague.address,
            (official.address,),
            question,
        ),
        Sample(
            "nội dung gõ bằng bảng mã TCVN3",
            official.address,
            official.address,
            (colleague.address,),
            legacy,
        ),
        Sample(
            "tệp có dấu MẬT",
            official.address,
            official.address,
            (colleague.address,),
            attached(marked, secret, DOCX, "bao-cao.docx"),
        ),
        Sample(
            "văn bản gửi tới hộp thư miễn phí",
            official.address,
            official.address,
            ("phamvand@yahoo.com",),
            attached(private, invitation, DOCX, "12-GM-SNV.docx"),
        ),
        Sample(
            "chương trình đội lốt tệp PDF",
            official.address,
            official.address,
            (colleague.address,),
            attached(disguised, program, "application/pdf", "hoa-don.pdf"),
        ),
        Sample(
            "thư của công dân từ bên ngoài", None, citizen.address, (official.address,), petition
        ),
        Sample(
            "văn bản gửi từ hộp thư miễn phí",
            None,
            clerk.address,
            (office,),
            attached(
                unofficial,
                docx(
                    [
                        "ỦY BAN NHÂN DÂN",
                        "Số: 15/UBND-VP",
                        *_NATIONAL_HEADING,
                        "V/v cung cấp số liệu",
                        "Kính gửi: Sở Nội vụ",
                    ]
                ),
                DOCX,
                "15-UBND-VP.docx",
            ),
        ),
        Sample(
            "gửi dưới tên người khác",
            colleague.address,
            official.address,
            (office,),
            written(official, office, "Chỉ đạo khẩn", "Đề nghị thực hiện ngay.\n"),
        ),
    ]
