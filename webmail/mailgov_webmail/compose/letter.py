"""What a writer fills in, read once from the form and clean from there on."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from typing import Any

from mailgov_policies.document_types import document_types, email_categories
from mailgov_webmail.people import Typed, read_typed

MAX_LINE = 4000  # letters of one-line fields
MAX_RECIPIENT_TEXT = 60_000  # letters of one box of recipients
MAX_REASON = 500

URGENCIES = ("khan", "thuong-khan", "hoa-toc")  # Decree 30/2020, Annex I; empty: ordinary
PAPER = ("yes", "no")

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BODY_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Letter:
    """The fields of the compose page. `document` is the id of a type or category, or empty."""

    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    body: str = ""
    document: str = ""
    symbol: str = ""  # number and notation, as written: 45/BC-STC
    urgency: str = ""
    due: str = ""  # ISO 8601 day
    paper: str = ""  # whether the document goes out on paper too
    reason: str = ""  # why it is sent in spite of a warning
    source: str = ""  # the message answered or handed on: `reply inbox/1.2`
    in_reply_to: str = ""
    references: str = ""

    @classmethod
    def from_form(cls, text: Callable[[str], str]) -> "Letter":
        """Read from a form. Lines lose control characters; unknown choices become none."""
        body = text("body").replace("\r\n", "\n").replace("\r", "\n")
        return cls(
            sender=_line(text("from")),
            to=_people(text("to")),
            cc=_people(text("cc")),
            bcc=_people(text("bcc")),
            subject=_line(text("subject")),
            body=_BODY_CONTROLS.sub("", body),
            document=known_document(text("document")),
            symbol=_line(text("symbol"))[:80],
            urgency=text("urgency") if text("urgency") in URGENCIES else "",
            due=_day(text("due")),
            paper=text("paper") if text("paper") in PAPER else "",
            reason=_line(text("reason"))[:MAX_REASON],
            source=_line(text("source"))[:500],
            in_reply_to=_line(text("in_reply_to"))[:1000],
            references=_line(text("references")),
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Letter":
        """Read from a stored draft; fields that it does not have are empty."""
        return cls(**{field.name: str(row.get(field.name, "")) for field in fields(cls)})

    def row(self) -> dict[str, str]:
        """For storing."""
        return asdict(self)

    def recipients(self) -> dict[str, Typed]:
        """What the boxes hold, by box."""
        return {name: read_typed(getattr(self, name)) for name in ("to", "cc", "bcc")}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet that would be missed."""
        return not any((self.to, self.cc, self.bcc, self.subject, self.body.strip()))

    def normal(self) -> "Letter":
        """The letter as it is sent: composed letters (TCVN 6909:2001), no document fields on ordinary mail."""
        letter = replace(
            self,
            subject=unicodedata.normalize("NFC", self.subject),
            body=unicodedata.normalize("NFC", self.body),
            symbol=unicodedata.normalize("NFC", self.symbol),
        )
        return (
            letter if letter.document else replace(letter, symbol="", urgency="", due="", paper="")
        )


def known_document(text: str) -> str:
    """The id of a document type or e-mail category; empty when it is neither."""
    return text if text in document_types() or text in email_categories() else ""


def _line(text: str, most: int = MAX_LINE) -> str:
    # RFC 5322, 2.2: a header field is one line; what could end it early never gets in.
    return _CONTROLS.sub(" ", text).strip()[:most]


def _people(text: str) -> str:
    # A pasted list has one recipient on each line.
    return _line(", ".join(filter(None, map(str.strip, text.splitlines()))), MAX_RECIPIENT_TEXT)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""
