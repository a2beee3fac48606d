"""What a file is, by its bytes; its name can only convict, never acquit.

Magic numbers sort out what can be told from the first and last bytes. Containers (ZIP, OLE) are
told apart by their structure in `containers`. Text is text when it is printable, and a script when
its name or its first lines make some system run it. Kinds and names: `tables/file-kinds.toml`.
"""

import codecs
import re
import struct
import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

_HEAD = 1 << 16  # bytes looked at to tell text from other things
_PDF_WITHIN = 1024  # PDF readers look for the header this far (ISO 32000-1, Annex H, 3.4.1)

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x7fELF", "exe"),
    (0, b"\xfe\xed\xfa\xce", "exe"),  # Mach-O, in both byte orders
    (0, b"\xfe\xed\xfa\xcf", "exe"),
    (0, b"\xce\xfa\xed\xfe", "exe"),
    (0, b"\xcf\xfa\xed\xfe", "exe"),
    (0, b"\xca\xfe\xba\xbe", "exe"),  # Java class, fat Mach-O
    (0, b"dex\n035", "exe"),
    (0, b"\0asm", "exe"),
    (0, b"ITSF", "exe"),  # compiled help, which runs scripts
    (0, b"?_\x03\0", "exe"),  # old help
    (0, b"!<arch>\n", "exe"),  # Debian package, library
    (0, b"\xed\xab\xee\xdb", "exe"),  # RPM package
    (0, b"Cr24", "exe"),  # browser extension
    (0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "shortcut"),
    (0, b"#@~^", "script"),  # encoded VBScript or JScript
    (0x8001, b"CD001", "disk-image"),
    (0x8801, b"CD001", "disk-image"),
    (0x9001, b"CD001", "disk-image"),
    (0x8001, b"BEA01", "disk-image"),
    (0, b"conectix", "disk-image"),
    (0, b"vhdxfile", "disk-image"),
    (0, b"KDMV", "disk-image"),
    (0, b"# Disk DescriptorFile", "disk-image"),
    (0, b"MSWIM\0\0\0", "disk-image"),
    (0, b"QFI\xfb", "disk-image"),
    (0, b"hsqs", "disk-image"),
    (0, b"<<< Oracle VM VirtualBox Disk Image", "disk-image"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"PK\x07\x08", "zip"),
    (0, b"PK00PK\x03\x04", "zip"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x1f\x8b\x08", "gz"),
    (0, b"BZh", "bz2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x5d\0\0", "xz"),  # LZMA alone
    (0x101, b"ustar", "tar"),
    (0, b"MSCF", "cab"),
    (0, b"ISc(", "cab"),
    (0, b"\x28\xb5\x2f\xfd", "archive"),  # Zstandard
    (0, b"\x60\xea", "archive"),  # ARJ
    (7, b"**ACE**", "archive"),
    (2, b"-lh", "archive"),
    (0, b"ZOO ", "archive"),
    (0, b"LZIP", "archive"),
    (0, b"\x1f\x9d", "archive"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"II*\0", "tif"),
    (0, b"MM\0*", "tif"),
    (0, b"8BPS", "psd"),
    (0, b"\x01\0\0\0\x58\0\0\0", "emf"),
    (0, b"\xd7\xcd\xc6\x9a", "emf"),
    (0, b"AC10", "dwg"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "onenote"),
    (0, b"\x78\x9f\x3e\x22", "tnef"),
    (0, b"\x85\x01", "pgp"),
    (0, b"{\\rt", "rtf"),
    (0, b"BM", "bmp"),
    (0, b"\0\0\x01\0", "ico"),
    (0, b"ID3", "audio"),
    (0, b"\xff\xfb", "audio"),
    (0, b"\xff\xf3", "audio"),
    (0, b"OggS", "audio"),
    (0, b"fLaC", "audio"),
    (0, b"#!AMR", "audio"),
    (0, b"MThd", "audio"),
    (0, b"FORM", "audio"),
    (0, b"\x1a\x45\xdf\xa3", "video"),  # Matroska, WebM
    (0, b"FLV\x01", "video"),
    (0, b"\0\0\x01\xba", "video"),
    (0, b"\0\0\x01\xb3", "video"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video"),
    (0, b"\0\x01\0\0\0", "font"),
    (0, b"OTTO", "font"),
    (0, b"ttcf", "font"),
    (0, b"wOFF", "font"),
    (0, b"wOF2", "font"),
)
_RIFF = {b"WEBP": "webp", b"WAVE": "audio", b"AVI ": "video"}
_IMAGE_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc")

_TEXT_BYTES = bytes(sorted({7, 8, 9, 10, 11, 12, 13, 27, *range(32, 256)} - {127}))
_MARKUP_SPACE = re.compile(r"(?:\s|<!--.*?-->|<\?xml[^>]*\?>)*+", re.DOTALL)
_HTML = re.compile(
    r"<(?:!doctype\s+html|html|head|body|script|title|meta|table|div|iframe|form|center|p|br|font|h1|a|img|span)\b",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)")
_SCRIPT_START = re.compile(
    r"#!\s*/|@?echo\s+off\b|<job\b|<package>|<\?php|windows registry editor|regedit4"
    r"|<component\b|<scriptlet\b|ID;P|WEB\s+1\s",
    re.IGNORECASE,
)
_SCRIPT_WORDS = tuple(
    word.lower()
    for word in (
        "WScript.Shell",
        "WScript.CreateObject",
        "new ActiveXObject",
        "CreateObject(",
        "Shell.Application",
        "Scripting.FileSystemObject",
        "ADODB.Stream",
        "MSXML2.XMLHTTP",
        "DownloadString(",
        "DownloadFile(",
        "New-Object Net.WebClient",
        "New-Object System.Net.WebClient",
        "Invoke-Expression",
        "Invoke-WebRequest",
        "FromBase64String(",
        "powershell -e",
        "powershell.exe -",
        "-ExecutionPolicy Bypass",
        "On Error Resume Next",
        "HTA:APPLICATION",
        "cmd.exe /c",
        "certutil -decode",
        "bitsadmin /transfer",
    )
)
_SCRIPT_WORDS_NEEDED = 2  # one of them may be quoted in a manual
_SHORTCUT_START = re.compile(
    r"\[InternetShortcut\]|\[Desktop Entry\]|\[Shell\]\s*\r?\nCommand|full address:s:|screen mode id:",
    re.IGNORECASE,
)
_ROOTS = {
    "svg": "svg",
    "html": "html",
    "librarydescription": "shortcut",
    "searchconnectordescription": "shortcut",
    "persistedquery": "shortcut",
    "pcsettings": "shortcut",
    "jnlp": "script",
    "job": "script",
    "package": "script",  # Windows Script File; Flat OPC documents are told apart below
    "scriptlet": "script",
    "component": "script",
}
_ICS = re.compile(r"\s*BEGIN:VCALENDAR", re.IGNORECASE)
_VCF = re.compile(r"\s*BEGIN:VCARD", re.IGNORECASE)
_MESSAGE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9-]{1,40}:[^\n]*\n(?:[ \t][^\n]*\n)*+){2}", re.IGNORECASE
)
_MESSAGE_FIELD = re.compile(
    r"^(?:received|mime-version|message-id|return-path|content-type|delivered-to)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
DIRECTION_SIGNS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")


class Kind(NamedTuple):
    """What the table says of a kind."""

    family: str
    extensions: frozenset[str]
    types: frozenset[str]


@cache
def _table() -> dict[str, Any]:
    path = resources.files("mailgov.content").joinpath("tables", "file-kinds.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its id."""
    return {
        row["id"]: Kind(
            row["family"], frozenset(row["extensions"]), frozenset(row.get("types", ()))
        )
        for row in _table()["kind"]
    }


@cache
def kinds_named(extension: str) -> frozenset[str]:
    """Kinds that may bear this extension; empty when we don't know it."""
    named = {kind for kind, row in kinds().items() if extension in row.extensions}
    return frozenset(named | set(_table()["tolerated"].get(extension, ())) if named else ())


def family(kind: str) -> str:
    """document, text, image, media, message, archive, signature, program; empty for unknown."""
    row = kinds().get(kind)
    return row.family if row else ""


def extension(name: str) -> str:
    """The last part of a file name in lower case, without the dot; empty when there is none.

    Windows drops dots and blanks at the end, so `a.exe. ` is `a.exe`.
    """
    bare = DIRECTION_SIGNS.sub("", name).rstrip(". \t\u00a0")
    return bare.rpartition(".")[2].strip().lower() if "." in bare else ""


def find_kind(data: bytes, name: str = "", declared: str = "") -> str:
    """The kind by the bytes. ZIP and OLE containers are `zip` and `ole` here.

    The name decides only what text is for (`csv`, `script`, `shortcut`) and whether bytes that
    nothing is known of are run by that name.
    """
    if not data:
        return "empty"
    kind = _binary_kind(data)
    if not kind:
        text = _as_text(data)
        kind = "unknown" if text is None else _text_kind(text, name, declared)
    if kind in ("unknown", "text", "csv", "xml", "html"):
        kind = _run_by_name(extension(name)) or kind
    return kind


def _binary_kind(data: bytes) -> str:
    if _is_whole_cms(data):  # what is signed within, a PDF or a ZIP, lies near start and end
        return _cms_kind(data)
    if data.startswith((b"MZ", b"ZM")) and _is_dos_program(data):
        return "exe"
    for offset, magic, kind in _MAGIC:
        if data.startswith(magic, offset) and (kind not in _NEEDS_PROOF or _is_proven(kind, data)):
            return kind
    if data.startswith(b"RIFF"):
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return "heic" if data[8:12] in _IMAGE_BRANDS else "video"
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "pdf"
    if data[-512:-508] == b"koly" or data[-512:-504] == b"conectix":
        return "disk-image"
    if zip_directory_at(data) >= 0:
        return "zip"
    if data.startswith(b"\x30") and _is_cms(data):
        return _cms_kind(data)
    return ""


_CMS = bytes.fromhex("2a864886f70d0107")  # OID 1.2.840.113549.1.7: PKCS #7, of which .2 is signed
_CMS_ENVELOPED = _CMS + b"\x03"


def _is_cms(data: bytes) -> bool:
    return _CMS in data[:64]


def _cms_kind(data: bytes) -> str:
    return "p7m" if _CMS_ENVELOPED in data[:64] else "p7s"


def _is_whole_cms(data: bytes) -> bool:
    """Whether a CMS message ends where the file ends (X.690, 8.1.3)."""
    if not data.startswith(b"\x30") or len(data) < 16 or not _is_cms(data):
        return False
    if data[1] == 0x80:
        return data.endswith(b"\0\0")
    count = data[1] & 0x7F if data[1] > 0x80 else 0
    length = int.from_bytes(data[2 : 2 + count], "big") if count else data[1]
    return 2 + count + length == len(data)


# Short or printable magic numbers: letters of a text look the same.
_NEEDS_PROOF = frozenset({"bmp", "ico", "audio", "archive", "font", "xz", "bz2", "pgp", "dwg"})


def _is_proven(kind: str, data: bytes) -> bool:
    """Whether more speaks for the kind than a few bytes."""
    if kind == "bmp":
        return len(data) > 26 and struct.unpack_from("<I", data, 14)[0] in (
            12,
            40,
            52,
            56,
            108,
            124,
        )
    if kind == "bz2":
        return data[4:10] == b"1AY&SY"
    if kind == "xz":
        return data[0] == 0xFD or (len(data) > 13 and data[12] in (0, 0xFF))
    if kind == "pgp":
        return not _is_printable(data)
    return b"\0" in data[:_HEAD] or not _is_printable(data)


def _is_dos_program(data: bytes) -> bool:
    """MZ may begin a text; a program has its header behind it, or at least binary bytes."""
    if len(data) >= 64:
        (new_header,) = struct.unpack_from("<I", data, 60)
        if data[new_header : new_header + 2] in (b"PE", b"NE", b"LE", b"LX"):
            return True
    return not _is_printable(data)


def zip_directory_at(data: bytes) -> int:
    """Where the end record of a ZIP directory stands, -1 when there is none (APPNOTE 4.3.16)."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 65557))
    if at < 0 or len(data) - at < 22:
        return -1
    size, offset, comment = struct.unpack_from("<IIH", data, at + 12)
    fits = size + offset <= at and at + 22 + comment <= len(data) and size >= 46
    return at if fits and data[at - size : at - size + 4] == b"PK\x01\x02" else -1


def _is_printable(data: bytes) -> bool:
    return not data[:_HEAD].translate(None, _TEXT_BYTES)


def _as_text(data: bytes) -> str | None:
    """The beginning as text when the bytes are text, else None.

    Some control codes are let through: they are letters in old Vietnamese encodings.
    """
    head = data[:_HEAD]
    for mark, charset in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return head[len(mark) :].decode(charset, "replace")
    controls = head.translate(None, _TEXT_BYTES)
    if b"\0" in controls or len(controls) * 50 > len(head):
        return None
    return head.decode("latin-1")


def _text_kind(text: str, name: str, declared: str) -> str:
    start = _MARKUP_SPACE.match(text)
    begin = start.end() if start else 0
    lead = text[begin : begin + 512]
    if _SCRIPT_START.match(lead):
        return "xml" if "office/2006/xmlPackage" in text[:4096] else "script"
    if _SHORTCUT_START.match(lead):
        return "shortcut"
    lowered = text.lower()
    if sum(word in lowered for word in _SCRIPT_WORDS) >= _SCRIPT_WORDS_NEEDED:
        return "script"
    if text.startswith("-----BEGIN PGP MESSAGE-----"):
        return "pgp"
    if _ICS.match(text):
        return "ics"
    if _VCF.match(text):
        return "vcf"
    if lead.startswith("<") and (markup := _markup_kind(lead, text)):
        return markup
    if _MESSAGE.match(text) and _MESSAGE_FIELD.search(text[:4096]):
        return "message"
    if extension(name) in ("csv", "tsv") or declared == "text/csv":
        return "csv"
    return "text"


def _markup_kind(lead: str, text: str) -> str:
    element = _ELEMENT.match(lead)
    root = element[1].lower() if element else ""
    if _HTML.match(lead):
        return "html"
    if root in _ROOTS:
        return _ROOTS[root]
    if "<?xml" in text[:256] or ("xmlns" in lead and root):
        return "xml"
    return ""


_TEXT_PROGRAMS = frozenset({"exe", "dll", "scr", "com", "pif", "cpl", "sys", "msi", "ocx"})


def _run_by_name(extension_: str) -> str:
    """The kind that systems make of text or unknown bytes under such a name; empty: nothing."""
    for kind in ("script", "shortcut", "disk-image"):
        if extension_ in kinds()[kind].extensions:
            return kind
    return "exe" if extension_ in _TEXT_PROGRAMS else ""
