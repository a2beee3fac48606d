"""From the bytes of a message to its facts: the steps, and what keeps them from raising."""

from collections.abc import Iterator
from datetime import datetime

from mailgov.config import Limits
from mailgov.content import READER_VERSION, documents
from mailgov.content.attachments import Examiner, all_said
from mailgov.content.declared import declared
from mailgov.content.fields import Fields, split_fields
from mailgov.content.header import header_defects, read_header
from mailgov.content.parts import Tree, read_parts
from mailgov.content.prescan import header_end, prescan
from mailgov.content.texts import Said, read_caption, read_display_name, read_subject
from mailgov.content.trust import Trust
from mailgov.content.uses import improper_uses
from mailgov.content.vietnamese import unmarked_words
from mailgov_policies.facts import Content, Document, Header

_HEADER_BREACHES = frozenset(
    {"message too large", "header block too large", "too many header fields"}
    | {"too many addresses", "header field too long"}
)


def read(data: bytes, limits: Limits, trust_roots: tuple[bytes, ...]) -> Content:
    """Everything that the bytes say: see `mailgov.content.read_message`."""
    broken = prescan(data, limits)
    if broken:
        return _unparsed(data, broken)
    try:
        return _read(data, limits, trust_roots)
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - a fault of ours must not make mail look clean
        return Content(
            len(data),
            header=_header_alone(data),
            unscannable=f"reader failed: {type(exc).__name__}",
            reader=READER_VERSION,
        )


def _unparsed(data: bytes, broken: tuple[str, ...]) -> Content:
    header = Header() if _HEADER_BREACHES & set(broken) else _header_alone(data)
    return Content(
        len(data), header=header, malformed=broken, unscannable=broken[0], reader=READER_VERSION
    )


def _header_alone(data: bytes) -> Header:
    """The header of a message whose body can't be read: rules on senders still apply."""
    try:
        return read_header(split_fields(data[: header_end(data)]))
    except Exception:  # noqa: BLE001 - see `read`
        return Header()


def _read(data: bytes, limits: Limits, trust_roots: tuple[bytes, ...]) -> Content:
    tree = read_parts(data, limits)
    fields = tree.root.fields
    header = read_header(fields)
    sent_at = datetime.fromisoformat(header.date) if header.date else None
    examiner = Examiner(limits, Trust(trust_roots, sent_at))
    examiner.read_tree(tree.root)
    examiner.match_signature_files()
    raw_subject = fields.text("subject")
    subject = read_subject(raw_subject)
    said = [subject, *_names(header), *_captions(fields), *all_said(examiner)]
    return Content(
        size_bytes=len(data),
        header=header,
        declared=declared(fields.text("mailgov-document"), header.subject),
        found=_found(subject, examiner),
        texts=tuple(text for one in said for text in one.texts),
        marks=tuple(mark for one in said for mark in one.marks),
        attachments=tuple(examiner.attachments),
        active=tuple(dict.fromkeys(examiner.active)),
        petition=any(documents.is_petition(one.lines) for one in said),
        improper=improper_uses(_written(body) for body in examiner.bodies),
        unmarked_words=max(map(_unmarked_words, examiner.bodies), default=0),
        signatures=tuple(examiner.signatures),
        malformed=_malformed(tree, fields),
        reader=READER_VERSION,
    )


def _names(header: Header) -> Iterator[Said]:
    for field, people in (("From", header.from_), ("Reply-To", header.reply_to)):
        for person in people:
            yield read_display_name(person.name, field)
    if header.sender:
        yield read_display_name(header.sender.name, "Sender")


def _captions(fields: Fields) -> Iterator[Said]:
    """What mail programs call comments, keywords and description: marks may stand there."""
    for name in ("Comments", "Keywords", "Content-Description"):
        if text := fields.text(name.lower()):
            yield read_caption(text, f"header {name}", "")


def _found(subject: Said, examiner: Examiner) -> Document | None:
    """What the message is, by its subject, bodies, files and names; else by its words."""
    candidates = [
        subject.document,
        *(body.document for body in examiner.bodies),
        *(attachment.document for attachment in examiner.attachments),
    ]
    candidates += [documents.in_words(body.lines) for body in examiner.bodies[:1]]
    return documents.best_of(candidates)


def _unmarked_words(body: Said) -> int:
    """Of what the writer wrote: not of what is quoted."""
    return unmarked_words(_written(body))


def _written(body: Said) -> str:
    return "\n".join(line.text for line in body.lines if not line.text.startswith(">"))


def _malformed(tree: Tree, fields: Fields) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*tree.defects, *header_defects(fields))))
