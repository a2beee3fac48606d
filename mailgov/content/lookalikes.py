"""Letters of other scripts and shapes that look like Latin ones, as Latin letters.

Whoever wants a mark to be read by people and not by machines writes it so: `МẬТ` in Cyrillic, `ⓂẬⓉ`,
`ᴍậᴛ`, with strokes through it, or backwards behind a sign that turns the direction round. Only for
comparing: what is shown to people stays as it was written. Unicode TR 39, 4 (confusables), as far as
the letters of marks go.
"""

import re
import unicodedata

from mailgov.content.vietnamese import with_old_tone_placement

_SHAPES = {
    "A": "АΑᎪꓮᴀⲀ",
    "B": "ВΒᏴꓐʙⲂ",
    "C": "СϹᏟꓚᴄⲤ",
    "D": "Ꭰꓓᴅ",
    "E": "ЕΕᎬꓰᴇⲈ",
    "G": "ԌᏀꓖɢ",
    "H": "НΗᎻꓧʜⲎ",
    "I": "ІӀΙꓲɪⲒ",
    "K": "КΚᏦꓗᴋⲔ",
    "L": "Ꮮꓡʟ",
    "M": "МΜϺᎷꓟᴍⲘ",
    "N": "Νꓠɴⲛ",
    "O": "ОΟՕꓳᴏⲞ",
    "R": "ᎡꓣʀᖇƦ",
    "S": "ЅՏᏚꓢꜱ",
    "T": "ТΤᎢꓔᴛⲦ",
    "U": "Սꓴᴜ",
    "X": "ХΧꓫⲬ",
    "Y": "ҮΥУꓬʏⲨ",
    "a": "аα",
    "c": "сϲ",
    "e": "е",
    "h": "һ",
    "i": "іιɩ",
    "o": "оοօ",
    "u": "υս",
    "x": "хχ",
    "y": "уγү",
}
_OFFSETS = {  # letters in black circles and squares, and flags: no decomposition in Unicode
    first + index: chr(ord("A") + index)
    for first in (0x1F150, 0x1F170, 0x1F1E6)
    for index in range(26)
}
_LATIN = {ord(shape): letter for letter, shapes in _SHAPES.items() for shape in shapes} | _OFFSETS
_TONES = frozenset("\u0300\u0301\u0302\u0303\u0306\u0309\u031b\u0323")  # and the marks of vowels
# Anything that is no ASCII, Latin-1 or Vietnamese letter, no usual sign, and could be one in disguise.
_STRANGE = re.compile(
    "[^\0-\u017f\u01a0\u01a1\u01af\u01b0\u0300\u0301\u0302\u0303\u0306\u0309\u031b\u0323\u1ea0-\u1ef9"
    "\u2000-\u206f\u20ab\u20ac\u2122\u2190-\u21ff\u2500-\u25ff]"
)
_REVERSED = re.compile("\u202e([^\u202c\n]*)\u202c?")


def in_latin(text: str) -> str:
    """The text with look-alike letters as Latin ones and no marks that Vietnamese lacks, in NFC.

    Tones stand where the old placement has them, as in all texts that are compared.
    """
    if not _STRANGE.search(text):
        return text
    letters = "".join(_unshaped(letter) for letter in text).translate(_LATIN)
    decomposed = unicodedata.normalize("NFD", letters)
    kept = (sign for sign in decomposed if not unicodedata.combining(sign) or sign in _TONES)
    return with_old_tone_placement("".join(kept))


def _unshaped(letter: str) -> str:
    """The letter in a circle, in brackets, raised or in another face, by itself."""
    plain = unicodedata.normalize("NFKC", letter)
    if plain == letter or len(plain) == 1:
        return plain
    return plain[1] if len(plain) == 3 and plain[0] == "(" else plain


def as_displayed(text: str) -> str:
    """The text in the order in which it is seen: U+202E shows what follows it backwards."""
    if "\u202e" not in text:
        return text
    return _REVERSED.sub(lambda match: match[1][::-1], unicodedata.normalize("NFC", text))
