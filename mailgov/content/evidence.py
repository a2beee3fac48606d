"""Counting how Vietnamese a text is, undecoded and in each private encoding.

Counted are words with a letter outside ASCII: real encodings make 97 to 100 of a hundred such words
valid syllables, wrong ones at most 84 on whole files. Chunks of text are cached with their counts,
since texts repeat their syllables.
"""

import functools
import re
import unicodedata
from collections.abc import Collection
from typing import NamedTuple

from mailgov.content.encodings import cp1252_view, decoders
from mailgov.content.vietnamese import is_marked_syllable, marked_syllables, plain_syllables
from mailgov_policies.facts import Encoding

_CANDIDATES: tuple[Encoding, ...] = (
    "tcvn3",
    "vni-win",
    "viscii",
    "vps",
    "cp1258",
    "utf8-as-cp1252",
    "tcvn5712-vn1",
)

_COLUMNS = tuple((3 + 3 * index, encoding) for index, encoding in enumerate(_CANDIDATES))

# What can stand inside a word in some encoding: letters, all but ASCII, and C0 codes. Bounded, so that
# a word is cheap and hostile text without spaces stays linear.
_CHUNK = re.compile("[^\0\x07-\x0d\x20-\x40\x5b-\x60\x7b-\x7f]{1,32}")
_VIQR_CHUNK = re.compile(r"[A-Za-z'`?~.^(+*\\-]{1,32}")
_VIQR_HAT = re.compile(r"[aeoAEO]\^|[aA]\(|[oOuU]\+|dd|DD|Dd")
# For a first look at text that is most likely Unicode: typographic signs divide words, too.
_RAW_WORD = re.compile("[^\0\x07-\x0d\x20-\x40\x5b-\x60\x7b-\x7f\xa0“”‘’–—…•]+")
_LETTER_OR_SIGN = re.compile("[^\0-\x7f\xa0‘’“”–—…•]")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
# A sign that stands for a letter when undecoded, as in Th«ng b¸o; typographic signs are none.
_INNER_SIGN = re.compile(r"(?<=[^\W\d_])[^\0-\x7f\w\xa0‘’“”–—…•](?=[^\W\d_])")
_CAPITALS = "".join(
    chr(code) for code in (*range(0x41, 0x1B0), *range(0x1EA0, 0x1EFA)) if chr(code).isupper()
)
_CASE_JUMP = re.compile(f"[a-z][{_CAPITALS}]")
# QĐ, NĐ, HĐND, QyĐ: abbreviations, no syllables. The other Đ is a common slip of typists.
_CONSONANTS = re.compile("(?:Qy)?[B-DF-HJ-NP-TV-XZĐ\u00d0]+")


class Count(NamedTuple):
    """Words of two letters or more with one outside ASCII."""

    words: int = 0
    valid: int = 0  # of these, Vietnamese syllables
    changed: int = 0  # of the valid ones, those that decoding made

    @property
    def share(self) -> float:
        """Of the words that are valid, 0 to 1."""
        return self.valid / self.words if self.words else 0.0

    @property
    def score(self) -> int:
        """Valid words less the others: prefers much that fits well to little that fits wholly."""
        return 2 * self.valid - self.words


NOTHING = Count()


class Tally(NamedTuple):
    """What chunks of text say in sum."""

    raw: Count = NOTHING  # undecoded
    decoded: dict[Encoding, Count] = {}  # noqa: RUF012 - never written to; only where words changed
    foreign: int = 0  # ASCII words that are no Vietnamese syllables

    def of(self, encoding: Encoding | None) -> Count:
        """The count in an encoding; nothing where it was no candidate."""
        return self.decoded.get(encoding, NOTHING) if encoding else NOTHING


UNWEIGHED = Tally()


def is_plain(text: str) -> bool:
    """Whether it is ASCII but for typographic signs, so that only VIQR is a candidate."""
    return text.isascii() or not _LETTER_OR_SIGN.search(text)


def is_suspect(text: str) -> bool:
    """Whether a line has anything that is neither ASCII nor a Vietnamese word: a first, fast look."""
    if is_plain(text):
        return _VIQR_HAT.search(text) is not None
    known = marked_syllables()
    odd = [word for word in text.lower().split() if not (word in known or word.isascii())]
    if known.issuperset(word for word in _RAW_WORD.findall(" ".join(odd)) if not word.isascii()):
        return False
    composed = unicodedata.normalize("NFC", text)
    return composed == text or is_suspect(composed)


def chunks_of(text: str) -> list[str]:
    """Words and stretches between them that could be words in some encoding; of plain text those of VIQR."""
    if is_plain(text):
        return _VIQR_CHUNK.findall(text)
    return _CHUNK.findall(unicodedata.normalize("NFC", cp1252_view(text)))


def tally(chunks: Collection[str], *, viqr: bool) -> Tally:
    """Count chunks, each as often as it is given. `viqr`: they come from plain text."""
    if viqr:
        columns = [sum(column) for column in zip(*map(_viqr_profile, chunks), strict=True)]
        return Tally(decoded={"viqr": Count(*columns)})
    profiles = [_profile(chunk) for chunk in chunks if not chunk.isascii()]
    columns = list(map(sum, zip(*profiles, strict=True)))
    if not columns:
        return Tally()
    known = plain_syllables()
    foreign = sum(_is_foreign(chunk) for chunk in chunks if chunk.isascii() and chunk not in known)
    decoded = {
        encoding: Count(*columns[index : index + 3])
        for index, encoding in _COLUMNS
        if columns[index + 2]
    }
    return Tally(Count(*columns[:3]), decoded, foreign)


def _is_foreign(chunk: str) -> bool:
    """A word of ASCII, not in capitals, that is no syllable."""
    return len(chunk) > 1 and not chunk.isupper() and chunk.lower() not in plain_syllables()


@functools.lru_cache(maxsize=1 << 14)
def _profile(chunk: str) -> tuple[int, ...]:
    """Words, valid and changed of one chunk: undecoded, then in each candidate."""
    words, valid = _count(chunk)
    raw = (words + len(_INNER_SIGN.findall(chunk)), valid, 0)
    profile = list(raw)
    for encoding in _CANDIDATES:
        decoded = decoders()[encoding](chunk)
        if decoded == chunk:
            profile += raw
        else:
            words, valid = _count(decoded, mixed_case=encoding == "tcvn3")
            profile += (words, valid, valid)
    return tuple(profile)


@functools.lru_cache(maxsize=1 << 12)
def _viqr_profile(chunk: str) -> tuple[int, int, int]:
    """Only words with a hat, horn or bar count as changed: ASCII is full of dots and question marks."""
    words, valid = _count(decoders()["viqr"](chunk), mixed_case=False)
    return words, valid, valid if _VIQR_HAT.search(chunk) else 0


def _count(text: str, *, mixed_case: bool = True) -> tuple[int, int]:
    """Words with a letter outside ASCII, and how many of them are syllables.

    `mixed_case`: as TCVN3 has no toned capitals, people typed HàNH CHíNH; but no m² becomes mỲ.
    """
    words = valid = 0
    for word in _LETTERS.findall(text):
        if word.isascii():
            continue
        if is_marked_syllable(word) and (
            word[1:].islower() or word.isupper() or (mixed_case and not _CASE_JUMP.search(word))
        ):
            valid += 1
        elif _CONSONANTS.fullmatch(word):
            continue
        words += 1
    return words, valid
