"""From labelled bytes to text, the way a mail program shows them.

Only the charsets named here are used, and all of them are loaded with this module: what a label
asks for can neither start slow code (`punycode`) nor open a file. Labels of private Vietnamese
encodings, wrong labels and missing ones give the bytes as Windows code page 1252 shows them, which
is how `legacy_text` wants to see them. A label is wrong when it makes no Vietnamese of bytes that
are Vietnamese without it: nobody hides text behind `charset=koi8-r`.
"""

import codecs

from mailgov.content.encodings import as_cp1252
from mailgov.content.evidence import chunks_of, tally
from mailgov.content.vietnamese import is_vietnamese

# WHATWG Encoding, 4.2: these labels mean code page 1252 in practice.
_WESTERN = frozenset({"iso-8859-1", "latin1", "l1", "iso8859-1", "windows-1252", "cp1252"})

_CODECS = {
    label: codecs.lookup(codec)
    for codec, labels in {
        "utf-8": "utf-8 utf8 unicode-1-1-utf-8 utf-8-sig",
        "utf-7": "utf-7 unicode-1-1-utf-7",
        "utf-16": "utf-16 utf16 unicode",
        "utf-16-le": "utf-16le",
        "utf-16-be": "utf-16be",
        "utf-32": "utf-32",
        "cp1250": "windows-1250 cp1250",
        "cp1251": "windows-1251 cp1251",
        "cp1253": "windows-1253 cp1253",
        "cp1254": "windows-1254 cp1254 iso-8859-9",
        "cp1255": "windows-1255 cp1255",
        "cp1256": "windows-1256 cp1256",
        "cp1257": "windows-1257 cp1257",
        "cp1258": "windows-1258 cp1258",
        "iso8859-2": "iso-8859-2 latin2",
        "iso8859-3": "iso-8859-3",
        "iso8859-4": "iso-8859-4",
        "iso8859-5": "iso-8859-5",
        "iso8859-6": "iso-8859-6",
        "iso8859-7": "iso-8859-7",
        "iso8859-8": "iso-8859-8 iso-8859-8-i",
        "iso8859-10": "iso-8859-10",
        "iso8859-13": "iso-8859-13",
        "iso8859-14": "iso-8859-14",
        "iso8859-15": "iso-8859-15 latin9",
        "koi8-r": "koi8-r",
        "koi8-u": "koi8-u",
        "cp866": "ibm866 cp866",
        "cp437": "ibm437 cp437",
        "cp850": "ibm850 cp850",
        "mac-roman": "macintosh mac-roman",
        "cp874": "windows-874 tis-620 iso-8859-11",
        "gb18030": "gb18030 gb2312 gbk gb_2312-80 cp936 x-gbk",
        "hz": "hz-gb-2312",
        "big5hkscs": "big5 big5-hkscs cp950",
        "cp932": "shift_jis shift-jis sjis cp932 windows-31j",
        "euc_jp": "euc-jp",
        "iso2022_jp_2": "iso-2022-jp iso-2022-jp-2",
        "cp949": "euc-kr ks_c_5601-1987 cp949 windows-949",
        "iso2022_kr": "iso-2022-kr",
    }.items()
    for label in labels.split()
}


_LABELS_OF_ASCII_FORMS = ("utf-7", "utf-16", "utf16", "utf-32", "unicode", "iso-2022", "hz")
_JUDGED_LETTERS = 1 << 16  # of a text, when its label is doubted
_FEW_WORDS = 4  # below, a label is not doubted
_PROOF_SHARE = 0.9  # of the words that are Vietnamese syllables without the label
_BROKEN = range(0xDC80, 0xDD00)  # bytes that are no UTF-8, by PEP 383


def decode(data: bytes, label: str = "") -> str:
    """Text of bytes with this charset label. Never raises.

    Unlabelled bytes, and those labelled US-ASCII or with an unknown name, are UTF-8 line by line
    where they are valid as such. Bytes that contradict their label are read as if they had none.
    """
    label = label.strip().lower()
    if data.isascii() and not label.startswith(_LABELS_OF_ASCII_FORMS):
        return data.decode("ascii")
    if label in _WESTERN:
        return as_cp1252(data)
    codec = _CODECS.get(label)
    if codec is None or codec.name == "utf-8":
        return unlabelled(data)
    text = well_formed(_by_codec(data, codec))
    return as_cp1252(data) if _hides_vietnamese(data, text) else text


def _by_codec(data: bytes, codec: codecs.CodecInfo) -> str:
    try:
        return codec.decode(data, "strict")[0]
    except UnicodeError:
        return codec.decode(data, "replace")[0]


def _hides_vietnamese(data: bytes, text: str) -> bool:
    """Whether the bytes are Vietnamese in some private encoding, or UTF-8, but not by their label."""
    if is_vietnamese(text[:_JUDGED_LETTERS]):
        return False
    found = tally(set(chunks_of(as_cp1252(data[:_JUDGED_LETTERS]))), viqr=data.isascii())
    return any(
        count.changed >= _FEW_WORDS and count.share >= _PROOF_SHARE
        for count in found.decoded.values()
    )


def well_formed(text: str) -> str:
    """The text without lone surrogates, which no file or wire can carry; pairs become letters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def unlabelled(data: bytes) -> str:
    """Bytes of which nothing is known: UTF-8, else each line by itself.

    Files and mails are put together from pieces, so a line in another encoding must not turn its
    neighbours into it, nor hide among them.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(map(_unlabelled_line, data.split(b"\n")))


def _unlabelled_line(line: bytes) -> str:
    """UTF-8 with broken bytes as code page 1252 has them; all of it so where most is broken."""
    text = line.decode("utf-8", "surrogateescape")
    broken = sum(ord(character) in _BROKEN for character in text)
    good = sum(character > "\x7f" for character in text) - broken
    if broken and good <= 3 * broken:
        return as_cp1252(line)
    return text.translate(_AS_1252) if broken else text


_AS_1252 = {code: as_cp1252(bytes([code & 0xFF])) for code in _BROKEN}
