"""Messages and files made for a test, small and to the point."""

import base64
import io
import struct
import zipfile
from collections.abc import Sequence
from urllib.parse import quote

from mailgov.content.vietnamese import table_rows

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAIN_TYPE = f"{DOCX_TYPE}.main+xml"

PROGRAM = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(64)


def zipped(files: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def docx(
    paragraphs: Sequence[str] = ("Kính gửi.",),
    *,
    font: str = "",
    more: dict[str, bytes | str] | None = None,
    main_type: str = _MAIN_TYPE,
    relationships: str = "",
) -> bytes:
    """A Word document; `more` are further parts, `relationships` those of the main part."""
    fonts = f'<w:rPr><w:rFonts w:ascii="{font}" w:hAnsi="{font}"/></w:rPr>' if font else ""
    body = "".join(
        f'<w:p><w:r>{fonts}<w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
        for text in paragraphs
    )
    files: dict[str, bytes | str] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        f'package.relationships+xml"/><Override PartName="/word/document.xml" '
        f'ContentType="{main_type}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONSHIPS}"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>',
    }
    if relationships:
        files["word/_rels/document.xml.rels"] = (
            f'<Relationships xmlns="{_RELATIONSHIPS}">{relationships}</Relationships>'
        )
    return zipped(files | (more or {}))


def relationship(kind: str, target: str) -> str:
    """One that points outside the document."""
    return (
        f'<Relationship Id="rId9" Type="{_OFFICE}/{kind}" Target="{target}" TargetMode="External"/>'
    )


def pdf(catalogue: str = "", trailing: bytes = b"") -> bytes:
    """A PDF of one empty page; `catalogue` goes into its catalogue."""
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalogue} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
    ]
    out = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    out += (
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    )
    return out + trailing


def message(
    body: str = "Kính gửi.",
    *,
    subject: str = "Gửi kèm",
    headers: str = "",
    files: Sequence[tuple[str, bytes] | tuple[str, bytes, str]] = (),
    subtype: str = "plain",
) -> bytes:
    """A message as a mail program writes it: text in base64, files behind it."""
    head = (
        "From: =?utf-8?q?Nguy=E1=BB=85n_V=C4=83n_An?= <an.nv@tinhmau.gov.vn>\r\n"
        "To: vanphong@bomau.gov.vn\r\n"
        f"Subject: =?utf-8?b?{base64.b64encode(subject.encode()).decode()}?=\r\n"
        "Date: Tue, 12 Mar 2024 08:01:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
        f"{headers}MIME-Version: 1.0\r\n"
    )
    text = (
        f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{_base64(body.encode())}"
    )
    if not files:
        return (head + text).encode()
    parts = "".join(f"--=b\r\n{_file(*file)}" for file in files)
    return (
        f'{head}Content-Type: multipart/mixed; boundary="=b"\r\n\r\n--=b\r\n{text}{parts}--=b--\r\n'
    ).encode()


def tcvn3(text: str) -> bytes:
    """Text in small letters as TCVN3 fonts store it."""
    codes = {row[3]: bytes.fromhex(row[0]) for row in table_rows("decode-tcvn3.tsv")}
    return b"".join(codes.get(letter) or letter.encode("ascii") for letter in text)


def _file(name: str, content: bytes, media_type: str = "application/octet-stream") -> str:
    return (
        f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment; filename*=utf-8''{quote(name)}\r\n\r\n{_base64(content)}"
    )


def _base64(content: bytes) -> str:
    return base64.encodebytes(content).decode().replace("\n", "\r\n")
