"""A stored message as a page shows it: who, what, the body in its two forms, the files.

The parts are cut by the reader of the gate (`mailgov.content`), so that people see what the rules saw.
Pure and bounded, but not quick: call it in a thread.
"""

import html
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from mailgov.config import Limits
from mailgov.content.header import read_header
from mailgov.content.parts import Part, read_parts
from mailgov.content.prescan import prescan
from mailgov.errors import InputError
from mailgov_policies.facts import Header
from mailgov_webmail.html_mail import to_text

MAX_TEXT = 1 << 20  # letters shown on the page; the rest is behind `Xem nguồn`
MAX_INLINE_IMAGE = 3 << 20  # bytes
MAX_INLINE_IMAGES = 12 << 20
_INLINE_KINDS = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MARKED = re.compile("[ăđơưẠ-ỹ]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a message. `number` names its part."""

    number: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A stretch of body: plain, HTML, or the same in both."""

    text: str = ""
    html: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message, understood. `text` is always there; `html` only where the sender wrote some."""

    header: Header
    root: Part
    text: str
    html: str
    files: tuple[Attachment, ...]

    @property
    def sent_at(self) -> datetime | None:
        """What the sender says; None when that is no date."""
        return datetime.fromisoformat(self.header.date) if self.header.date else None

    @property
    def language(self) -> str:
        """Language of the body, for voices and hyphens: `vi`, or empty when it can't be told."""
        return "vi" if _MARKED.search(self.text[:20_000]) else ""

    def field(self, name: str) -> str:
        """The first header field of that name (in lower case), decoded."""
        return self.root.fields.text(name)

    def part(self, number: str) -> Part | None:
        """The part behind a file of the list."""
        if not any(file.number == number for file in self.files):
            return None
        return next((part for part in _leaves(self.root) if part.number == number), None)

    def images(self) -> Mapping[str, str]:
        """Pictures that the body points to, as `data:` addresses by Content-ID."""
        found: dict[str, str] = {}
        room = MAX_INLINE_IMAGES
        for part in _leaves(self.root):
            content_id = _content_id(part)
            if not content_id or part.media_type not in _INLINE_KINDS:
                continue
            content = part.content()
            room -= len(content)
            if room >= 0 and len(content) <= MAX_INLINE_IMAGE:
                found[content_id] = f"data:{part.media_type};base64,{b64encode(content).decode()}"
        return found


def read(data: bytes, limits: Limits) -> Reading:
    """Take a message apart. Raises InputError `message-too-complex` when it exceeds the limits."""
    if prescan(data, limits):
        raise InputError("message-too-complex")
    root = read_parts(data, limits).root
    blocks = list(_blocks(root))
    body_html = _joined_html(blocks)
    return Reading(
        header=read_header(root.fields),
        root=root,
        text="\n\n".join(_plain(block) for block in blocks)[:MAX_TEXT],
        html=body_html,
        files=tuple(_files(root, body_html)),
    )


def _joined_html(blocks: list[_Block]) -> str:
    if not any(block.html for block in blocks):
        return ""
    return "<hr>".join(
        block.html or f'<div style="white-space:pre-wrap">{html.escape(block.text)}</div>'
        for block in blocks
        if block.html or block.text.strip()
    )


def _plain(block: _Block) -> str:
    return block.text if block.text.strip() or not block.html else to_text(block.html)


def _blocks(part: Part) -> Iterator[_Block]:
    """What is read, in order. Of alternatives (RFC 2046, 5.1.4) the plain and the HTML one."""
    if part.media_type == "multipart/alternative":
        inner = [block for child in part.children for block in _blocks(child)]
        yield _Block(
            next((block.text for block in inner if block.text and not block.html), ""),
            next((block.html for block in reversed(inner) if block.html), ""),
        )
    elif part.media_type == "message/rfc822":
        return
    elif part.children:
        for child in part.children:
            yield from _blocks(child)
    elif part.is_body and part.media_type == "text/html":
        yield _Block(html=part.text())
    elif part.is_body:
        yield _Block(text=_unflowed(part))


def _unflowed(part: Part) -> str:
    """Plain text with its paragraphs whole again where the sender folded them (RFC 3676)."""
    text = part.text().replace("\r\n", "\n")
    if part.type.parameters.get("format", "").lower() != "flowed":
        return text
    keep = 0 if part.type.parameters.get("delsp", "").lower() != "yes" else 1
    lines: list[str] = []
    open_quote = -1  # depth of the paragraph that goes on; -1: none
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        words = line[depth:].removeprefix(" ")
        flows = words.endswith(" ") and words != "-- "
        shown = words[: len(words) - keep] if flows else words
        if open_quote == depth and words != "-- ":
            lines[-1] += shown
        else:
            lines.append(f"{'>' * depth} {shown}" if depth else shown)
        open_quote = depth if flows else -1
    return "\n".join(lines)


def _files(root: Part, body_html: str) -> Iterator[Attachment]:
    alternatives = _hidden_alternatives(root)
    for part in _leaves(root):
        if part.is_body or part.number in alternatives:
            continue
        content_id = _content_id(part)
        if content_id and f"cid:{content_id}" in body_html and part.media_type in _INLINE_KINDS:
            continue
        yield Attachment(part.number, _name(part), part.media_type, _size_bytes(part))


def _hidden_alternatives(root: Part) -> frozenset[str]:
    """Calendar and other forms of the same words are files for people; empty ones are not."""
    return frozenset(part.number for part in _leaves(root) if not part.raw.strip())


def _leaves(part: Part) -> Iterator[Part]:
    """Parts as a person counts them: a forwarded message is one file, whatever is in it."""
    if part.children and part.media_type not in ("message/rfc822", "message/global"):
        for child in part.children:
            yield from _leaves(child)
    else:
        yield part


def _content_id(part: Part) -> str:
    return part.fields.text("content-id").strip().strip("<>")


def _name(part: Part) -> str:
    if part.names:
        return part.names[0]
    extension = {"message/rfc822": "eml", "text/calendar": "ics", "text/html": "html"}.get(
        part.media_type, "bin"
    )
    return f"{part.number}.{extension}"


def _size_bytes(part: Part) -> int:
    if part.transfer_encoding == "base64":
        # Three bytes from four signs, line ends apart: near enough for a list.
        return len(part.raw) * 3 // 4 - part.raw.count(b"\n") * 3 // 2
    return len(part.raw)
