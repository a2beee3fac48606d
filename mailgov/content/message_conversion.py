"""Message files converted to Unicode: subject, names, text and the files that are converted alone.

The new message is another one than was sent: signatures of the way it came (DKIM, ARC) would be
wrong and are left out. Signed content is refused as a whole.
"""

import base64
import email
import html
import re
from collections.abc import Callable, Iterator
from email.header import Header
from email.message import Message
from email.policy import compat32
from email.utils import formataddr

from mailgov.content.charsets import decode
from mailgov.content.conversion import Conversion, Log, convert_runs, unicode_font
from mailgov.content.fields import Fields, split_fields
from mailgov.content.mailboxes import read_mailboxes
from mailgov.content.runs import Run, Unreadable
from mailgov_policies.facts import Encoding

Convert = Callable[[bytes, str, Encoding | None], Conversion]

_MAX_PARTS = 1000
_SIGNED = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
_NAMED = ("From", "Sender", "Reply-To", "To", "Cc")
_OF_THE_WAY = (
    "DKIM-Signature",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "DomainKey-Signature",
)
_TOKEN = re.compile(
    r"<!--.*?-->|<(?P<raw>script|style)\b.*?</(?P=raw)\s*>|<[^>]*>|[^<]+|<",
    re.DOTALL | re.IGNORECASE,
)
_LINE_END = re.compile(
    r"</?(?:br|p|div|li|tr|td|th|table|h[1-6]|blockquote|title|pre)\b", re.IGNORECASE
)
_FONT = re.compile(r"""(?:\bface\s*=\s*["']?|font-family\s*:\s*["']?)([^"';,>]+)""", re.IGNORECASE)
_CHARSET = re.compile(r"(?i)(charset\s*=\s*[\"']?)[\w.-]+")


def convert_message(data: bytes, given: Encoding | None, convert: Convert) -> Conversion:
    """A message in Unicode. `convert` does so for files. Raises Unreadable."""
    message = email.message_from_bytes(data, policy=compat32)
    parts = list(message.walk())
    if len(parts) > _MAX_PARTS:
        raise Unreadable("too many parts", "bomb")
    if any(part.get_content_type() in _SIGNED for part in parts):
        return Conversion("refused", why="signed")
    log = Log()
    line_end = b"\r\n" if b"\r\n" in data else b"\n"
    head = data.partition(line_end * 2)[0]
    _convert_fields(message, split_fields(head), log, given)
    leaves = [part for part in parts if not part.is_multipart()]
    for number, part in enumerate(leaves, start=1):
        if _is_body(part):
            _convert_body(part, "body" if number == 1 else f"part {number}", log, given)
        else:
            _convert_file(part, f"part {number}", log, given, convert)
    if log.changed:
        for name in _OF_THE_WAY:
            del message[name]
    policy = compat32.clone(linesep=line_end.decode(), max_line_length=0)
    return log.conversion(message.as_bytes(policy=policy))


def _is_body(part: "Message") -> bool:
    return (
        part.get_content_type() in ("text/plain", "text/html")
        and part.get_filename() is None
        and part.get_content_disposition() != "attachment"
    )


def _convert_fields(message: "Message", fields: Fields, log: Log, given: Encoding | None) -> None:
    """The subject, and names of people; other fields hold no words of theirs."""
    subject = fields.text("subject")
    (converted,) = convert_runs([Run(subject, "subject")], log, given)
    if converted != subject:
        message.replace_header("Subject", Header(converted, "utf-8").encode())
    for name in _NAMED:
        value = fields.get(name.lower())
        people = read_mailboxes(value).people if value else ()
        runs = [Run(person.name, f"header {name}") for person in people]
        names = convert_runs(runs, log, given)
        if names != [run.text for run in runs]:
            pairs = zip(names, people, strict=True)
            listed = ", ".join(formataddr((new, person.address)) for new, person in pairs)
            message.replace_header(name, listed)


def _convert_body(part: "Message", place: str, log: Log, given: Encoding | None) -> None:
    text = decode(_content(part), part.get_content_charset("") or "")
    if part.get_content_type() == "text/html":
        converted = _converted_html(text, place, log, given)
    else:
        lines = text.split("\n")
        runs = [Run(line, f"{place} line {number}") for number, line in enumerate(lines, start=1)]
        converted = "\n".join(convert_runs(runs, log, given))
    if converted != text:
        _put(part, converted.encode())
        part.set_param("charset", "utf-8")


def _converted_html(text: str, place: str, log: Log, given: Encoding | None) -> str:
    """Text between tags, each stretch in its font; tags change in font names and charset only."""
    tokens = [match[0] for match in _TOKEN.finditer(text)]
    runs = list(_html_runs(tokens, place))
    converted = convert_runs(runs, log, given)
    if all(run.text == new for run, new in zip(runs, converted, strict=True)):
        return text
    result = []
    for token, run, new in zip(tokens, runs, converted, strict=True):
        if not token.startswith("<"):
            result.append(token if new == run.text else html.escape(new, quote=False))
        elif token[:5].lower() == "<meta":
            result.append(_CHARSET.sub(r"\g<1>utf-8", token))
        else:
            result.append(_FONT.sub(lambda found: _with_unicode_font(found, log), token))
    return "".join(result)


def _with_unicode_font(found: re.Match[str], log: Log) -> str:
    font = found[1].strip()
    return found[0].replace(font, unicode_font(font, log.encodings) or font)


def _html_runs(tokens: list[str], place: str) -> Iterator[Run]:
    """A run for each token: tags that end a line are line ends, others are empty."""
    fonts: list[str] = []
    for token in tokens:
        if not token.startswith("<"):
            yield Run(html.unescape(token), place, fonts[-1] if fonts else "")
            continue
        name = token[1:6].lower()
        if name.startswith(("font", "span")):
            own = _FONT.search(token)
            fonts.append(own[1].strip() if own else fonts[-1] if fonts else "")
        elif name.startswith(("/font", "/span")) and fonts:
            fonts.pop()
        yield Run("\n" if _LINE_END.match(token) else "", place, fonts[-1] if fonts else "")


def _convert_file(
    part: "Message", place: str, log: Log, given: Encoding | None, convert: Convert
) -> None:
    name = part.get_filename() or ""
    try:
        conversion = convert(_content(part), name, given)
    except Unreadable as exc:
        log.doubt(f"{place} {name}".strip(), "not-converted", str(exc.args[0]))
        return
    if conversion.outcome == "converted":
        _put(part, conversion.data)
        log.add(conversion, place)
    elif conversion.why == "signed":
        log.doubt(f"{place} {name}".strip(), "not-converted", "signed")
    (unicode_name,) = convert_runs([Run(name, f"file name {place}")], log, given)
    if unicode_name != name and part.get_param("filename", header="content-disposition"):
        part.set_param("filename", unicode_name, "Content-Disposition", charset="utf-8")


def _content(part: "Message") -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _put(part: "Message", content: bytes) -> None:
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64.encodebytes(content).decode("ascii"))
