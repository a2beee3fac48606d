"""Text in private Vietnamese encodings: recognised by its syllables, converted to Unicode.

Such text reaches us as characters of Windows code page 1252, one for each byte (`as_cp1252`). A
candidate encoding is accepted when the decoded words are Vietnamese syllables and the undecoded ones
are not; letter frequencies and font names mislead, fonts only choose between candidates and tell
capitals. Required is Unicode, TCVN 6909:2001 (Decision 72/2002/QĐ-TTg, Circular 39/2017/TT-BTTTT,
Decree 30/2020/NĐ-CP).

It is decided per line of a paragraph and font family, since real files mix encodings; lines too short to
convict alone are then taken together over the file.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

from mailgov.content.encodings import as_cp1252, to_unicode
from mailgov.content.evidence import UNWEIGHED, Tally, chunks_of, is_plain, is_suspect, tally
from mailgov.content.fonts import font_family
from mailgov.content.runs import Run
from mailgov_policies.facts import Encoding, Text

__all__ = [
    "Reading",
    "as_cp1252",
    "assess",
    "convert",
    "encoding_of",
    "read",
    "stretches",
    "to_unicode",
]

# Thresholds: measured on 21.5 million words of legislation and on strings of other languages.
_MIN_WORDS = 3  # below, nothing is said: with 2 a Norwegian string was accused
_MIN_SHARE = 0.90  # of the decoded words that are valid syllables
_MIN_POSSIBLE_SHARE = 0.75
_MIN_GAIN = 0.25  # over the share of the undecoded words
_CERTAIN_WORDS = 8
_CERTAIN_DISTINCT = 4  # changed by decoding: a table of µm is one word many times, not a text
_EVIDENCE_LETTERS = 120
_RELATIVES: tuple[Encoding, ...] = ("tcvn3", "tcvn5712-vn1")

_BEYOND_CP1252 = re.compile(
    "[\u0102\u0103\u0110\u0111\u0128\u0129\u0168\u0169\u01a0\u01a1\u01af\u01b0\u1ea0-\u1ef9]"
)


@dataclass(slots=True)
class _Line:
    """A line of a paragraph, as far as its fonts were made for one encoding."""

    number: int  # in the order of all lines
    place: str
    font: str
    hint: Encoding | None  # by the font
    text: str
    pieces: list[tuple[int, str]]  # the same by run: its index, what the line has of it
    tally: Tally = UNWEIGHED
    encoding: Encoding | None = None  # the verdict

    @property
    def viqr(self) -> bool:
        """Whether VIQR, and nothing else, is a candidate."""
        return is_plain(self.text)

    def weigh(self) -> None:
        """Count its words."""
        self.tally = tally(chunks_of(self.text), viqr=self.viqr)


def _lines(runs: Iterable[Run]) -> Iterator[_Line]:
    """Lines in order; a line ends with its paragraph, at a line end, and where the font family changes."""
    line: _Line | None = None
    count = 0
    for index, run in enumerate(runs):
        hint = font_family(run.font).encoding
        for number, piece in enumerate(run.text.split("\n")):
            if line and not number and line.place == run.place and line.hint == hint:
                line.text += piece
                line.pieces.append((index, piece))
                continue
            if line:
                yield line
            line = _Line(count, run.place, run.font, hint, piece, [(index, piece)])
            count += 1
    if line:
        yield line


def _judge(lines: Sequence[_Line]) -> None:
    """Give suspect lines their verdicts, as far as they can have one."""
    convicted: dict[Encoding, list[_Line]] = defaultdict(list)
    undecided = []
    for line in lines:
        line.weigh()
        line.encoding = _convicted(line)
        if line.encoding:
            convicted[line.encoding].append(line)
        else:
            undecided.append(line)
    if undecided:
        _judge_together(undecided, convicted)
    _settle_relatives(lines)


def _settle_relatives(lines: Sequence[_Line]) -> None:
    """One of TCVN3 and VN1 for the whole file: they differ in toned capitals only, which are few."""
    theirs = [line for line in lines if line.encoding in _RELATIVES]
    if len({line.encoding for line in theirs}) > 1:
        best = max(_RELATIVES, key=lambda e: sum(line.tally.of(e).score for line in theirs))
        for line in theirs:
            line.encoding = best


def _convicted(line: _Line) -> Encoding | None:
    """The encoding that the line alone proves, if any; none where another fits as well."""
    proven = [
        encoding for encoding in line.tally.decoded if _proves(line.tally, encoding, _MIN_SHARE)
    ]
    if not proven or line.hint in proven:
        return line.hint if proven else None
    best = max(proven, key=lambda encoding: line.tally.decoded[encoding].score)
    rivals = (encoding for encoding in _fitting(line) if encoding not in proven)
    score = line.tally.decoded[best].score
    return None if any(line.tally.decoded[rival].score >= score for rival in rivals) else best


def _proves(evidence: Tally, encoding: Encoding, share: float) -> bool:
    """Whether words are so much more Vietnamese in this encoding that it is no accident.

    Vietnamese has a diacritic in 85 of a hundred words, so foreign words are not in the majority.
    """
    decoded = evidence.of(encoding)
    return (
        decoded.changed >= _MIN_WORDS
        and decoded.valid >= share * decoded.words
        and decoded.share - evidence.raw.share >= _MIN_GAIN
        and decoded.valid >= evidence.foreign
    )


def _together(lines: Iterable[_Line], *, viqr: bool) -> Tally:
    """The tally of different words of lines: a quotation mark that makes a word of one letter is none."""
    chunks = set(chain.from_iterable(chunks_of(line.text) for line in lines if line.viqr == viqr))
    return tally(chunks, viqr=viqr)


def _different_words(lines: Iterable[_Line], encoding: Encoding, enough: int) -> int:
    """Different words that decoding makes Vietnamese; counting ends when there are enough."""
    seen: set[str] = set()
    words = 0
    for line in lines:
        fresh = set(chunks_of(line.text)) - seen
        words += tally(fresh, viqr=encoding == "viqr").of(encoding).changed
        if words >= enough:
            break
        seen |= fresh
    return words


def _judge_together(undecided: list[_Line], convicted: dict[Encoding, list[_Line]]) -> None:
    """Decide lines that prove nothing alone, by what they say together and what others proved.

    Lines that fit no encoding speak against each, unless it is proven by many words; else picking
    the lines that happen to fit would convict any long foreign text. A lower share is possible, where
    the words are many and nothing else is proven.
    """
    proven = {
        encoding
        for encoding, lines in convicted.items()
        if _different_words(lines, encoding, _CERTAIN_WORDS) >= _CERTAIN_WORDS
    }
    groups, misfits = _grouped(undecided, proven)
    for encoding, group in groups.items():
        if encoding not in proven:
            everything = (*group, *convicted.get(encoding, ()), *misfits)
            evidence = _together(everything, viqr=encoding == "viqr")
            many = not proven and evidence.of(encoding).words >= _CERTAIN_WORDS
            if not _proves(evidence, encoding, _MIN_POSSIBLE_SHARE if many else _MIN_SHARE):
                continue
        for line in group:
            line.encoding = encoding


def _grouped(
    lines: list[_Line], proven: set[Encoding]
) -> tuple[dict[Encoding, list[_Line]], list[_Line]]:
    """Lines by the encoding that fits best, and those that none fits.

    Among equals the font chooses, then what is proven, then what fits most lines.
    """
    fitting = [(line, _fitting(line)) for line in lines]
    weight: dict[Encoding, int] = defaultdict(int)
    for line, encodings in fitting:
        for encoding in encodings:
            weight[encoding] += line.tally.of(encoding).valid
    groups: dict[Encoding, list[_Line]] = defaultdict(list)
    misfits = []
    for line, encodings in fitting:
        if encodings:
            best = max(encodings, key=lambda e: (e == line.hint, e in proven, weight[e]))
            groups[best].append(line)
        else:
            misfits.append(line)
    return groups, misfits


def _fitting(line: _Line) -> list[Encoding]:
    """Encodings that make the line more Vietnamese than it is: the best ones, and that of its font."""
    better = {
        encoding: count.score
        for encoding, count in line.tally.decoded.items()
        if count.score > line.tally.raw.score and count.share >= _MIN_POSSIBLE_SHARE
    }
    best = max(better.values(), default=0)
    return [
        encoding for encoding, score in better.items() if score == best or encoding == line.hint
    ]


class Reading(NamedTuple):
    """What one file or field holds in private encodings, and all of it in Unicode."""

    texts: tuple[Text, ...]
    runs: tuple[Run, ...]


def read(runs: Sequence[Run]) -> Reading:
    """`assess` and `convert` in one, at little more than the cost of the first."""
    suspects = _judged(runs)
    return Reading(_facts(suspects, runs), _converted(suspects, runs))


def assess(runs: Sequence[Run]) -> tuple[Text, ...]:
    """What one file or field holds in private encodings: one fact for each encoding, commonest first.

    `runs` belong together: those of one file, or of subject or body; short ones of one encoding add
    up. Place and evidence are those of the first line that is proof by itself, else of the longest.
    Below eight words, or where fewer than nine of ten are valid, it is only possible (`certain` False);
    below three words nothing is said. Unicode, decomposed or not, is no finding.
    """
    return _facts(_judged(runs), runs)


def convert(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs in Unicode NFC: each line by its own encoding, capitals of capitals fonts restored.

    Words too few to judge follow their font or, in a file that holds one private encoding and no
    Unicode, the file. Places and fonts stay, and each run becomes one run.
    """
    return _converted(_judged(runs), runs)


class Stretch(NamedTuple):
    """What one line has of one run, and how it is to be read."""

    line: int  # lines count from 0
    run: int  # index
    text: str
    encoding: Encoding | None  # None: as it stands


def stretches(runs: Sequence[Run], given: Encoding | None = None) -> tuple[Stretch, ...]:
    """How `convert` reads each run, line by line.

    With an encoding `given`, it holds for every line that is neither ASCII nor Vietnamese as it
    stands, instead of what the words say.
    """
    lines: Iterable[_Line]
    if given:
        lines = list(_lines(runs))
        for line in lines:
            open_to_it = is_suspect(line.text) and not _BEYOND_CP1252.search(line.text)
            line.encoding = given if open_to_it and line.viqr == (given == "viqr") else None
    else:
        verdicts = {line.number: line.encoding for line in _judged(runs) if line.encoding}
        lines = _followed(verdicts, runs) if verdicts else _lines(runs)
    return tuple(
        Stretch(line.number, index, text, line.encoding)
        for line in lines
        for index, text in line.pieces
    )


def _judged(runs: Sequence[Run]) -> list[_Line]:
    """The lines that are suspect, with their verdicts."""
    suspects = [line for line in _lines(runs) if is_suspect(line.text)]
    _judge(suspects)
    return suspects


def _facts(suspects: list[_Line], runs: Sequence[Run]) -> tuple[Text, ...]:
    by_encoding: dict[Encoding, list[_Line]] = defaultdict(list)
    for line in suspects:
        if line.encoding:
            by_encoding[line.encoding].append(line)
    texts = [_fact(encoding, lines, runs) for encoding, lines in by_encoding.items()]
    found = [text for text in texts if text is not None]
    return tuple(sorted(found, key=lambda text: -text.words))


def _fact(encoding: Encoding, lines: list[_Line], runs: Sequence[Run]) -> Text | None:
    counts = [line.tally.of(encoding) for line in lines]
    words, valid, _ = map(sum, zip(*counts, strict=True))
    distinct = _different_words(lines, encoding, _CERTAIN_DISTINCT)
    if distinct < _MIN_WORDS:
        return None
    share = valid / words
    proof = next((line for line in lines if _convicted(line)), None)
    shown = proof or max(lines, key=lambda line: line.tally.of(encoding).valid)
    converted = "".join(
        to_unicode(piece, encoding, capitals_font=font_family(runs[index].font).capitals)
        for index, piece in shown.pieces
    )
    return Text(
        place=shown.place,
        encoding=encoding,
        words=words,
        share=round(share, 3),
        certain=words >= _CERTAIN_WORDS and share >= _MIN_SHARE and distinct >= _CERTAIN_DISTINCT,
        as_read=shown.text.strip()[:_EVIDENCE_LETTERS],
        converted=converted.strip()[:_EVIDENCE_LETTERS],
        font=shown.font,
    )


def _converted(suspects: list[_Line], runs: Sequence[Run]) -> tuple[Run, ...]:
    verdicts = {line.number: line.encoding for line in suspects if line.encoding}
    if not verdicts:
        return tuple(replace(run, text=unicodedata.normalize("NFC", run.text)) for run in runs)
    pieces: list[list[str]] = [[] for _ in runs]
    for line in _followed(verdicts, runs):
        for index, piece in line.pieces:
            family = font_family(runs[index].font)
            pieces[index].append(
                to_unicode(
                    piece,
                    line.encoding or "unicode",
                    capitals_font=family.capitals and line.encoding == family.encoding,
                )
            )
    return tuple(
        replace(run, text="\n".join(texts)) for run, texts in zip(runs, pieces, strict=True)
    )


def _followed(verdicts: dict[int, Encoding], runs: Sequence[Run]) -> Iterator[_Line]:
    """All lines; the undecided ones have the encoding of their font, of the file, or of the line before.

    A proven encoding holds for all that is set in its fonts and is not Vietnamese as it stands; that
    of the whole file for lines that could be read either way; that of the line before only where it
    makes the text more Vietnamese, as in damaged passages.
    """
    proven = set(verdicts.values())
    unicode_too = any(
        line.number not in verdicts and _BEYOND_CP1252.search(line.text) for line in _lines(runs)
    )
    sole = next(iter(proven)) if len(proven) == 1 and not unicode_too else None
    before: Encoding | None = None
    for line in _lines(runs):
        line.encoding = verdicts.get(line.number)
        before = line.encoding or before
        leader = (line.hint if line.hint in proven else sole) or before
        if line.encoding is None and leader and line.viqr == (leader == "viqr"):
            line.weigh()
            decoded, raw = line.tally.of(leader), line.tally.raw
            if (
                (leader == line.hint and decoded.valid >= raw.valid)
                or (leader == sole and decoded.words and decoded.share >= _MIN_SHARE)
                or decoded.score > raw.score
            ):
                line.encoding = leader
        yield line


def encoding_of(text: str, font: str = "") -> Encoding:
    """The encoding of a short text by itself: a private one when it may be so, else Unicode."""
    found = assess((Run(text, font=font),))
    if found:
        return found[0].encoding
    return "unicode" if unicodedata.is_normalized("NFC", text) else "unicode-nfd"
