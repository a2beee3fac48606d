"""Active content in text formats: what acts when somebody only opens the file.

Words reported: `script`, `form`, `event handler`, `frame`, `object`, `redirect`, `dde`,
`remote template`, `ole link`, `automatic object`, `formula command`.
"""

import re
from collections.abc import Iterator
from itertools import islice

_MAX_OBJECTS = 200  # embedded objects of one file that are looked at

_HTML = (
    # Data for mail programs, such as a booking, is no script that runs (JSON-LD 1.1, 7).
    (
        re.compile(
            rb"<\s*script\b(?!\s+type\s*=\s*[\"']?application/ld\+json[\"']?\s*>)"
            rb"|\bjavascript\s*:|\bvbscript\s*:",
            re.IGNORECASE,
        ),
        "script",
    ),
    (re.compile(rb"<\s*form\b", re.IGNORECASE), "form"),
    (
        re.compile(rb"<[a-z][^<>]{0,2000}?[\s\"'/]on[a-z]{3,20}\s*=", re.IGNORECASE),
        "event handler",
    ),
    (re.compile(rb"<\s*i?frame\b", re.IGNORECASE), "frame"),
    (re.compile(rb"<\s*(?:object|embed|applet)\b", re.IGNORECASE), "object"),
    (
        re.compile(rb"<\s*meta\b[^<>]{0,200}?http-equiv\s*=\s*[\"']?\s*refresh", re.IGNORECASE),
        "redirect",
    ),
)
_DDE = re.compile(rb"\bDDE(?:AUTO)?\b")
_WORDML_FIELD = re.compile(
    rb"<w:instrText[^>]*>([^<]*)|<w:fldSimple[^>]*\bw:instr=\"([^\"]*)", re.IGNORECASE
)
_RTF_FIELD = re.compile(rb"\\fldinst\b(?=(.{0,600}))", re.DOTALL)
_RTF_CONTROL = re.compile(rb"\\[a-z]+-?\d*[ ]?|[{}\r\n]")
_RTF_TEMPLATE = re.compile(rb"\{\\\*\\template\s+([^}]{1,500})\}")
_RTF_HEX = re.compile(rb"\\objdata\b")
_REMOTE = re.compile(
    rb"^\s*(?:https?:|ftp:|\\\\|//|file:(?://(?!localhost|[a-z]:)[^/\\]|/{4,5}(?![a-z]:)|\\\\))",
    re.IGNORECASE,
)
# A cell that starts a program: =cmd|'/c calc'!A0 (what spreadsheets call DDE)
_FORMULA = re.compile(
    rb"(?:^|[\n,;\t])[\s\"']{0,8}[=+@-][^\n,;\t|]{0,100}\|[^\n!]{0,500}!|=\s*DDE\s*\(",
    re.IGNORECASE,
)
_XML_DDE = re.compile(
    rb"<(?:\w+:)?dde-(?:link|source|connection-decl)\b|<(?:\w+:)?DdeLink\b"
    rb"|\bFormula=\"\s*=[^\"|]{0,100}\|[^\"!]{0,500}!"
)
_XML_MACROS = re.compile(rb"macrosPresent=\"yes\"|<w:binData\s+w:name=\"editdata\.mso\"|vbaProject")


def is_remote(target: bytes) -> bool:
    """Whether a path or address lies on another machine."""
    return _REMOTE.match(target.replace(b"%20", b" ")) is not None


def in_html(data: bytes) -> tuple[str, ...]:
    """Scripts, forms and the like in HTML or SVG."""
    plain = data.replace(b"\0", b"") if b"\0" in data else data  # UTF-16 reads as ASCII
    return tuple(word for pattern, word in _HTML if pattern.search(plain))


def in_wordml(data: bytes) -> tuple[str, ...]:
    """DDE in the fields of WordprocessingML. A field may be cut into many pieces."""
    instructions = b"".join(code or attribute for code, attribute in _WORDML_FIELD.findall(data))
    return ("dde",) if _DDE.search(instructions.upper()) else ()


def in_xml(data: bytes) -> tuple[str, ...]:
    """DDE in single-file XML documents."""
    found = list(in_wordml(data))
    if _XML_DDE.search(data):
        found.append("dde")
    return tuple(dict.fromkeys(found))


def xml_has_macros(data: bytes) -> bool:
    """Whether a single-file XML document carries macros."""
    return _XML_MACROS.search(data) is not None


def in_csv(data: bytes) -> tuple[str, ...]:
    """Cells that start programs."""
    return ("dde",) if _FORMULA.search(data) else ()


def in_rtf(data: bytes) -> tuple[str, ...]:
    """DDE fields, remote templates, linked and self-updating objects in RTF."""
    found = []
    for match in _RTF_FIELD.finditer(data):
        if _DDE.search(_RTF_CONTROL.sub(b"", match[1]).upper()):
            found.append("dde")
            break
    if any(is_remote(target) for target in _RTF_TEMPLATE.findall(data)):
        found.append("remote template")
    if b"\\objautlink" in data or b"\\objlink" in data:
        found.append("ole link")
    if b"\\objupdate" in data:
        found.append("automatic object")
    return tuple(found)


def rtf_objects(data: bytes) -> Iterator[bytes]:
    """The bytes of embedded objects in RTF, which writes them in hexadecimal digits."""
    for match in islice(_RTF_HEX.finditer(data), _MAX_OBJECTS):
        start = match.end()
        end = data.find(b"}", start)
        digits = re.sub(rb"\\[a-z]+-?\d*|[^0-9A-Fa-f]", b"", data[start : end if end > 0 else None])
        yield bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))
