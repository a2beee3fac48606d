"""Real documents of 2003 to 2009, and controls: what is recognised, and how well it is converted."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from mailgov.content.extract import KINDS, Extracted, extract
from mailgov.content.legacy_text import Reading, read
from mailgov.content.vietnamese import with_old_tone_placement

LEGACY = {"legacy-tcvn3": "tcvn3", "legacy-vni": "vni-win", "synthetic-docx": "vni-win"}
CONTROLS = ("decree-30-2020", "scan-pdf")
MIXED = {"2004-duanLD9820.doc": {"tcvn3", "vni-win"}}
# Transcripts with stray spaces in their words, or with codes of fields as text.
SPACED = "2005-1ADDZ"
_WORD = re.compile(r"[^\W\d_]+")


@pytest.fixture(scope="module")
def readings(corpus: Path) -> dict[Path, Reading]:
    """Every document of the corpus, read once."""
    folders = [*LEGACY, *CONTROLS]
    files = [path for name in folders for path in sorted((corpus / "documents" / name).iterdir())]
    return {path: read(extract(path.suffix[1:], path.read_bytes()).runs) for path in files}


def test_confusion(readings: dict[Path, Reading]) -> None:
    table: Counter[tuple[str, str]] = Counter()
    wrong = []
    for path, reading in readings.items():
        wanted = MIXED.get(path.name, {LEGACY.get(path.parent.name, "unicode")})
        found = {
            text.encoding if text.certain else f"maybe {text.encoding}" for text in reading.texts
        }
        found = found or {"unicode"}
        table["+".join(sorted(wanted)), "+".join(sorted(found))] += 1
        if found != wanted:
            wrong.append((path.name, found))
    print("\nwanted               found                files")
    for (wanted_name, found_name), count in sorted(table.items()):
        print(f"{wanted_name:20} {found_name:20} {count:5}")
    assert wrong == []


def words(text: str) -> Counter[tuple[str, str]]:
    """Pairs of neighbouring words, so that order counts."""
    found = _WORD.findall(with_old_tone_placement(text).lower())
    return Counter(pairwise(found))


def test_converted_text_equals_the_transcripts(corpus: Path, readings: dict[Path, Reading]) -> None:
    matched = total = 0
    for path, reading in readings.items():
        transcript = corpus / "documents" / "transcripts" / f"{path.stem}.txt"
        if not transcript.exists() or path.name.startswith(SPACED):
            continue
        ours, theirs = words(Extracted(reading.runs).text), words(transcript.read_text("utf-8"))
        same, all_of_them = (ours & theirs).total(), theirs.total()
        print(f"{path.name[:50]:50} {all_of_them:6} {same / all_of_them:.4f}")
        assert same / all_of_them >= 0.985, path.name
        matched += same
        total += all_of_them
    assert total > 140_000
    assert matched / total >= 0.995


def test_transcript_with_stray_spaces(corpus: Path, readings: dict[Path, Reading]) -> None:
    ((path, reading),) = [item for item in readings.items() if item[0].name.startswith(SPACED)]
    transcript = (corpus / "documents" / "transcripts" / f"{path.stem}.txt").read_text("utf-8")
    ours, theirs = (
        Counter("".join(_WORD.findall(with_old_tone_placement(text).lower())))
        for text in (Extracted(reading.runs).text, transcript)
    )
    assert (ours & theirs).total() / theirs.total() >= 0.999


def test_transcripts_are_not_accused(corpus: Path) -> None:
    for path in sorted((corpus / "documents" / "transcripts").iterdir()):
        if path.name.startswith("2004-duanLD9820"):
            continue  # the mixed file: part of its transcript is unconverted
        found = read(extract("txt", path.read_bytes()).runs).texts
        assert not any(text.certain for text in found), path.name


def test_a_scan_has_no_text(corpus: Path) -> None:
    (path,) = (corpus / "documents" / "scan-pdf").iterdir()
    found = extract("pdf", path.read_bytes())
    assert (found.runs, found.has_text) == ((), False)
    assert found.scan is not None
    assert (found.scan.pages, found.scan.dpi) == (3, 202)


def test_every_kind_of_the_corpus_has_a_reader(corpus: Path) -> None:
    kinds = {path.suffix[1:] for path in (corpus / "documents").glob("*/*.*")}
    assert kinds <= set(KINDS)
