"""Each rule on everything that is labelled; the log shows the table (tests/conftest.py)."""

import tomllib
from collections.abc import Callable
from pathlib import Path

from ..conftest import CORPUS
from .confusion import over_everything


def test_no_rule_misses_or_strikes_wrongly(record_property: Callable[[str, object], None]) -> None:
    words = tomllib.loads((Path(__file__).parent / "samples" / "words.toml").read_text("utf-8"))
    confusion = over_everything(words, CORPUS if CORPUS.is_dir() else None)
    record_property("confusion", "\n".join(confusion.table()))
    assert confusion.faults == []
    # Each rule is shown to strike and to stay silent.
    assert all(count["struck"] and count["silent"] for count in confusion.counts.values())
