"""Conversion in a process of its own."""

import sys

import pytest

from mailgov import config
from mailgov.content.convert import convert_file
from mailgov.content.runs import Unreadable
from mailgov.errors import Unavailable
from mailgov.readers.converting import convert_apart
from mailgov.readers.warm_up import sample_document

SETTINGS = config.Readers()


def test_the_same_as_in_this_process() -> None:
    data = sample_document()
    assert convert_apart(data, "a.docx", SETTINGS) == convert_file(data, "a.docx")


def test_damage_is_told() -> None:
    with pytest.raises(Unreadable, match="directory"):
        convert_apart(sample_document()[:-40], "a.docx", SETTINGS)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("raise SystemExit(1)", Unavailable),
        ("import os; os.write(1, b'S'); os.abort()", Unreadable),
        ("import os; os.write(1, b'SC\\0\\0\\0\\2{}')", Unreadable),
    ],
    ids=["not started", "crashed", "talks nonsense"],
)
def test_trouble(script: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        convert_apart(b"x", "a.txt", SETTINGS, command=(sys.executable, "-Ic", script))


def test_no_program() -> None:
    with pytest.raises(Unavailable):
        convert_apart(b"x", "a.txt", SETTINGS, command=("/nowhere/python",))
