"""Runs in private encodings made Unicode: what changes where, and what a person should look at."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from mailgov.content.encodings import cp1252_view, decoders, to_unicode
from mailgov.content.evidence import is_plain, is_suspect
from mailgov.content.fonts import font_family
from mailgov.content.legacy_text import Stretch, assess, stretches
from mailgov.content.runs import Run
from mailgov.content.vietnamese import is_marked_syllable, marked_words, without_marks
from mailgov_policies.facts import Encoding

MAX_LISTED = 2_000  # changes and doubts that are shown; all are counted
_SHOWN_LETTERS = 200
_ODD_SHARE = 0.1  # of the words with diacritics in a converted line that are no syllables

_UNICODE_FONTS = (
    (re.compile("arial|helve|avant|swiss|univers", re.IGNORECASE), "Arial"),
    (re.compile("courier", re.IGNORECASE), "Courier New"),
)
_USUAL_FONT = "Times New Roman"  # Decree 30/2020/NĐ-CP, annex I, part 1, I.1

Outcome = Literal["converted", "unicode", "refused"]
Why = Literal["odd-words", "few-words", "not-converted", "shared"]


class Change(NamedTuple):
    """A line that was converted, or a font that was replaced."""

    place: str
    before: str
    after: str


class Doubt(NamedTuple):
    """A place that a person should look at.

    `odd-words`: words came out that are no Vietnamese; `few-words`: too few to be sure of the
    encoding; `not-converted`: set in a private font, or still looking like a private encoding, and
    left as it is; `shared`: one stored text is used in two fonts that ask for different letters.
    """

    place: str
    why: Why
    text: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a file. `data` is the new file, empty unless `converted`.

    `why` says why it was `refused`: `signed` (a change would break the signature), `kind` (no file
    that is converted here). The counts are those of all changes and doubts; the lists may be cut.
    """

    outcome: Outcome
    data: bytes = b""
    why: str = ""
    encodings: tuple[Encoding, ...] = ()
    changes: tuple[Change, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    changed: int = 0
    doubtful: int = 0


@dataclass(slots=True)
class Log:
    """Changes and doubts as they are found."""

    encodings: dict[Encoding, None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    changed: int = 0
    doubtful: int = 0

    def change(self, place: str, before: str, after: str) -> None:
        """Note a change."""
        self.changed += 1
        if len(self.changes) < MAX_LISTED:
            self.changes.append(Change(place, _shown(before), _shown(after)))

    def doubt(self, place: str, why: Why, text: str) -> None:
        """Note a doubtful place."""
        self.doubtful += 1
        if len(self.doubts) < MAX_LISTED:
            self.doubts.append(Doubt(place, why, _shown(text)))

    def add(self, other: Conversion, prefix: str) -> None:
        """Take over what was found in a file within this one."""
        self.encodings |= dict.fromkeys(other.encodings)
        room = MAX_LISTED - len(self.changes)
        self.changes += [c._replace(place=f"{prefix} {c.place}") for c in other.changes[:room]]
        room = MAX_LISTED - len(self.doubts)
        self.doubts += [d._replace(place=f"{prefix} {d.place}") for d in other.doubts[:room]]
        self.changed += other.changed
        self.doubtful += other.doubtful

    def conversion(self, data: bytes) -> Conversion:
        """The file as it is now; nothing to do where nothing was converted."""
        return Conversion(
            "converted" if self.changed else "unicode",
            data if self.changed else b"",
            encodings=tuple(self.encodings),
            changes=tuple(self.changes),
            doubts=tuple(self.doubts),
            changed=self.changed,
            doubtful=self.doubtful,
        )


def _shown(text: str) -> str:
    return text.strip()[:_SHOWN_LETTERS]


def convert_runs(runs: Sequence[Run], log: Log, given: Encoding | None = None) -> list[str]:
    """The text of each run, converted where it is in a private encoding, else exactly as it was.

    `given` is the encoding of everything that is neither ASCII nor Vietnamese as it stands; None
    finds it out.
    """
    pieces = stretches(runs, given)
    proven: set[Encoding | None] = {piece.encoding for piece in pieces if piece.encoding}
    unsure = set() if given else {text.encoding for text in assess(runs) if not text.certain}
    texts: list[list[str]] = [[] for _ in runs]
    for _, group in groupby(pieces, key=lambda piece: piece.line):
        line = _by_font(list(group), runs, proven)
        converted = _converted(line, runs)
        _note(line, converted, runs, unsure, log)
        for piece, text in zip(line, converted, strict=True):
            texts[piece.run].append(text)
    log.encodings |= dict.fromkeys(e for e in decoders() if e in proven)
    return ["\n".join(lines) for lines in texts]


def _by_font(
    line: list[Stretch], runs: Sequence[Run], proven: set[Encoding | None]
) -> list[Stretch]:
    """Plain text in a font of a proven encoding follows its font: small letters may be capitals."""

    def followed(piece: Stretch) -> Stretch:
        family = font_family(runs[piece.run].font)
        if piece.encoding is None and family.encoding in proven and is_plain(piece.text):
            return piece._replace(encoding=family.encoding)
        return piece

    return [followed(piece) for piece in line]


def _converted(line: Sequence[Stretch], runs: Sequence[Run]) -> list[str]:
    """The pieces of a line converted, neighbours of one encoding and case together."""

    def way(piece: Stretch) -> tuple[Encoding | None, bool]:
        family = font_family(runs[piece.run].font)
        return piece.encoding, family.capitals and piece.encoding == family.encoding

    texts: list[str] = []
    for (encoding, capitals), group in groupby(line, key=way):
        pieces = [piece.text for piece in group]
        texts += _decoded(pieces, encoding, capitals=capitals) if encoding else pieces
    return texts


def _decoded(pieces: list[str], encoding: Encoding, *, capitals: bool) -> list[str]:
    """Pieces of one line converted as one text: a letter and its mark may stand in two of them."""
    whole = to_unicode("".join(pieces), encoding, capitals_font=capitals)
    lengths = [len(text) for text in _plainly_decoded(_whole_letters(pieces, encoding), encoding)]
    if sum(lengths) != len(whole):
        return [to_unicode(piece, encoding, capitals_font=capitals) for piece in pieces]
    texts, start = [], 0
    for length in lengths:
        texts.append(whole[start : start + length])
        start += length
    return texts


def _plainly_decoded(pieces: Sequence[str], encoding: Encoding) -> Iterator[str]:
    decode = decoders()[encoding]
    for piece in pieces:
        yield unicodedata.normalize("NFC", decode(cp1252_view(piece)))


def _whole_letters(pieces: Sequence[str], encoding: Encoding) -> list[str]:
    """The pieces, marks moved to the piece of their letter."""
    moved = list(pieces)
    for index in range(len(moved) - 1):
        for _ in range(2):  # two marks at most
            tail, head = moved[index][-2:], moved[index + 1][:1]
            joined, *apart = _plainly_decoded([tail + head, tail, head], encoding)
            if not head or joined == "".join(apart):
                break
            moved[index] += head
            moved[index + 1] = moved[index + 1][1:]
    return moved


def _is_short_form(word: str) -> bool:
    """QĐ, NĐ, HĐND: no vowel."""
    return word.isupper() and not set(without_marks(word)) & set("AEIOUY")


def _note(
    line: Sequence[Stretch],
    converted: Sequence[str],
    runs: Sequence[Run],
    unsure: set[Encoding],
    log: Log,
) -> None:
    """Write down what became of a line."""
    place = runs[line[0].run].place
    before, after = "".join(piece.text for piece in line), "".join(converted)
    left = "".join(piece.text for piece in line if piece.encoding is None)
    if before != after:
        log.change(place, before, after)
        words = marked_words(after)
        odd = [word for word in words if not (is_marked_syllable(word) or _is_short_form(word))]
        if odd and len(odd) > _ODD_SHARE * len(words):
            log.doubt(place, "odd-words", " ".join(odd))
        elif any(piece.encoding in unsure for piece in line):
            log.doubt(place, "few-words", after)
    in_private_font = any(
        piece.encoding is None and font_family(runs[piece.run].font).encoding for piece in line
    )
    if in_private_font and not is_plain(left) and is_suspect(left):
        log.doubt(place, "not-converted", left)


def unicode_font(font: str, encodings: Collection[Encoding]) -> str:
    """The Unicode font for one of a converted encoding; empty for any other."""
    theirs = font_family(font).encoding
    related = {"tcvn3", "tcvn5712-vn1"}
    if theirs is None or not (
        theirs in encodings or (theirs in related and related & {*encodings})
    ):
        return ""
    return next((name for pattern, name in _UNICODE_FONTS if pattern.search(font)), _USUAL_FONT)
