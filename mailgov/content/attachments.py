"""Every file of a message: what it is, what is inside, and what its text says."""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mailgov.config import Limits
from mailgov.content import active, documents, signatures
from mailgov.content.archives import Bomb, Budget, Damaged
from mailgov.content.charsets import decode, well_formed
from mailgov.content.disguises import is_disguised, shown_name
from mailgov.content.extract import KINDS, Unreadable, extract
from mailgov.content.file_kinds import family, find_kind
from mailgov.content.opened import Opened, State
from mailgov.content.opening import open_file
from mailgov.content.page_setup import page_of
from mailgov.content.parts import MESSAGE_TYPES, Part, read_parts, uuencoded_files
from mailgov.content.runs import Run
from mailgov.content.texts import (
    Said,
    read_caption,
    read_file_name,
    read_file_text,
    read_subject,
)
from mailgov.content.trust import Trust
from mailgov_policies.facts import Attachment, Document, Page, ScannedPages, Signature

# The text reader for each kind; other kinds have no text, or none that people read there.
_TEXT_READERS = {
    **dict.fromkeys(("text", "xml", "ics", "vcf"), "txt"),
    **dict.fromkeys(("html", "svg"), "html"),
    **dict.fromkeys(("docx", "dotx"), "docx"),
    **dict.fromkeys(("docm", "dotm"), "docm"),
    **dict.fromkeys(("xlsx", "xltx"), "xlsx"),
    **dict.fromkeys(("xlsm", "xltm", "xlam"), "xlsm"),
    **dict.fromkeys(("pptx", "ppsx", "potx", "pptm", "ppsm", "potm"), "pptx"),
    **{kind: kind for kind in ("csv", "pdf", "rtf", "doc", "xls", "ppt", "odt", "ods", "odp")},
}
_ELSEWHERE = {
    "message/partial": "fragment of a message",
    "message/external-body": "content lies elsewhere",
}
_MAX_FOLDERS = 200  # of one archive whose names are read
_OWN_LAYERS = 3  # S/MIME within S/MIME that is still the message itself
_USUAL_PREAMBLES = frozenset(
    {
        b"This is a multi-part message in MIME format.",
        b"This is a multipart message in MIME format.",
        b"This is a cryptographically signed message in MIME format.",
        b"This is an S/MIME signed message",
    }
)
_BINARY_STARTS = (
    b"MZ",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x7fELF",
    b"%PDF",
    b"Rar!",
    b"7z\xbc",
)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it lies in the message. `data` is None when it could not be got: see `why`."""

    part: str
    names: tuple[str, ...]
    declared_type: str
    data: bytes | None
    encrypted: bool = False
    why: str = ""

    @property
    def name(self) -> str:
        """The name that most programs show."""
        return unicodedata.normalize("NFC", shown_name(self.names[0])) if self.names else ""


@dataclass(slots=True)
class Examiner:
    """Reads bodies and files of one message; what it finds adds up here."""

    limits: Limits
    trust: Trust = field(default_factory=Trust)
    budget: Budget = field(default_factory=Budget)
    attachments: list[Attachment] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    bodies: list[Said] = field(default_factory=list)  # of the message itself
    active: list[str] = field(default_factory=list)  # in its HTML
    signatures: list[Signature] = field(default_factory=list)  # S/MIME
    _signed_layers: int = 0
    _attached: list[tuple[int, File, bytes]] = field(default_factory=list)  # not within others

    # The tree of a message

    def read_tree(self, part: Part, outer: str = "", depth: int = 0) -> None:
        """All leaves of a tree. `outer` is the file that the tree lies in, empty for the message."""
        if part.media_type == "multipart/signed" and part.children:
            found = signatures.on_entity(part, self.trust)
            self._add_signatures(found, _numbered(outer, part.number).rstrip("/"))
        if part.media_type in MESSAGE_TYPES and part.children:
            self._read_message_part(part, outer, depth)
        elif part.children:
            for child in part.children:
                self.read_tree(child, outer, depth)
            self._read_outside(part, outer, depth)
        elif _is_shown(part):
            self._read_body(part, outer, depth)
        else:
            self.examine(_file_of(part, _numbered(outer, part.number)), depth)

    def _read_message_part(self, part: Part, outer: str, depth: int) -> None:
        """A message within the message: a file of its own, and all that is in it."""
        number = _numbered(outer, part.number)
        file = File(number, part.names, part.media_type, None)
        place, before = len(self.attachments), len(self.said)
        found = Attachment(number, file.name, part.media_type, "message", len(part.raw))
        self.attachments.append(found)
        self.said.append(read_file_name(file.name, f"file name {number}", number))
        for inner in part.children:
            self._read_subject(inner, number)
            self.read_tree(inner, outer, depth + 1)
        self.attachments[place] = replace(found, document=self._document_since(before))

    def _read_subject(self, message: Part, number: str) -> None:
        """The subject of a message within the message."""
        said = read_subject(message.fields.text("subject"))
        place = f"part {number} subject"
        self.said.append(said.moved(place, number))

    def _read_body(self, part: Part, outer: str, depth: int) -> None:
        content = part.content()
        number = _numbered(outer, part.number)
        if content.startswith(_BINARY_STARTS) or b"\0" in content[:1024]:
            self.examine(File(number, part.names, part.media_type, content), depth)
            return
        is_own = depth == 0
        place = "body" if is_own else f"part {number}"
        if part.media_type == "text/html":
            runs = _html_runs(part.text())
            if is_own:
                self.active += active.in_html(content)
        else:
            runs = (Run(part.text()),)
        said = read_file_text(runs, place, "" if is_own else number)
        (self.bodies if is_own else self.said).append(said)
        self._read_uuencoded(content, number, part.media_type, depth)

    def _read_outside(self, part: Part, outer: str, depth: int) -> None:
        """What a multipart has outside its parts: old programs show it, new ones its source."""
        if not part.outside or part.outside in _USUAL_PREAMBLES:
            return
        number = _numbered(outer, part.number).rstrip("/")
        place = "body" if depth == 0 else f"part {number}"
        runs = (Run(decode(part.outside), "preamble"),)
        self.said.append(read_file_text(runs, place, "" if depth == 0 else number))
        self._read_uuencoded(part.outside, number, part.media_type, depth)

    def _read_uuencoded(self, content: bytes, number: str, media_type: str, depth: int) -> None:
        """Files written into the text itself, as old programs do."""
        try:
            for name, data in uuencoded_files(content):
                self.budget.take_file()
                inner = well_formed(f"{number}/{name}")
                self.examine(File(inner, (name,), "", data), depth + 1)
        except Bomb as exc:
            self.attachments.append(
                Attachment(number, "", media_type, "text", len(content), state="bomb", why=str(exc))
            )

    def _document_since(self, before: int) -> Document | None:
        """The document that a message within the message carries."""
        return documents.best_of(said.document for said in self.said[before:])

    # Files

    def examine(self, file: File, depth: int = 0) -> None:
        """Add the facts of a file and of all within it."""
        place = len(self.attachments)
        self.attachments.append(Attachment(file.part, file.name, file.declared_type, "unknown", 0))
        named = read_file_name(file.name, f"file name {file.part}", file.part)
        self.said.append(named)
        if file.data is None:
            found = _without_data(file, named.document)
        else:
            try:
                found = self._examined(place, file, file.data, named, depth)
            except MemoryError:
                raise
            except Exception as exc:  # noqa: BLE001 - a fault of ours costs this file, no more
                why = f"reader failed: {type(exc).__name__}"
                found = _without_data(replace(file, why=why), named.document)
        self.attachments[place] = found

    def _examined(self, place: int, file: File, data: bytes, named: Said, depth: int) -> Attachment:
        name = file.names[0] if file.names else ""
        if "/" not in file.part:
            self._attached.append((place, file, data))
        kind = find_kind(data, name, file.declared_type)
        opened = open_file(kind, data, name, file.declared_type, self.budget)
        before = len(self.said)
        state, why = self._read_inside(file, opened, data, depth)
        forwarded = self._document_since(before) if opened.kind == "message" else None
        text, state, why, has_text, scan, page = self._read_text(file, opened, data, state, why)
        self._read_captions(file.part, opened)
        return Attachment(
            part=file.part,
            name=file.name,
            declared_type=file.declared_type,
            kind=opened.kind,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            state=state,
            why=why,
            macros=opened.macros,
            active=opened.active,
            disguised=is_disguised(opened.kind, file.names, file.declared_type, data),
            document=documents.best_of((text.document, named.document, forwarded)),
            has_text=has_text,
            scan=scan,
            page=page,
            signatures=self._signed(file, opened, data),
        )

    def _read_captions(self, part: str, opened: Opened) -> None:
        for value in opened.properties:
            self.said.append(read_caption(value, f"part {part} properties", part))
        for value in opened.captions:
            self.said.append(read_caption(value, f"part {part}", part))

    # Signatures

    def _signed(self, file: File, opened: Opened, data: bytes) -> tuple[Signature, ...]:
        """Signatures on a file; those of an S/MIME message are the message's."""
        if opened.mime is not None:
            self._add_signatures(signatures.opaque(data, self.trust), file.part)
            return ()
        if opened.kind in ("p7m", "p7s"):
            is_part = file.declared_type in signatures.SIGNATURE_TYPES  # of what it came with
            return () if is_part else signatures.around(data, self.trust)
        return signatures.in_file(opened.kind, data, self.trust)

    def _add_signatures(self, found: tuple[Signature, ...], part: str) -> None:
        self.signatures += [replace(one, part=part) for one in found]

    def match_signature_files(self) -> None:
        """Check signatures that came as files of their own: `a.pdf.p7s` signs `a.pdf`."""
        files = {file.name: (place, data) for place, file, data in self._attached}
        for _, file, data in self._attached:
            signed = files.get(file.name.rpartition(".")[0])
            if signed is not None and file.name.endswith((".p7s", ".sig", ".p7m")):
                self._add_to_file(*signed, data)

    def _add_to_file(self, place: int, data: bytes, signature: bytes) -> None:
        attachment = self.attachments[place]
        if signatures.is_detached(signature):
            found = signatures.beside(signature, data, self.trust)
            self.attachments[place] = replace(
                attachment, signatures=(*attachment.signatures, *found)
            )

    def _read_inside(
        self, file: File, opened: Opened, data: bytes, depth: int
    ) -> tuple[State, str]:
        """The files within a file, or the tree of a message. State and reason of the outer file."""
        try:
            if opened.kind == "message":
                self.budget.check_depth(depth + 1)
                self._read_message_file(data, file.part, depth + 1)
            elif opened.mime is not None:
                self.budget.check_depth(depth + 1)
                self._read_signed(opened.mime, file.part, depth)
            elif opened.is_archive:
                self.budget.check_depth(depth + 1)
            folders: set[str] = set()
            for member in opened.members:
                self.budget.check_depth(depth + 1)
                self._read_folders(file.part, member.path, folders)
                inner = File(
                    well_formed(f"{file.part}/{member.path}"),
                    (member.path.rpartition("/")[2] or member.path,),
                    "",
                    member.data,
                    member.encrypted,
                    member.why,
                )
                self.examine(inner, depth + 1)
        except Bomb as exc:
            return "bomb", str(exc)
        except Damaged as exc:
            return "unscannable", str(exc)
        return opened.state, opened.why

    def _read_folders(self, part: str, path: str, known: set[str]) -> None:
        """Names of the folders in an archive, each once: marks stand there too."""
        for folder in path.split("/")[:-1]:
            if folder not in known and len(known) < _MAX_FOLDERS:
                known.add(folder)
                self.said.append(read_caption(well_formed(folder), f"file name {part}", part))

    def _read_message_file(self, data: bytes, part: str, depth: int) -> None:
        root = read_parts(data, self.limits).root
        self._read_subject(root, part)
        self.read_tree(root, part, depth)

    def _read_signed(self, data: bytes, part: str, depth: int) -> None:
        """What an S/MIME message signs is the message itself, once or within a second signature."""
        self._signed_layers += 1
        is_own = depth == 0 and self._signed_layers <= _OWN_LAYERS
        self.read_tree(read_parts(data, self.limits).root, part, depth if is_own else depth + 1)

    def _read_text(
        self, file: File, opened: Opened, data: bytes, state: State, why: str
    ) -> tuple[Said, State, str, bool, ScannedPages | None, Page | None]:
        """The text of a file as far as it can be read; state and reason may get worse by it."""
        reader = _TEXT_READERS.get(opened.kind, "")
        if state != "read" or reader not in KINDS:
            return Said(), state, why, family(opened.kind) not in ("image", "media"), None, None
        try:
            extracted = extract(reader, data)
        except Unreadable as exc:
            return Said(), exc.state, str(exc), True, None, None
        said = read_file_text(extracted.runs, f"part {file.part}", file.part, file.name)
        self.said.append(said)
        # How it is set matters of documents alone, and costs a second look at the file.
        is_document = said.document is not None and said.document.is_agency_document
        page = page_of(reader, data, extracted.runs) if is_document else None
        return said, state, why, extracted.has_text, extracted.scan, page


def _numbered(outer: str, number: str) -> str:
    return f"{outer}/{number}" if outer else number


def _is_shown(part: Part) -> bool:
    """Whether a leaf is text of the message rather than a file."""
    if part.names:
        return False
    reports = part.media_type.startswith("message/") and part.media_type not in _ELSEWHERE
    broken = part.media_type.startswith("multipart/")
    return part.is_body or part.media_type == "text/rfc822-headers" or reports or broken


def _file_of(part: Part, number: str) -> File:
    """A leaf as a file. A transfer encoding that we don't know hides what is in it."""
    if part.media_type in _ELSEWHERE:
        return File(number, part.names, part.media_type, None, why=_ELSEWHERE[part.media_type])
    if not part.is_decodable:
        return File(number, part.names, part.media_type, None, why="unknown transfer encoding")
    return File(number, part.names, part.media_type, part.content())


def _html_runs(text: str) -> tuple[Run, ...]:
    """The text of an HTML body, decoded by the charset of its part."""
    try:
        return extract("html", b"\xef\xbb\xbf" + text.encode("utf-8", "replace")).runs
    except Unreadable:
        return (Run(text),)


def _without_data(file: File, document: Document | None) -> Attachment:
    return Attachment(
        part=file.part,
        name=file.name,
        declared_type=file.declared_type,
        kind="unknown",
        size_bytes=0,
        state="encrypted" if file.encrypted else "unscannable",
        why=file.why or "no content",
        document=document,
    )


def all_said(examiner: Examiner) -> Iterator[Said]:
    """What bodies, then files and names say, in order."""
    yield from examiner.bodies
    yield from examiner.said
