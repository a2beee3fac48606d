"""Passwords that guessers try first: known ones, and those made of them by the usual tricks.

Rule password-content: what leaked once will be tried again. A password of 14 signs and 4 classes is on few
lists as it stands, so what counts is the word that is left when figures, signs and replaced letters are
taken out.
"""

import mmap
import re
from functools import cache
from pathlib import Path

from mailgov.texts import without_marks

_WORDS = frozenset(
    [
        "password",
        "passw",
        "passwd",
        "pass",
        "matkhau",
        "matkhaumoi",
        "mkmoi",
        "admin",
        "administrator",
        "quantri",
        "quantrivien",
        "root",
        "user",
        "guest",
        "test",
        "demo",
        "welcome",
        "hello",
        "login",
        "letmein",
        "changeme",
        "change",
        "qwerty",
        "qwertyuiop",
        "asdfgh",
        "asdfghjkl",
        "zxcvbn",
        "zxcvbnm",
        "iloveyou",
        "monkey",
        "dragon",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "master",
        "superman",
        "batman",
        "trustno",
        "default",
        "secret",
        "system",
        "server",
        "email",
        "gmail",
        "outlook",
        "office",
        "windows",
        "vietnam",
        "vietnamvodich",
        "hanoi",
        "saigon",
        "hochiminh",
        "danang",
        "haiphong",
        "cantho",
        "thanhpho",
        "congchuc",
        "canbo",
        "vienchuc",
        "coquan",
        "uyban",
        "uybannhandan",
        "hoidong",
        "vanthu",
        "vanphong",
        "congvan",
        "hanhchinh",
        "thudientu",
        "chucmungnammoi",
        "anhyeuem",
        "emyeuanh",
        "yeuem",
        "xinchao",
        "giadinh",
        "hanhphuc",
        "thanhcong",
        "maiyeu",
        "motnam",
        "abc",
        "abcd",
        "abcde",
        "abcdef",
        "abcxyz",
        "xyz",
        "matkhaumatkhau",
    ]
)
_REPLACED = str.maketrans("@4031!$57", "aaoeiisst")
_LEAST_SIGNS = 6  # different ones


def is_common(password: str) -> bool:
    """Whether it is a known word, alone or repeated, with figures and signs around it.

    Also what has too few different signs to be a password at all.
    """
    if len(set(password.lower())) < _LEAST_SIGNS:
        return True
    plain = without_marks(password).lower()
    return any(_is_words(_letters(text)) for text in (plain, plain.translate(_REPLACED)))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text)


def _is_words(letters: str) -> bool:
    return bool(letters) and _pattern().fullmatch(letters) is not None


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(sorted(_WORDS, key=len, reverse=True))
    return re.compile(f"(?:{words}){{1,2}}")


def is_listed(file: Path, password: str) -> bool:
    """Whether a file of breached passwords, one a line in UTF-8, has it. Reads the file: blocks.

    Raises OSError when it can't be read.
    """
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            wanted = re.compile(rb"(?:^|\n)" + re.escape(password.encode()) + rb"\r?(?:\n|$)")
            return wanted.search(text) is not None
