"""Text as people search it: a letter typed bare stands for all its accents, one with its mark for itself.

So `duong` finds `Đường` and `dương`, `đường` finds neither `duong` nor `dương`; `hoà` and `hòa` are one.
"""

import unicodedata

from mailgov.content.vietnamese import with_old_tone_placement


class _Bare(dict[int, int]):
    """Letters without their marks, each one letter; found out once."""

    def __missing__(self, code: int) -> int:
        letter = chr(code)
        parts = "d" if letter == "đ" else unicodedata.normalize("NFD", letter)
        is_one_letter = all(unicodedata.combining(mark) for mark in parts[1:])
        self[code] = found = ord(parts[0]) if is_one_letter else code
        return found


_BARE = _Bare()


def folded(text: str) -> str:
    """Text in the form in which it is compared: composed, no case, one tone placement, single blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    composed = unicodedata.normalize("NFC", text).casefold()
    return " ".join(with_old_tone_placement(composed).split())


class Needle:
    """What somebody looks for."""

    def __init__(self, text: str) -> None:
        self._text = folded(text)
        self._bare = self._text.translate(_BARE)

    def found_in(self, text: str) -> bool:
        """Whether it stands in a text, which is folded. Nothing stands everywhere."""
        if self._text in text:
            return True
        if text.isascii():
            return False
        bare, at = text.translate(_BARE), -1
        while (at := bare.find(self._bare, at + 1)) >= 0:
            if self._is_at(text, at):
                return True
        return False

    def _is_at(self, text: str, at: int) -> bool:
        """Whether the marks that were typed are there."""
        there = text[at : at + len(self._text)]
        return all(
            typed in (bare, letter)
            for typed, bare, letter in zip(self._text, self._bare, there, strict=True)
        )
