"""ZIP containers told apart by their structure: OOXML, OpenDocument, programs, plain archives.

OOXML (ECMA-376): `[Content_Types].xml` names the main part, which must be there. OpenDocument (1.2,
part 3): `mimetype` says what it is, `content.xml` or `META-INF/manifest.xml` prove it.
"""

import html
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote_to_bytes

from mailgov.content import active
from mailgov.content.archives import (
    Bomb,
    Budget,
    Damaged,
    Member,
    check_sizes,
    open_zip,
    read_entry,
    zip_members,
)
from mailgov.content.opened import Opened

_MAX_XML_BYTES = 32 << 20  # of one part that is searched
_MAIN = {
    "wordprocessingml.document.main+xml": "docx",
    "wordprocessingml.template.main+xml": "dotx",
    "ms-word.document.macroenabled.main+xml": "docm",
    "ms-word.template.macroenabledtemplate.main+xml": "dotm",
    "spreadsheetml.sheet.main+xml": "xlsx",
    "spreadsheetml.template.main+xml": "xltx",
    "ms-excel.sheet.macroenabled.main+xml": "xlsm",
    "ms-excel.template.macroenabled.main+xml": "xltm",
    "ms-excel.sheet.binary.macroenabled.main": "xlsb",
    "ms-excel.addin.macroenabled.main+xml": "xlam",
    "presentationml.presentation.main+xml": "pptx",
    "presentationml.slideshow.main+xml": "ppsx",
    "presentationml.template.main+xml": "potx",
    "ms-powerpoint.presentation.macroenabled.main+xml": "pptm",
    "ms-powerpoint.slideshow.macroenabled.main+xml": "ppsm",
    "ms-powerpoint.template.macroenabled.main+xml": "potm",
    "ms-powerpoint.addin.macroenabled.main+xml": "ppam",
    "ms-visio.drawing.main+xml": "vsdx",
    "ms-visio.drawing.macroenabled.main+xml": "vsdx",
}
_ODF = {
    "text": "odt",
    "text-template": "odt",
    "text-master": "odt",
    "spreadsheet": "ods",
    "spreadsheet-template": "ods",
    "presentation": "odp",
    "presentation-template": "odp",
}
_OVERRIDE = re.compile(rb"<(?:\w+:)?Override\b([^>]*)>", re.IGNORECASE)
_DEFAULT = re.compile(rb"<(?:\w+:)?Default\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_RELATIONSHIP = re.compile(rb"<(?:\w+:)?Relationship\b([^>]*)>", re.IGNORECASE)
_PROPERTY = re.compile(
    rb"<(?:dc:|cp:|dcterms:)?(?:title|subject|keywords|category|description|contentStatus|vt:lpwstr)\b"
    rb"[^>]*>([^<]{1,500})<"
)
_ODF_PROPERTY = re.compile(
    rb"<(?:dc:title|dc:subject|dc:description|meta:keyword|meta:user-defined)\b[^>]*>([^<]{1,500})<"
)
_OFFICE_XML = re.compile(r"(?:word|xl|ppt)/[^/]+\.xml|xl/externalLinks/[^/]+\.(?:xml|bin)")
# Documents that Word shows as part of this one (altChunk; ECMA-376, part 1, 11.3.1).
_EMBEDDED = re.compile(r"\.(?:x?html?|mht(?:ml)?|rtf|txt|doc|docx|docm|dotx|eml)$")
_WATERMARK = re.compile(rb"<v:textpath\b[^>]{0,2000}?\bstring=\"([^\"]{1,100})\"")
_MAX_CAPTIONS = 200
_ACTIVE_RELATIONSHIPS = {
    b"attachedTemplate": "remote template",
    b"oleObject": "ole link",
    b"frame": "frame",
    b"subDocument": "remote template",
    b"aFChunk": "remote template",
}
_PROGRAM_FILES = ("META-INF/MANIFEST.MF", "AndroidManifest.xml", "AppxManifest.xml", "classes.dex")


_read_part = partial(read_entry, in_package=True)


def open_package(data: bytes, budget: Budget) -> Opened:
    """A ZIP container looked into. Never raises: state and reason tell."""
    try:
        with open_zip(data, budget) as archive:
            names = [entry.filename for entry in archive.infolist()]
            if _content_types(names):
                return _open_ooxml(data, archive, budget)
            if "mimetype" in names and "META-INF/manifest.xml" in names:
                return _open_odf(data, archive, budget)
            if any(name in names for name in _PROGRAM_FILES):
                return Opened("exe")
            encrypted = [e for e in archive.infolist() if e.flag_bits & 1]
            files = [e for e in archive.infolist() if not e.is_dir()]
    except Bomb as exc:
        return Opened("zip", "bomb", str(exc), is_archive=True)
    except Damaged as exc:
        return Opened("zip", "unscannable", str(exc), is_archive=True)
    if encrypted:
        why = "password" if len(encrypted) == len(files) else "some files have a password"
        return Opened("zip", "encrypted", why, members=zip_members(data, budget), is_archive=True)
    return Opened("zip", members=zip_members(data, budget), is_archive=True)


def _content_types(names: list[str]) -> str:
    return next((name for name in names if name.lower() == "[content_types].xml"), "")


def _open_ooxml(data: bytes, archive: zipfile.ZipFile, budget: Budget) -> Opened:
    check_sizes(archive, budget, in_package=True)
    names = {entry.filename: entry for entry in archive.infolist()}
    parts = {f"/{name}".lower(): name for name in names}
    types = _read_part(archive, names[_content_types(list(names))], budget)
    kind = _main_kind(types, parts)
    if not kind:
        return Opened("zip", members=zip_members(data, budget), is_archive=True)
    if any(entry.flag_bits & 1 for entry in names.values()):
        return Opened(kind, "encrypted", "password")
    found: list[str] = []
    captions: list[str] = []
    for name, entry in names.items():
        if name.lower().endswith(".rels"):
            found += _remote_relationships(_read_part(archive, entry, budget))
        elif _OFFICE_XML.fullmatch(name) and entry.file_size <= _MAX_XML_BYTES:
            part = _read_part(archive, entry, budget)
            found += _active_in_part(name, part)
            captions += _captions(part)
        elif "/activex/" in name.lower() and name.lower().endswith(".bin"):
            found.append("activex")
    return Opened(
        kind,
        macros=any(_is_macro_part(name) for name in names),
        active=tuple(dict.fromkeys(found)),
        members=_embedded(data, budget),
        properties=_properties(archive, names, budget),
        captions=tuple(captions[:_MAX_CAPTIONS]),
    )


def _main_kind(types: bytes, parts: dict[str, str]) -> str:
    """The kind by the main part, which must exist in the package."""
    for pattern, by_extension in ((_OVERRIDE, False), (_DEFAULT, True)):
        for match in pattern.finditer(types):
            attributes = _attributes(match[1])
            content_type = attributes.get(b"ContentType", b"").decode("ascii", "replace").lower()
            kind = next((k for ending, k in _MAIN.items() if content_type.endswith(ending)), "")
            name = attributes.get(b"PartName", b"").decode("utf-8", "replace").lower()
            if kind and (by_extension or name in parts):
                return kind
    return ""


def _attributes(text: bytes) -> dict[bytes, bytes]:
    return {name: double or single for name, double, single in _ATTRIBUTE.findall(text[:4096])}


def _is_macro_part(name: str) -> bool:
    lowered = name.lower()
    return (
        lowered.endswith(("vbaproject.bin", "vbadata.xml"))
        or "/macrosheets/" in lowered
        or "/intlmacrosheets/" in lowered
    )


def _remote_relationships(rels: bytes) -> Iterator[str]:
    """Parts that an office program fetches from elsewhere or runs when it opens the file."""
    for match in _RELATIONSHIP.finditer(rels):
        attributes = _attributes(match[1])
        if attributes.get(b"TargetMode", b"").lower() != b"external":
            continue
        kind = attributes.get(b"Type", b"").rpartition(b"/")[2]
        word = _ACTIVE_RELATIONSHIPS.get(kind)
        target = unquote_to_bytes(attributes.get(b"Target", b""))
        if word == "ole link" or (word and active.is_remote(target)):
            yield word


def _active_in_part(name: str, part: bytes) -> Iterator[str]:
    if name.startswith("xl/externalLinks/"):
        if b"<ddeLink" in part or b":ddeLink" in part or _xlsb_link(part) == 1:
            yield "dde"
        if b"<oleLink" in part or b":oleLink" in part or _xlsb_link(part) == 2:
            yield "ole link"
    elif name.startswith("word/"):
        yield from active.in_wordml(part)


def _captions(part: bytes) -> Iterator[str]:
    """Words of a watermark."""
    for match in _WATERMARK.finditer(part):
        yield _unescaped(match[1])


def _unescaped(text: bytes) -> str:
    return html.unescape(text.decode("utf-8", "replace")).strip()


def _xlsb_link(part: bytes) -> int:
    """What an external link of a binary workbook is: 0 workbook, 1 DDE, 2 OLE (MS-XLSB 2.4.66)."""
    if part[:2] == b"\xe8\x02":  # record 360, BrtBeginSupBook
        return int.from_bytes(part[3:5], "little")
    return 0


def _properties(
    archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], budget: Budget
) -> tuple[str, ...]:
    found = []
    for name in ("docProps/core.xml", "docProps/custom.xml"):
        if name in names and names[name].file_size < (1 << 20):
            text = _read_part(archive, names[name], budget)
            found += [value.decode("utf-8", "replace") for value in _PROPERTY.findall(text)]
    return tuple(found[:50])


def _embedded(data: bytes, budget: Budget) -> Iterator[Member]:
    """Files that an author put into the document. Raises Bomb, Damaged."""
    with open_zip(data, budget) as archive:
        for entry in archive.infolist():
            name = entry.filename.lower()
            if ("/embeddings/" in name or _EMBEDDED.search(name)) and not entry.is_dir():
                budget.take_file()
                content = _read_part(archive, entry, budget)
                yield Member(entry.filename, len(content), content)


def _open_odf(data: bytes, archive: zipfile.ZipFile, budget: Budget) -> Opened:
    check_sizes(archive, budget, in_package=True)
    names = {entry.filename: entry for entry in archive.infolist()}
    mimetype = (
        _read_part(archive, names["mimetype"], budget)[:200].strip().decode("ascii", "replace")
    )
    if mimetype == "application/epub+zip":
        return Opened("epub")
    if not mimetype.startswith("application/vnd.oasis.opendocument."):
        return Opened("zip", members=zip_members(data, budget), is_archive=True)
    kind = _ODF.get(mimetype.removeprefix("application/vnd.oasis.opendocument."), "odf")
    manifest = _read_part(archive, names["META-INF/manifest.xml"], budget)
    if b"encryption-data" in manifest:
        return Opened(kind, "encrypted", "password")
    if "content.xml" not in names:
        return Opened("zip", members=zip_members(data, budget), is_archive=True)
    found: list[str] = []
    if names["content.xml"].file_size <= _MAX_XML_BYTES:
        found += active.in_xml(_read_part(archive, names["content.xml"], budget))
    properties = (
        _ODF_PROPERTY.findall(_read_part(archive, names["meta.xml"], budget))
        if "meta.xml" in names
        else []
    )
    return Opened(
        kind,
        macros=any(name.startswith(("Basic/", "Scripts/")) and name[-1] != "/" for name in names),
        active=tuple(dict.fromkeys(found)),
        members=_odf_objects(data, budget),
        properties=tuple(value.decode("utf-8", "replace") for value in properties[:50]),
    )


def _odf_objects(data: bytes, budget: Budget) -> Iterator[Member]:
    """OLE objects in an OpenDocument file: entries without extension. Raises Bomb, Damaged."""
    with open_zip(data, budget) as archive:
        for entry in archive.infolist():
            if re.fullmatch(r"Object[ _]?\d+", entry.filename):
                budget.take_file()
                content = _read_part(archive, entry, budget)
                yield Member(entry.filename, len(content), content)
