"""Text in private Vietnamese encodings: recognised by its syllables, converted to Unicode.

Such text reaches us as characters of Windows code page 1252, one for each byte (`as_cp1252`). A
candidate encoding is accepted when the decoded words are Vietnamese syllables and the undecoded ones
are not; letter frequencies and font names mislead, fonts only choose between candidates and tell
capitals. Required is Unicode, TCVN 6909:2001 (Decision 72/2002/QĐ-TTg, Circular 39/2017/TT-BTTTT,
Decree 30/2020/NĐ-CP).

Decided is per line of a paragraph and font family, since real files mix encodings; lines too short to
convict alone are then summed over the file.
"""

import codecs
import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailgov.content.runs import Run
from mailgov.content.vietnamese import is_marked_syllable, marked_syllables, table_rows
from mailgov_policies.facts import Encoding, Text

# Thresholds: measured on 21.5 million words of legislation and 19,000 foreign strings.
_MIN_WORDS = 3  # below, nothing is said: with 2 a Norwegian string was accused
_MIN_SHARE = 0.90  # of the decoded words that are valid syllables
_MIN_POSSIBLE_SHARE = 0.75
_MIN_GAIN = 0.25  # over the share of the undecoded words
_CERTAIN_WORDS = 8
_CERTAIN_DISTINCT = 4  # changed by decoding: a table of µm is one word many times, not a text
_EVIDENCE_LETTERS = 120

_CANDIDATES: tuple[Encoding, ...] = (
    "tcvn3",
    "vni-win",
    "viscii",
    "vps",
    "cp1258",
    "utf8-as-cp1252",
    "tcvn5712-vn1",
)

_UNDEFINED_1252 = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_CP1252 = "".join(
    chr(byte) if byte in _UNDEFINED_1252 else bytes([byte]).decode("cp1252") for byte in range(256)
)
_BYTE_OF = {character: byte for byte, character in enumerate(_CP1252)} | {
    chr(byte): byte for byte in range(0x80, 0xA0)
}
# Symbol fonts put their codes into the private use area, and readers of ISO 8859-1 give C1 controls.
_TO_CP1252 = {byte: _CP1252[byte] for byte in range(0x80, 0xA0)} | {
    0xF000 + byte: _CP1252[byte] for byte in range(0x20, 0x100)
}
_OUTSIDE_CP1252 = re.compile("[\x80-\x9f\uf020-\uf0ff]")

# PDF text layers give these for TCVN3 bytes: minus, and non-character at a line end, for AD; bullet
# operator for B7; Greek mu for B5.
_TCVN3_SUBSTITUTES = {"\u2212": "ư", "\ufffe": "ư", "\u2219": "ã", "\u03bc": "à"}

_VNI_TONES = {"ù": "\u0301", "ø": "\u0300", "û": "\u0309", "õ": "\u0303", "ï": "\u0323"}

# What can stand inside a word in some encoding: letters, all but ASCII, and C0 codes. Bounded, so that
# a word is cheap and hostile text without spaces stays linear.
_CHUNK = re.compile("[^\0\x07-\x0d\x20-\x40\x5b-\x60\x7b-\x7f]{1,32}")
_VIQR_CHUNK = re.compile(r"[A-Za-z'`?~.^(+*\\-]{1,32}")
_VIQR_HAT = re.compile(r"[aeoAEO]\^|[aA]\(|[oOuU]\+|dd|DD|Dd")
# For a first look at text that is most likely Unicode: typographic signs divide words, too.
_RAW_WORD = re.compile("[^\0\x07-\x0d\x20-\x40\x5b-\x60\x7b-\x7f\xa0“”‘’–—…•]+")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_CASE_JUMP = re.compile("[a-zà-öø-ÿ\u0103\u0111\u0129\u0169\u01a1\u01b0][A-ZÀ-ÖØ-Þ]")
_CONSONANTS = re.compile("[B-DF-HJ-NP-TV-XZĐ]+")  # QĐ, NĐ, HĐND: abbreviations, no syllables
_BEYOND_CP1252 = re.compile(
    "[\u0102\u0103\u0110\u0111\u0128\u0129\u0168\u0169\u01a0\u01a1\u01af\u01b0\u1ea0-\u1ef9]"
)

_SUBSET_PREFIX = re.compile(r"^[A-Z]{6}\+")
_FONT_SUFFIX = re.compile(
    r"(?:,(?:Bold|Italic|BoldItalic)|(?:Bold|Italic)+|[ -](?:Tur|CE|Cyr|Greek|Baltic)|(?<=[A-Za-z])\d)$"
)


def as_cp1252(data: bytes) -> str:
    """Bytes as the characters that code page 1252 gives them; its five holes become C1 controls."""
    return codecs.charmap_decode(data, "strict", _CP1252)[0]


class FontFamily(NamedTuple):
    """What a font name says of the text set in it."""

    encoding: Encoding | None  # None: nothing, or an encoding that is not read here
    capitals: bool = False  # draws lower-case codes as capitals


@functools.lru_cache(maxsize=1024)
def font_family(font: str) -> FontFamily:
    """The encoding that a font was made for. Many files keep such names around Unicode text."""
    name = _SUBSET_PREFIX.sub("", font[:64].strip())
    while (bare := _FONT_SUFFIX.sub("", name)) != name:
        name = bare
    for pattern, encoding, capitals in _font_patterns():
        if pattern.search(name):
            return FontFamily(encoding, capitals)
    return FontFamily(None)


@functools.cache
def _font_patterns() -> tuple[tuple[re.Pattern[str], Encoding | None, bool], ...]:
    known: dict[str, Encoding] = {name: name for name in _decoders()}
    return tuple(
        (
            re.compile(pattern, re.IGNORECASE if "i" in flags else 0),
            known.get(encoding),
            capitals == "yes",
        )
        for _, pattern, flags, encoding, capitals, *_ in table_rows("fonts.tsv")
    )


# Decoders


@functools.cache
def _decoders() -> dict[Encoding, Callable[[str], str]]:
    """A function from code page 1252 characters to Unicode for each encoding, commonest first.

    The order decides between equals: VN1 holds all of TCVN3, so it only wins by its capitals.
    """
    return {
        "tcvn3": _single_byte("decode-tcvn3.tsv", _TCVN3_SUBSTITUTES),
        "vni-win": _vni(),
        "viscii": _single_byte("decode-viscii.tsv"),
        "vps": _single_byte("decode-vps.tsv"),
        "cp1258": _sequences(dict(_letters("decode-cp1258.tsv"))),
        "utf8-as-cp1252": _undo_double_utf8,
        "tcvn5712-vn1": _vn1(),
        "viqr": _viqr(),
    }


def _letters(table: str) -> Iterator[tuple[str, str]]:
    """Pairs of code page 1252 characters and the letter that their bytes mean."""
    for codes, _, _, letter, *_ in table_rows(table):
        yield as_cp1252(bytes.fromhex(codes)), letter


def _single_byte(table: str, more: dict[str, str] | None = None) -> Callable[[str], str]:
    mapping = str.maketrans({**dict(_letters(table)), **(more or {})})
    return lambda text: text.translate(mapping)


def _vn1() -> Callable[[str], str]:
    decode = _single_byte("decode-tcvn5712-vn1.tsv")
    return lambda text: unicodedata.normalize("NFC", decode(text))  # its tones may be combining


def _sequences(letters: dict[str, str]) -> Callable[[str], str]:
    """Longest match first; what is no sequence of the table stays."""
    alternatives = sorted(letters, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, alternatives)))
    return lambda text: pattern.sub(lambda match: letters[match.group()], text)


def _vni() -> Callable[[str], str]:
    """Base letter and mark; typists mix the case of marks, the base letter's counts.

    Some converters write base and mark where the encoding has one code: i and y with a tone.
    """
    letters = {
        base + mark: unicodedata.normalize("NFC", base + tone)
        for base in "iIyY"
        for mark, tone in _VNI_TONES.items()
    }
    for codes, letter in _letters("decode-vni-win.tsv"):
        letters[codes] = letter
    letters |= {
        codes[0] + codes[1].swapcase(): letter
        for codes, letter in letters.items()
        if len(codes) == 2
    }
    return _sequences(letters)


def _viqr() -> Callable[[str], str]:
    letters = {codes: letter for codes, _, letter in table_rows("viqr.tsv")}
    letters |= {codes.replace("+", "*"): letter for codes, letter in letters.items()}
    letters |= {"Dd": "Đ", "DD": "Đ"}
    letters |= {"\\" + sign: sign for sign in "'`?~.^(+*\\dD"}  # RFC 1456, 3.1.4: literal next sign
    return _sequences(letters)


_CONTINUATION = (
    "[" + re.escape("".join(c for c, byte in _BYTE_OF.items() if 0x80 <= byte < 0xC0)) + "]"
)
_DOUBLE_UTF8 = re.compile(
    f"[Â-ß]{_CONTINUATION}|[à-ï]{_CONTINUATION}{{2}}|[ð-ô]{_CONTINUATION}{{3}}|Ã "
)


def _undo_double_utf8(text: str) -> str:
    """UTF-8 that was read as code page 1252, once or twice over."""
    for _ in range(2):
        decoded = _DOUBLE_UTF8.sub(_from_utf8, text)
        if decoded == text:
            break
        text = decoded
    return text


def _from_utf8(match: re.Match[str]) -> str:
    characters = match.group()
    if characters == "Ã ":
        return "à"  # C3 A0, whose no-break space became a space on the way
    try:
        return bytes(_BYTE_OF[character] for character in characters).decode("utf-8")
    except UnicodeDecodeError:
        return characters


def to_unicode(text: str, encoding: Encoding, *, capitals_font: bool = False) -> str:
    """The text in Unicode NFC.

    `capitals_font` tells that its font draws lower-case codes as capitals. Characters that the
    encoding has no meaning for stay as they are.
    """
    decode = _decoders().get(encoding)
    if decode is None:
        return unicodedata.normalize("NFC", text)
    decoded = unicodedata.normalize("NFC", decode(_cp1252_view(text)))
    return decoded.upper() if capitals_font else decoded


def _cp1252_view(text: str) -> str:
    """The text with symbol font codes and C1 controls as code page 1252 characters."""
    return text.translate(_TO_CP1252) if _OUTSIDE_CP1252.search(text) else text


# Counting


class _Count(NamedTuple):
    """Words of two letters or more with one outside ASCII, after decoding."""

    words: int = 0
    valid: int = 0  # of these, Vietnamese syllables
    changed: int = 0  # of the valid ones, those that decoding changed

    @property
    def share(self) -> float:
        return self.valid / self.words if self.words else 0.0

    @property
    def score(self) -> int:
        """Valid words less the others: prefers much that fits well to little that fits wholly."""
        return 2 * self.valid - self.words


_NONE = _Count()


def _sum(counts: Iterable[_Count]) -> _Count:
    columns = list(zip(*counts, strict=True))
    return _Count(*map(sum, columns)) if columns else _NONE


@functools.lru_cache(maxsize=1 << 14)
def _profile(chunk: str) -> tuple[_Count, ...]:
    """Counts for one chunk: undecoded, then in each candidate but VIQR."""
    raw = _Count(*_count(chunk))
    counts = [raw]
    for encoding in _CANDIDATES:
        decoded = _decoders()[encoding](chunk)
        if decoded == chunk:
            counts.append(raw)
        else:
            words, valid = _count(decoded)
            counts.append(_Count(words, valid, valid))
    return tuple(counts)


def _count(text: str) -> tuple[int, int]:
    """Words with a letter outside ASCII, and how many of them are syllables."""
    words = valid = 0
    for word in _LETTERS.findall(text):
        if word.isascii():
            continue
        if is_marked_syllable(word) and not _CASE_JUMP.search(word):
            valid += 1
        elif _CONSONANTS.fullmatch(word):
            continue
        words += 1
    return words, valid


@dataclass(slots=True)
class _Line:
    """A line of a paragraph, as far as its fonts were made for one encoding."""

    place: str
    font: str
    hint: Encoding | None  # by the font
    text: str
    pieces: list[tuple[int, str]]  # the same by run: its index, what the line has of it
    raw: _Count = _NONE
    counts: dict[Encoding, _Count] = field(default_factory=dict)
    encoding: Encoding | None = None  # the verdict

    def weigh(self) -> None:
        """Fill in the counts."""
        if self.text.isascii():
            self.counts = {"viqr": _weigh_viqr(self.text)}
            return
        text = unicodedata.normalize("NFC", _cp1252_view(self.text))
        profiles = [_profile(chunk) for chunk in _CHUNK.findall(text) if not chunk.isascii()]
        if profiles:
            raw, *counts = map(_sum, zip(*profiles, strict=True))
            self.raw, self.counts = raw, dict(zip(_CANDIDATES, counts, strict=True))


def _weigh_viqr(text: str) -> _Count:
    """As `_profile`, but only words with a hat, horn or bar count as changed: ASCII is full of dots."""
    decode = _decoders()["viqr"]
    counts = []
    for chunk in _VIQR_CHUNK.findall(text):
        words, valid = _count(decode(chunk))
        counts.append(_Count(words, valid, valid if _VIQR_HAT.search(chunk) else 0))
    return _sum(counts)


def _lines(runs: Sequence[Run]) -> list[_Line]:
    """Lines in order; a line ends with its paragraph, at a line end, and where the font family changes."""
    lines: list[_Line] = []
    ended = True
    for index, run in enumerate(runs):
        hint = font_family(run.font).encoding
        for number, piece in enumerate(run.text.split("\n")):
            last = None if ended or number else lines[-1]
            if last is not None and last.place == run.place and last.hint == hint:
                last.text += piece
                last.pieces.append((index, piece))
            else:
                lines.append(_Line(run.place, run.font, hint, piece, [(index, piece)]))
            ended = False
    return lines


def _is_suspect(text: str) -> bool:
    """Whether the line has anything that is neither ASCII nor a Vietnamese word."""
    if text.isascii():
        return _VIQR_HAT.search(text) is not None
    known = marked_syllables()
    words = _RAW_WORD.findall(text.lower())
    return any(not word.isascii() and word not in known for word in words)


# Judging


def _judge(runs: Sequence[Run]) -> list[_Line]:
    """All lines with their verdicts."""
    lines = _lines(runs)
    undecided = []
    for line in lines:
        if _is_suspect(line.text):
            line.weigh()
            line.encoding = _convicted(line)
            if line.encoding is None:
                undecided.append(line)
    if undecided:
        _judge_together(undecided, {line.encoding for line in lines if line.encoding})
    return lines


def _convicted(line: _Line) -> Encoding | None:
    """The encoding that the line alone proves, if any."""
    proven = {
        encoding: count
        for encoding, count in line.counts.items()
        if _is_better(count, line.raw, _MIN_SHARE)
    }
    if line.hint in proven:
        return line.hint
    return max(proven, key=lambda encoding: proven[encoding].score, default=None)


def _is_better(decoded: _Count, raw: _Count, share: float) -> bool:
    return (
        decoded.words >= _MIN_WORDS
        and decoded.changed >= _MIN_WORDS
        and decoded.share >= share
        and decoded.share - raw.share >= _MIN_GAIN
    )


def _judge_together(undecided: list[_Line], proven: set[Encoding]) -> None:
    """Decide lines that prove nothing alone, by what they say together and what others proved.

    Lines that fit no encoding speak against each, unless it is proven; else picking the lines that
    happen to fit would convict any long foreign text.
    """
    groups, misfits = _grouped(undecided, proven)
    wanted = _MIN_SHARE if proven else _MIN_POSSIBLE_SHARE
    for encoding, group in groups.items():
        against = [] if encoding in proven else misfits
        decoded = _sum(line.counts[encoding] for line in (*group, *against) if line.counts)
        raw = _sum(line.raw for line in (*group, *against))
        if encoding in proven or _is_better(decoded, raw, wanted):
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
            weight[encoding] += line.counts[encoding].valid
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
        for encoding, count in line.counts.items()
        if count.score > line.raw.score and count.share >= _MIN_POSSIBLE_SHARE
    }
    best = max(better.values(), default=0)
    return [
        encoding for encoding, score in better.items() if score == best or encoding == line.hint
    ]


def assess(runs: Sequence[Run]) -> tuple[Text, ...]:
    """What one file or field holds in private encodings: one fact for each encoding, commonest first.

    `runs` belong together: those of one file, or of subject or body; short ones of one encoding add
    up. Place and evidence are those of the first line that is proof by itself, else of the longest.
    Below eight words, or where fewer than nine of ten are valid, it is only possible (`certain` False);
    below three words nothing is said. Unicode, decomposed or not, is no finding.
    """
    by_encoding: dict[Encoding, list[_Line]] = defaultdict(list)
    for line in _judge(runs):
        if line.encoding:
            by_encoding[line.encoding].append(line)
    texts = [_fact(encoding, lines, runs) for encoding, lines in by_encoding.items()]
    found = [text for text in texts if text is not None]
    return tuple(sorted(found, key=lambda text: -text.words))


def _fact(encoding: Encoding, lines: list[_Line], runs: Sequence[Run]) -> Text | None:
    count = _sum(line.counts[encoding] for line in lines)
    distinct = _distinct_words(encoding, lines)
    if distinct < _MIN_WORDS:
        return None
    proof = next((line for line in lines if _convicted(line)), None)
    shown = proof or max(lines, key=lambda line: line.counts[encoding].valid)
    converted = "".join(
        to_unicode(piece, encoding, capitals_font=font_family(runs[index].font).capitals)
        for index, piece in shown.pieces
    )
    return Text(
        place=shown.place,
        encoding=encoding,
        words=count.words,
        share=round(count.share, 3),
        certain=(
            count.words >= _CERTAIN_WORDS
            and count.share >= _MIN_SHARE
            and distinct >= _CERTAIN_DISTINCT
        ),
        as_read=shown.text.strip()[:_EVIDENCE_LETTERS],
        converted=converted.strip()[:_EVIDENCE_LETTERS],
        font=shown.font,
    )


def _distinct_words(encoding: Encoding, lines: list[_Line]) -> int:
    """Different words that decoding made Vietnamese; counting stops when there are enough."""
    words: set[str] = set()
    for line in lines:
        decoded = to_unicode(line.text, encoding).lower()
        undecoded = line.text.lower()
        words.update(
            word
            for word in _LETTERS.findall(decoded)
            if word in marked_syllables() and word not in undecoded
        )
        if len(words) >= _CERTAIN_DISTINCT:
            break
    return len(words)


def convert(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs in Unicode NFC: each line by its own encoding, capitals of capitals fonts restored.

    Words too few to judge follow their font or, in a file that holds one private encoding and no
    Unicode, the file. Places and fonts stay.
    """
    lines = _judge(runs)
    _follow(lines)
    pieces: list[list[str]] = [[] for _ in runs]
    for line in lines:
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
        Run("\n".join(texts), run.place, run.font) for run, texts in zip(runs, pieces, strict=True)
    )


def _follow(lines: list[_Line]) -> None:
    """Give the lines that could be read either way the encoding of their font or file."""
    proven = {line.encoding for line in lines if line.encoding}
    if not proven:
        return
    unicode_too = any(_BEYOND_CP1252.search(line.text) for line in lines if line.encoding is None)
    sole = next(iter(proven)) if len(proven) == 1 and not unicode_too else None
    for line in lines:
        leader = line.hint if line.hint in proven else sole
        if line.encoding or leader is None or (line.text.isascii() and leader != "viqr"):
            continue
        line.weigh()
        count = line.counts.get(leader, _NONE)
        if count.share >= _MIN_SHARE or (line.hint == leader and not count.words):
            line.encoding = leader


def encoding_of(text: str, font: str = "") -> Encoding:
    """The encoding of a short text by itself: a private one when it may be so, else Unicode."""
    found = assess((Run(text, font=font),))
    if found:
        return found[0].encoding
    return "unicode" if unicodedata.is_normalized("NFC", text) else "unicode-nfd"
