"""From labelled bytes to text, the way a mail program shows them.

Only the charsets named here are used, and all of them are loaded with this module: what a label
asks for can neither start slow code (`punycode`) nor open a file. Labels of private Vietnamese
encodings, wrong labels and missing ones give the bytes as Windows code page 1252 shows them, which
is how `legacy_text` wants to see them.
"""

import codecs

from mailgov.content.encodings import as_cp1252

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


def decode(data: bytes, label: str = "") -> str:
    """Text of bytes with this charset label. Never raises.

    Unlabelled bytes, and those labelled US-ASCII or with an unknown name, are UTF-8 when they are
    valid as such. Bytes that contradict their label are shown by code page 1252, or with
    replacement characters where most of the text is good.
    """
    if data.isascii() and not label.startswith(("utf-7", "utf-16", "utf16", "iso-2022", "hz")):
        return data.decode("ascii")
    label = label.strip().lower()
    if label in _WESTERN:
        return as_cp1252(data)
    codec = _CODECS.get(label)
    if codec is None or codec.name == "utf-8":
        return _utf8(data)
    try:
        return well_formed(codec.decode(data, "strict")[0])
    except UnicodeError:
        return well_formed(codec.decode(data, "replace")[0])


def well_formed(text: str) -> str:
    """The text without lone surrogates, which no file or wire can carry; pairs become letters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _utf8(data: bytes) -> str:
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(character > "\x7f" for character in text) - bad
    # A few broken letters in a UTF-8 text must not turn the whole text into another encoding.
    return text if good > 3 * bad else as_cp1252(data)
