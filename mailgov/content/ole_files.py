"""OLE compound files told apart by their streams: doc, xls, ppt, msg, encrypted OOXML, installers.

[MS-CFB], [MS-DOC], [MS-XLS], [MS-PPT], [MS-OFFCRYPTO], [MS-OXMSG]. Only what tells kind, password,
macros, DDE and embedded files is read here; text is read in `extract`.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

import olefile

from mailgov.content.archives import Bomb, Budget, Damaged, Member
from mailgov.content.charsets import decode
from mailgov.content.opened import Opened

_MAX_STREAM_BYTES = 64 << 20
_MAX_RECORDS = 200_000  # BIFF or PowerPoint records of one stream
_UTF8_CODEPAGE = 65001
_MSI_CLASS = "000C1084-0000-0000-C000-000000000046"
_MSI_PATCH_CLASS = "000C1086-0000-0000-C000-000000000046"
_DOC_DDE = re.compile(rb"\x13[^\x13\x14\x15]{0,200}?DDE(?:AUTO)?\b", re.IGNORECASE)
_DOC_DDE_WIDE = re.compile(
    rb"\x13\0(?:[^\x13\x14\x15]\0){0,200}?D\0D\0E\0(?:A\0U\0T\0O\0)?[ \\\"]\0", re.IGNORECASE
)
_NATIVE_NAME = "\x01Ole10Native"

# BIFF record types, [MS-XLS] 2.3
_FILEPASS, _BOUNDSHEET, _SUPBOOK, _EXTERNNAME = 0x2F, 0x85, 0x1AE, 0x23
# PowerPoint record types, [MS-PPT] 2.13.24
_VBA_ATOM, _OLE_STORAGE = 0x0400, 0x1011


def open_ole(data: bytes, budget: Budget) -> Opened:
    """A compound file looked into. Never raises: state and reason tell."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            streams = ["/".join(path) for path in ole.listdir(streams=True, storages=True)]
            return _opened(ole, streams, budget)
    except Bomb as exc:
        return Opened("ole", "bomb", str(exc))
    except Damaged as exc:
        return Opened("ole", "unscannable", str(exc))
    except Exception as exc:  # noqa: BLE001 - what olefile raises on hostile bytes has no bounds
        return Opened("ole", "unscannable", f"damaged compound file: {type(exc).__name__}")


def _opened(ole: olefile.OleFileIO, streams: list[str], budget: Budget) -> Opened:
    lowered = {name.lower() for name in streams}
    if "encryptedpackage" in lowered:
        return Opened(_encrypted_kind(ole), "encrypted", "password")
    if str(getattr(ole.root, "clsid", "")).upper() in (_MSI_CLASS, _MSI_PATCH_CLASS):
        return Opened("exe")
    if "__properties_version1.0" in lowered:
        return Opened("msg", members=_message_members(ole, budget), is_archive=True)
    macros = any(
        part in ("_vba_project", "_vba_project_cur", "macros", "vba") or part == "_vba_project_cur"
        for name in lowered
        for part in name.split("/")
    )
    members = _native_objects(ole, streams, budget)
    properties = _properties(ole)
    if "worddocument" in lowered:
        return _word(ole, macros, members, properties)
    for name in ("Workbook", "Book"):
        if name.lower() in lowered:
            return _excel(_stream(ole, name), macros, members, properties)
    if "powerpoint document" in lowered:
        return _powerpoint(ole, macros, members, properties, budget)
    return Opened("ole", macros=macros, members=members, properties=properties)


def _stream(ole: olefile.OleFileIO, name: str) -> bytes:
    """The bytes of a stream. Raises Damaged."""
    try:
        if ole.get_size(name) > _MAX_STREAM_BYTES:
            raise Damaged(f"stream `{name}` too large")
        content: bytes = ole.openstream(name).read()
    except OSError as exc:
        raise Damaged(f"damaged stream `{name}`") from exc
    return content


def _encrypted_kind(ole: olefile.OleFileIO) -> str:
    """Encrypted OOXML does not say which of its kinds it is."""
    return "ooxml" if ole.exists("EncryptionInfo") else "ole"


def _properties(ole: olefile.OleFileIO) -> tuple[str, ...]:
    """Title, subject, keywords, comments, category, as text."""
    metadata = ole.get_metadata()
    values = (
        metadata.title,
        metadata.subject,
        metadata.keywords,
        metadata.comments,
        metadata.category,
    )
    charset = "windows-1252" if metadata.codepage != _UTF8_CODEPAGE else "utf-8"
    return tuple(
        decode(value[:500], charset) for value in values if isinstance(value, bytes) and value
    )


def _word(
    ole: olefile.OleFileIO, macros: bool, members: Iterator[Member], properties: tuple[str, ...]
) -> Opened:
    document = _stream(ole, "WordDocument")
    # [MS-DOC] 2.5.2: FibBase flags at offset 10, bit 8 is fEncrypted, bit 15 fObfuscated
    if len(document) > 12 and int.from_bytes(document[10:12], "little") & 0x0100:
        return Opened("doc", "encrypted", "password", macros=macros)
    dde = _DOC_DDE.search(document) or _DOC_DDE_WIDE.search(document)
    return Opened(
        "doc", macros=macros, active=("dde",) if dde else (), members=members, properties=properties
    )


def _excel(
    workbook: bytes, macros: bool, members: Iterator[Member], properties: tuple[str, ...]
) -> Opened:
    active: list[str] = []
    for kind, body in _biff_records(workbook):
        if kind == _FILEPASS:
            return Opened("xls", "encrypted", "password", macros=macros)
        if kind == _BOUNDSHEET and len(body) > 5 and body[5] == 1:  # a sheet of Excel 4 macros
            macros = True
        if kind == _SUPBOOK and _is_dde(body):
            active.append("dde")
    return Opened(
        "xls",
        macros=macros,
        active=tuple(dict.fromkeys(active)),
        members=members,
        properties=properties,
    )


def _biff_records(workbook: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    for _ in range(_MAX_RECORDS):
        if position + 4 > len(workbook):
            return
        kind, size = struct.unpack_from("<HH", workbook, position)
        yield kind, workbook[position + 4 : position + 4 + size]
        position += 4 + size


def _is_dde(supbook: bytes) -> bool:
    """Whether an external link is DDE or OLE: `program`, 03, `topic` ([MS-XLS] 2.4.271, 2.5.277)."""
    if len(supbook) < 5 or supbook[2:4] in (b"\x01\x04", b"\x01\x3a"):  # the book itself, add-ins
        return False
    path = supbook[5:]
    text = path[::2] if supbook[4] & 1 else path
    return b"\x03" in text[1:] and not text.startswith(b"\x01")


def _powerpoint(
    ole: olefile.OleFileIO,
    macros: bool,
    members: Iterator[Member],
    properties: tuple[str, ...],
    budget: Budget,
) -> Opened:
    if ole.exists("Current User"):
        user = _stream(ole, "Current User")
        if user[12:16] == b"\xdf\xc4\xd1\xf3":  # [MS-PPT] 2.3.2: headerToken of encrypted files
            return Opened("ppt", "encrypted", "password", macros=macros)
    document = _stream(ole, "PowerPoint Document")
    macros = macros or any(
        kind == _VBA_ATOM and body[4:8] == b"\x01\0\0\0" for kind, body in _ppt_records(document)
    )
    return Opened(
        "ppt",
        macros=macros,
        members=_chain(members, _ppt_objects(document, budget)),
        properties=properties,
    )


def _chain(*streams: Iterator[Member]) -> Iterator[Member]:
    for stream in streams:
        yield from stream


def _ppt_records(document: bytes) -> Iterator[tuple[int, bytes]]:
    """All records, those in containers too ([MS-PPT] 2.3.1: version F is a container)."""
    position = 0
    for _ in range(_MAX_RECORDS):
        if position + 8 > len(document):
            return
        version, kind, size = struct.unpack_from("<HHI", document, position)
        position += 8
        if version & 0xF != 0xF:
            yield kind, document[position : position + size]
            position += size


def _ppt_objects(document: bytes, budget: Budget) -> Iterator[Member]:
    """Embedded objects, deflated when the record instance is 1 ([MS-PPT] 2.10.34). Raises Bomb."""
    position = number = 0
    for _ in range(_MAX_RECORDS):
        if position + 8 > len(document):
            return
        version, kind, size = struct.unpack_from("<HHI", document, position)
        position += 8
        if version & 0xF == 0xF:
            continue
        body = document[position : position + size]
        position += size
        if kind == _OLE_STORAGE:
            number += 1
            budget.take_file()
            content = _inflated(body[4:], budget) if version >> 4 == 1 else body
            yield Member(f"object {number}", len(content), content)


def _inflated(packed: bytes, budget: Budget) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, budget.limits.total_bytes)
    except zlib.error as exc:
        raise Damaged("damaged embedded object") from exc
    budget.take_bytes(len(content))
    budget.check_ratio(len(content), len(packed))
    return content


def _native_objects(ole: olefile.OleFileIO, streams: list[str], budget: Budget) -> Iterator[Member]:
    """Files in `Ole10Native` streams: what people insert as an icon. Read before the file closes."""
    members = []
    for name in streams:
        if name.rpartition("/")[2].lower() == _NATIVE_NAME.lower():
            budget.take_file()
            content = _stream(ole, name)
            budget.take_bytes(len(content))
            members.append(native_object(content))
    return iter(members)


def native_object(content: bytes) -> Member:
    """The file in an OLE package: size, flags, label, path, …, data ([MS-OLEDS] and practice)."""
    try:
        position = 6
        label_end = content.index(b"\0", position)
        path_end = content.index(b"\0", label_end + 1)
        if content[path_end + 3 : path_end + 5] == b"\x01\0":
            return Member(
                _native_file_name(content, label_end, path_end), 0, None, why="link to a file"
            )
        position = path_end + 1 + 4
        (skip,) = struct.unpack_from("<I", content, position)
        position += 4 + skip
        (size,) = struct.unpack_from("<I", content, position)
        data = content[position + 4 : position + 4 + size]
        if not data or skip > len(content):
            raise ValueError
    except (ValueError, struct.error):
        return Member("object", len(content), content[4:])
    return Member(_native_file_name(content, label_end, path_end), len(data), data)


def _native_file_name(content: bytes, label_end: int, path_end: int) -> str:
    label = content[6:label_end].decode("cp1252", "replace")
    path = content[label_end + 1 : path_end].decode("cp1252", "replace")
    name = label if "." in label else path.replace("\\", "/").rpartition("/")[2]
    return name or "object"


def _message_members(ole: olefile.OleFileIO, budget: Budget) -> Iterator[Member]:
    """Attachments and text of an Outlook item ([MS-OXMSG] 2.2). Read before the file closes."""
    members = []
    for storage in {path[0] for path in ole.listdir() if path[0].startswith("__attach_version1.0")}:
        name = _message_text(ole, f"{storage}/__substg1.0_3707") or _message_text(
            ole, f"{storage}/__substg1.0_3704"
        )
        data_name = f"{storage}/__substg1.0_37010102"
        if ole.exists(data_name):
            budget.take_file()
            content = _stream(ole, data_name)
            budget.take_bytes(len(content))
            members.append(Member(name or "attachment", len(content), content))
        elif ole.exists(f"{storage}/__substg1.0_3701000D"):
            members.append(Member(name or "item", 0, None, why="item within an Outlook item"))
    members.sort(key=lambda member: member.path)
    text = "\n".join(
        (_message_text(ole, "__substg1.0_0037"), _message_text(ole, "__substg1.0_1000"))
    )
    if text.strip():
        members.append(Member("message.txt", len(text), text.encode("utf-8")))
    return iter(members)


def _message_text(ole: olefile.OleFileIO, stem: str) -> str:
    if ole.exists(f"{stem}001F"):
        return _stream(ole, f"{stem}001F").decode("utf-16-le", "replace")
    if ole.exists(f"{stem}001E"):
        return _stream(ole, f"{stem}001E").decode("cp1252", "replace")
    return ""
