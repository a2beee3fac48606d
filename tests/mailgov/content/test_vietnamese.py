"""Vietnamese as Unicode text."""

import pytest

from mailgov.content.vietnamese import (
    count_words,
    fold,
    is_marked_syllable,
    is_vietnamese,
    marked_words,
    plain_syllables,
    unmarked_words,
    with_old_tone_placement,
    without_marks,
)


@pytest.mark.parametrize(
    "word",
    [
        "Quyết",
        "định",
        "nghị",
        "hoà",
        "hòa",
        "thuỷ",
        "thủy",
        "khuỷu",
        "nghiêng",
        "giếng",
        "gì",
        "quý",
        "tuyển",
        "ương",
        "UỶ",
        "Ở",
        "ý",
    ],
)
def test_syllables(word: str) -> None:
    assert is_marked_syllable(word)


@pytest.mark.parametrize(
    "word", ["ban", "été", "größe", "tiềng2", "viẽt", "kế-hoạch", "ngỏach", "leọ"]
)
def test_no_marked_syllables(word: str) -> None:
    assert not is_marked_syllable(word)


def test_syllables_without_marks_hold_what_marked_ones_fold_to() -> None:
    assert {"nguyen", "duong", "xa", "quyet"} <= plain_syllables()
    assert "the" in plain_syllables()  # thế: English words may look Vietnamese
    assert "street" not in plain_syllables()


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("hoà bình", "hòa bình"),
        ("Uỷ ban", "Ủy ban"),
        ("KHOẺ, THUỶ", "KHỎE, THỦY"),
        ("quý vị, quỹ", "quý vị, quỹ"),  # the u belongs to the onset
        ("hoàn toàn", "hoàn toàn"),  # a closed syllable: one spelling only
        ("khoe\u0309", "khỏe"),
    ],
)
def test_tone_placement(newer: str, older: str) -> None:
    assert with_old_tone_placement(newer) == older
    assert with_old_tone_placement(older) == older


def test_marks_removed() -> None:
    assert without_marks("Đề nghị Ủy ban đồng ý") == "De nghi Uy ban dong y"
    assert without_marks("Đề nghị".encode().decode()) == without_marks("Đề nghị")


def test_folding() -> None:
    assert fold("  HOẢ   Tốc\n") == fold("hỏa tốc") == "hoa toc"


def test_words() -> None:
    assert marked_words("Ở Hà Nội, UBND tỉnh 5 µ é") == ["Hà", "Nội", "tỉnh"]
    assert count_words("Số: 12/TB-UBND — ngày 05 tháng 3") == 6
    assert count_words("") == 0


def test_vietnamese_or_not() -> None:
    assert is_vietnamese("Cộng hòa xã hội chủ nghĩa Việt Nam")
    assert is_vietnamese("Tờ trình gửi Société Générale về việc vay vốn của tỉnh")
    assert not is_vietnamese("Les élèves français étaient là")
    assert not is_vietnamese("no marks at all")


_UNMARKED = (
    "Kính gửi các anh chị, đề nghị các đơn vị gửi báo cáo tháng 11 trước ngày 25 để văn phòng "
    "tổng hợp và trình lãnh đạo. Trân trọng cảm ơn."
)


def test_words_of_a_text_without_diacritics_are_counted() -> None:
    assert unmarked_words(without_marks(_UNMARKED)) == 29
    assert unmarked_words(_UNMARKED) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All members are asked to come to the large hall on Monday and to bring the papers along.",
        "Veuillez trouver ci-joint le rapport de la mission et le tableau des dépenses du mois.",
        "Saya mau makan nasi goreng di rumah, kamu dan dia juga mau makan.",
        "Wo men jin tian yao kai hui, qing da jia an shi can jia.",
    ],
)
def test_other_languages_are_no_vietnamese_without_diacritics(text: str) -> None:
    assert unmarked_words(text) == 0
