"""A message that makes a reader load all that it may ever need, before it shuts itself in.

Tables and codecs are loaded at first use; behind the sandbox no file can be opened any more.
"""

import codecs
import importlib
import io
import zipfile
from base64 import encodebytes

from mailgov.content import foreign_archives

_CODECS = (
    *("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"),
    *("utf-32-le", "utf-32-be", "cp437", "cp1252", "raw_unicode_escape", "unicode_escape"),
    *("idna", "punycode", "cp1250", "cp1251", "cp1258", "gbk", "shift_jis", "mac-roman"),
)
# What libraries import at first use only.
_MODULES = (
    "cryptography.hazmat.backends.openssl.backend",
    "mailgov.content.signed_office",
    "pyhanko.pdf_utils.filters",
    "pypdf.filters",
)
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_DOCUMENT = (
    f'<w:document xmlns:w="{_WORD}"><w:body><w:p><w:r><w:rPr><w:rFonts w:ascii=".VnTimeH"/></w:rPr>'
    "<w:t>céng hoµ x· héi chñ nghÜa viÖt nam</w:t></w:r></w:p></w:body></w:document>"
)
_SIGNED: dict[str, str | bytes] = {
    "a.pdf": "%PDF-1.7\n/ByteRange [0 0 0 0]\n",
    "a.xml": '<?xml version="1.0"?><so><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></so>',
}
_TEXT = "Số: 12/TB-UBND\r\nTHÔNG BÁO\r\nKÝnh göi c¸c ®¬n vÞ, ®Ò nghÞ nép b¸o c¸o tr\xadíc ngµy mïng n¨m\r\n"


def load_codecs() -> None:
    """Load every codec and module that a parser may ask for by name."""
    for name in _CODECS:
        codecs.lookup(name)
    for name in _MODULES:
        importlib.import_module(name)
    foreign_archives.preload()


def sample_message() -> bytes:
    """A message with a private encoding, a notation, a document in an archive, and signatures."""
    archive = _zip({"12_TB-UBND.docx": sample_document(), "mau.txt": b"x^", **_SIGNED})
    head = (
        "From: =?utf-8?q?V=C4=83n_th=C6=B0?= <a@example.gov.vn>\r\n"
        "To: b@xn--v-nam-8qa.example, c@thư.example\r\n"
        "Subject: =?utf-8?q?=5BTB=5D_Th=C3=B4ng_b=C3=A1o?=\r\n"
        "Date: Tue, 12 Mar 2024 08:01:00 +0700\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{_TEXT}\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<p>{_TEXT}</p>\r\n"
        "--b\r\nContent-Type: application/zip; name=a.zip\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + encodebytes(archive) + b"--b--\r\n"


def sample_document() -> bytes:
    """A docx in a private encoding."""
    return _zip({"[Content_Types].xml": _CONTENT_TYPES, "word/document.xml": _DOCUMENT})


def _zip(files: dict[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
