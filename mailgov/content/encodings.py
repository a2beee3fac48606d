"""Private Vietnamese encodings: from their characters to Unicode.

Bytes of such encodings reach us as characters of Windows code page 1252, one for each byte. Required
is Unicode, TCVN 6909:2001 (Decision 72/2002/QĐ-TTg, Circular 39/2017/TT-BTTTT, Decree 30/2020/NĐ-CP).
"""

import codecs
import functools
import re
import unicodedata
from collections.abc import Callable, Iterator

from mailgov.content.vietnamese import table_rows
from mailgov_policies.facts import Encoding

Decoder = Callable[[str], str]  # from code page 1252 characters to Unicode

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

_TYPED_CAPITALS = re.compile(r"(?<![^\W\d_])[^\Wa-z\d_]+(?![^\W\d_])")


def as_cp1252(data: bytes) -> str:
    """Bytes as the characters that code page 1252 gives them; its five holes become C1 controls."""
    return codecs.charmap_decode(data, "strict", _CP1252)[0]


@functools.cache
def decoders() -> dict[Encoding, Decoder]:
    """A decoder for each private encoding, commonest first; built once.

    The order decides between equals: VN1 holds all of TCVN3, so it only wins by its capitals.
    """
    return {
        "tcvn3": _tcvn3(),
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


def _single_byte(table: str, more: dict[str, str] | None = None) -> Decoder:
    mapping = str.maketrans({**dict(_letters(table)), **(more or {})})
    return lambda text: text.translate(mapping)


def _tcvn3() -> Decoder:
    """Code AD is a letter and an optional hyphen: two in a row are one letter and one hyphen."""
    decode = _single_byte("decode-tcvn3.tsv", _TCVN3_SUBSTITUTES)
    return lambda text: decode(text.replace("\u00ad\u00ad", "\u00ad"))


def _vn1() -> Decoder:
    decode = _single_byte("decode-tcvn5712-vn1.tsv")
    return lambda text: unicodedata.normalize("NFC", decode(text))  # its tones may be combining


def _sequences(letters: dict[str, str]) -> Decoder:
    """Longest match first; what is no sequence of the table stays."""
    alternatives = sorted(letters, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, alternatives)))
    return lambda text: pattern.sub(lambda match: letters[match.group()], text)


def _vni() -> Decoder:
    """Base letter and mark; typists mix the case of marks, the base letter's counts.

    Some converters write base and mark where the encoding has one code: i and y with a tone.
    """
    letters = dict(_letters("decode-vni-win.tsv")) | {
        base + mark: unicodedata.normalize("NFC", base + tone)
        for base in "iIyY"
        for mark, tone in _VNI_TONES.items()
    }
    letters |= {
        codes[0] + codes[1].swapcase(): letter
        for codes, letter in letters.items()
        if len(codes) == 2
    }
    return _sequences(letters)


_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
_VIQR_ENDING = re.compile(r"[A-Za-z'`?~.^(+*]{1,12}[aeiouyAEIOUY(^+*]['`?~.](?![A-Za-z'`?~.^(+*])")


def _viqr() -> Decoder:
    letters = {codes: letter for codes, _, letter in table_rows("viqr.tsv")}
    letters |= {codes.replace("+", "*"): letter for codes, letter in letters.items()}
    letters |= {"Dd": "Đ", "DD": "Đ"}
    letters |= {"\\" + sign: sign for sign in "'`?~.^(+*\\dD"}  # RFC 1456, 3.1.4: literal next sign
    decode = _sequences(letters)

    def word(match: re.Match[str]) -> str:
        """A sign behind a word is a tone where one may stand, else the end of a sentence."""
        without = decode(match[0][:-1])
        marks = unicodedata.normalize("NFD", without)
        has_tone = any(mark in _TONES for mark in marks)
        # The tone of ôi, ưa, êu stands on the first of them.
        is_placed = (
            len(without) < 2 or without[-2].lower() not in "âăêôơư" or not without[-1].isascii()
        )
        return decode(match[0]) if is_placed and not has_tone else without + match[0][-1]

    def whole(text: str) -> str:
        pieces, at = [], 0
        for match in _VIQR_ENDING.finditer(text):
            pieces += [decode(text[at : match.start()]), word(match)]
            at = match.end()
        return "".join([*pieces, decode(text[at:])])

    return whole


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
    decode = decoders().get(encoding)
    if decode is None:
        return unicodedata.normalize("NFC", text)
    decoded = unicodedata.normalize("NFC", decode(cp1252_view(text)))
    if capitals_font:
        return decoded.upper()
    return _TYPED_CAPITALS.sub(_all_capitals, decoded) if encoding == "tcvn3" else decoded


def _all_capitals(match: re.Match[str]) -> str:
    """A word without lower-case ASCII: capitals throughout, unless only its first letter is one."""
    word = match.group()
    return word.upper() if any("A" <= letter <= "Z" for letter in word[1:]) else word


def cp1252_view(text: str) -> str:
    """The text with symbol font codes and C1 controls as code page 1252 characters."""
    return text.translate(_TO_CP1252) if _OUTSIDE_CP1252.search(text) else text
