"""One door to every kind of container: `open_file` tells what is inside a file."""

from collections.abc import Callable, Iterator

from mailgov.content import active
from mailgov.content.archives import (
    Bomb,
    Budget,
    Damaged,
    Member,
    rar_is_encrypted,
    tar_members,
    unpack_stream,
)
from mailgov.content.cms import open_cms
from mailgov.content.file_kinds import extension
from mailgov.content.foreign_archives import Encrypted, foreign_members
from mailgov.content.ole_files import native_object, open_ole
from mailgov.content.opened import Opened
from mailgov.content.packages import open_package
from mailgov.content.pdf_files import open_pdf
from mailgov.content.tnef import tnef_members

# Kinds that may hold text or files and that nothing here opens: never taken for clean.
_UNREAD = frozenset({"onenote", "dwg", "pgp"})
_FOREIGN = frozenset({"7z", "rar", "cab", "archive"})
_UNREAD_PACKAGES = frozenset({"xlsb", "ppam", "vsdx", "odf", "epub"})
_OOXML = frozenset(
    {
        *("docx", "docm", "dotx", "dotm", "xlsx", "xlsm", "xlsb", "xltx", "xltm"),
        *("pptx", "pptm", "ppsx", "ppsm", "potx", "potm"),
    }
)
_MIME_IN_CMS = ("application/pkcs7-mime", "application/x-pkcs7-mime")


def open_file(kind: str, data: bytes, name: str, declared: str, budget: Budget) -> Opened:
    """A file looked into, its kind made exact. Never raises: state and reason tell."""
    if declared in _MIME_IN_CMS or kind in ("p7m", "p7s"):
        return _open_cms(kind, data, name, declared)
    if opener := _OPENERS.get(kind):
        return opener(data, name, budget)
    if kind in _FOREIGN:
        return _open_foreign(kind, data, name, budget)
    if kind in _UNREAD:
        return _unread(kind)
    return Opened(kind)


def _unread(kind: str) -> Opened:
    if kind == "pgp":
        return Opened(kind, "unscannable", "encrypted with PGP")
    return Opened(kind, "unscannable", f"no reader for {kind}")


def _open_foreign(kind: str, data: bytes, name: str, budget: Budget) -> Opened:
    if kind == "rar" and rar_is_encrypted(data):
        return Opened(kind, "encrypted", "password", is_archive=True)
    inner = name.rpartition(".")[0] if "." in name else "content"
    try:
        members = foreign_members(data, inner, budget)
    except Encrypted:
        return Opened(kind, "encrypted", "password", is_archive=True)
    except Damaged as exc:
        return Opened(kind, "unscannable", str(exc), is_archive=True)
    return Opened(kind, members=members, is_archive=True)


def _open_zip(data: bytes, _name: str, budget: Budget) -> Opened:
    opened = open_package(data, budget)
    if opened.kind in _UNREAD_PACKAGES and opened.state == "read":
        return _with_state(opened, f"no reader for {opened.kind}")
    return opened


def _open_compound(data: bytes, name: str, budget: Budget) -> Opened:
    opened = open_ole(data, budget)
    if opened.kind == "ooxml":  # encrypted: only the name tells which document it is
        kind = extension(name)
        return Opened(kind if kind in _OOXML else "docx", opened.state, opened.why)
    if opened.kind == "ole" and extension(name) and opened.state == "read":
        return _with_state(opened, "no reader for this compound file")
    return opened


def _with_state(opened: Opened, why: str) -> Opened:
    return Opened(
        opened.kind,
        "unscannable",
        why,
        macros=opened.macros,
        active=opened.active,
        members=opened.members,
        properties=opened.properties,
        captions=opened.captions,
    )


def _open_pdf(data: bytes, _name: str, budget: Budget) -> Opened:
    return open_pdf(data, budget)


def _open_rtf(data: bytes, _name: str, budget: Budget) -> Opened:
    return Opened("rtf", active=active.in_rtf(data), members=_rtf_members(data, budget))


def _rtf_members(data: bytes, budget: Budget) -> Iterator[Member]:
    """Embedded objects in RTF: OLE 1 streams ([MS-OLEDS] 2.2.5). Raises Bomb."""
    for content in active.rtf_objects(data):
        budget.take_file()
        budget.take_bytes(len(content))
        at = content.find(b"Package\0")
        if at >= 0:  # class name, two empty names, size, then the package
            package = content[at + 8 + 8 :]
            yield native_object(package)
        elif (storage := content.find(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) >= 0:
            yield Member("object", len(content) - storage, content[storage:])


def _open_html(data: bytes, _name: str, _budget: Budget) -> Opened:
    return Opened("html", active=active.in_html(data))


def _open_svg(data: bytes, _name: str, _budget: Budget) -> Opened:
    return Opened("svg", active=active.in_html(data))


def _open_xml(data: bytes, _name: str, _budget: Budget) -> Opened:
    return Opened("xml", active=active.in_xml(data), macros=active.xml_has_macros(data))


def _open_csv(data: bytes, _name: str, _budget: Budget) -> Opened:
    return Opened("csv", active=active.in_csv(data))


def _open_tnef(data: bytes, _name: str, budget: Budget) -> Opened:
    return Opened("tnef", members=tnef_members(data, budget), is_archive=True)


def _open_tar(data: bytes, _name: str, budget: Budget) -> Opened:
    return Opened("tar", members=tar_members(data, budget), is_archive=True)


def _stream_opener(kind: str) -> Callable[[bytes, str, Budget], Opened]:
    def opener(data: bytes, name: str, budget: Budget) -> Opened:
        try:
            content = unpack_stream(kind, data, budget)
        except Bomb as exc:
            return Opened(kind, "bomb", str(exc), is_archive=True)
        except Damaged as exc:
            return Opened(kind, "unscannable", str(exc), is_archive=True)
        inner = name.rpartition(".")[0] if "." in name else "content"
        if extension(name) in ("tgz", "tbz", "tbz2", "txz"):
            inner += ".tar"
        members = iter((Member(inner, len(content), content),))
        return Opened(kind, members=members, is_archive=True)

    return opener


_OPENERS: dict[str, Callable[[bytes, str, Budget], Opened]] = {
    "zip": _open_zip,
    "ole": _open_compound,
    "pdf": _open_pdf,
    "rtf": _open_rtf,
    "html": _open_html,
    "svg": _open_svg,
    "xml": _open_xml,
    "csv": _open_csv,
    "tnef": _open_tnef,
    "tar": _open_tar,
    "gz": _stream_opener("gz"),
    "bz2": _stream_opener("bz2"),
    "xz": _stream_opener("xz"),
}


def _open_cms(kind: str, data: bytes, name: str, declared: str) -> Opened:
    """S/MIME and signed files: what is signed is read, what is encrypted can't be."""
    kind = "p7m" if declared in _MIME_IN_CMS else kind
    try:
        signed = open_cms(data)
    except Damaged as exc:
        return Opened(kind, "unscannable", str(exc))
    if signed.encrypted:
        return Opened("p7m", "unscannable", "encrypted with S/MIME")
    if signed.content is None:
        return Opened(kind)
    if declared in _MIME_IN_CMS:
        return Opened("p7m", mime=signed.content)
    inner = name.rpartition(".")[0] if "." in name else "content"
    return Opened("p7m", members=iter((Member(inner, len(signed.content), signed.content),)))
