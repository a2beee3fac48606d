"""Sentences that no threshold was settled on, in every encoding, alone, together and mixed."""

import random
import re
import unicodedata
from collections import Counter
from importlib import resources
from typing import get_args

import pytest

from mailgov.content import read_message
from mailgov.content.convert import convert_file
from mailgov.content.legacy_text import assess, convert
from mailgov.content.runs import Run
from mailgov.content.vietnamese import with_old_tone_placement
from mailgov_policies.facts import Encoding

from . import making
from .test_extract_word import docx, paragraph
from .test_legacy_text import encoded

SENTENCES = (
    (resources.files(__package__) / "vectors" / "unseen-sentences.txt")
    .read_text("utf-8")
    .splitlines()
)
PRIVATE = [name for name in get_args(Encoding) if not name.startswith("unicode")]
# In small letters one can't be told from the other, and need not.
ALIKE = {"tcvn5712-vn1": {"tcvn3", "tcvn5712-vn1"}}
FONTS = {"tcvn3": (".VnTime", ".VnTimeH"), "vni-win": ("VNI-Times", "VNI-Times")}
_WORD = re.compile(r"[^\W\d_]+")


def _is_right(found: str, encoding: Encoding) -> bool:
    return found in ALIKE.get(encoding, {encoding})


def _start(sentence: str, words: int) -> str:
    return " ".join(sentence.split()[:words])


@pytest.mark.parametrize("encoding", PRIVATE)
def test_alone_a_sentence_is_recognised_and_never_taken_for_another(encoding: Encoding) -> None:
    table: Counter[tuple[int, str]] = Counter()
    for words in (4, 8, 12, 20):
        for sentence in SENTENCES:
            found = assess((Run(encoded(_start(sentence, words), encoding)),))
            kind = (
                "nothing"
                if not found
                else "right"
                if _is_right(found[0].encoding, encoding)
                else "wrong"
            )
            table[words, kind] += 1
    shares = {words: table[words, "right"] / len(SENTENCES) for words in (4, 8, 12, 20)}
    wrong = sum(count for (_, kind), count in table.items() if kind == "wrong")
    print(
        f"\n{encoding}: "
        + "  ".join(f"{words} words {share:.2f}" for words, share in shares.items())
    )
    assert shares[12] >= 0.9
    assert shares[20] >= 0.95
    assert wrong <= 3


@pytest.mark.parametrize("encoding", PRIVATE)
def test_together_they_are_certain_and_come_back_whole(encoding: Encoding) -> None:
    runs = [Run(encoded(one, encoding), f"paragraph {at}") for at, one in enumerate(SENTENCES)]
    (text,) = assess(runs)
    assert (_is_right(text.encoding, encoding), text.certain) == (True, True)
    same = total = 0
    for run, sentence in zip(convert(runs), SENTENCES, strict=True):
        ours, theirs = (
            _WORD.findall(with_old_tone_placement(one).lower()) for one in (run.text, sentence)
        )
        total += len(theirs)
        same += sum(a == b for a, b in zip(ours, theirs, strict=False))
    print(f"\n{encoding}: {same / total:.4f} of {total} words")
    assert same / total >= 0.985


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_in_unicode_nothing_is_found(form: str) -> None:
    texts = [unicodedata.normalize(form, one) for one in SENTENCES]  # type: ignore[arg-type]  # a form
    assert assess([Run(one, str(at)) for at, one in enumerate(texts)]) == ()
    for one in texts:
        assert assess((Run(one),)) == ()
        assert assess((Run(one.upper()),)) == ()
        assert assess((Run(_start(one, 5)),)) == ()


@pytest.mark.parametrize(("first", "second"), [("tcvn3", "vni-win"), ("vni-win", "tcvn3")])
def test_paragraphs_in_different_encodings_are_told_apart(
    first: Encoding, second: Encoding
) -> None:
    order = random.Random(3).choices((first, second, "unicode"), k=len(SENTENCES))
    body = "".join(
        paragraph(encoded(one, name) if name != "unicode" else one, FONTS.get(name, ("Arial",))[0])
        for one, name in zip(SENTENCES, order, strict=True)
    )
    content = read_message(making.message(files=[("a.docx", docx(body))]))
    assert {text.encoding for text in content.texts if text.certain} == {first, second}
    converted = convert_file(docx(body), "a.docx")
    again = read_message(making.message(files=[("a.docx", converted.data)]))
    assert again.texts == ()


@pytest.mark.parametrize("encoding", ["tcvn3", "vni-win"])
def test_headings_in_capitals(encoding: Encoding) -> None:
    """In a capitals font TCVN3 stores small letters; VNI has capitals of its own."""
    plain, capitals = FONTS[encoding]
    heading = "KẾ HOẠCH TUYÊN TRUYỀN, PHỔ BIẾN, GIÁO DỤC PHÁP LUẬT"
    stored = encoded(heading.lower() if encoding == "tcvn3" else heading, encoding)
    body = paragraph(stored, capitals) + "".join(
        paragraph(encoded(one, encoding), plain) for one in SENTENCES[:6]
    )
    converted = convert_file(docx(body), "a.docx")
    assert heading in read_text(converted.data)


def read_text(data: bytes) -> str:
    from mailgov.content.extract import extract

    return extract("docx", data).text


@pytest.mark.parametrize("encoding", PRIVATE)
def test_in_subjects_names_and_bodies(encoding: Encoding) -> None:
    text = encoded(SENTENCES[0], encoding)
    message = making.message(text, subject=text, files=[(f"{text[:60]}.txt", text.encode())])
    found = {one.place.split()[0] for one in read_message(message).texts}
    assert {"subject", "body", "part"} <= found


OTHERS = (
    "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl předseda vlády při svém vystoupení ve sněmovně.",
    "Zażółć gęślą jaźń, powiedział prezes rady ministrów podczas wczorajszego wystąpienia.",
    "Değerli meslektaşlarımız, toplantı gündemini ekte gönderiyor, görüşlerinizi bekliyoruz.",
    "Die Prüfung der übermittelten Unterlagen hat größere Mängel bei der Buchführung ergeben.",
    "Les élèves étaient très fatigués après être rentrés à l'école où l'hiver s'était installé.",
    "A reunião começará às nove horas; não é necessária confirmação prévia da participação.",
    "Az árvíztűrő tükörfúrógép működését a következő közgyűlésen mutatják be részletesen.",
    "Știința și tehnica au adus înnoiri însemnate în viața oamenilor din această țară.",
    "Vyriausybės posėdyje svarstyti svarbūs klausimai dėl šilumos ūkio pertvarkos.",
    "Þórður sagði að sér þætti gaman að ræða við íbúana um nýju áætlunina.",
    "TGFuZ3VhZ2UgbW9kZWxzIGFuZCBiYXNlNjQgYmxvY2tzIHNob3VsZCBub3QgYmUgZmxhZ2dlZA== QmFzZTY0",
    "for (int i = 0; i < n; ++i) { s += a[i] * b[i]; } // O(n) · café · naïve · ½ · µs · °C",
    "1.234,56 € · 7.890,12 £ · 45 % · ±3 °C · 12 µm · 5 m² · 10 m³ · ½ · ¼ · §12 · ©2024 · ®",
)


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:20])
def test_other_languages_and_no_language(text: str) -> None:
    assert assess((Run(text),)) == ()
    assert assess([Run(text, str(number)) for number in range(20)]) == ()
