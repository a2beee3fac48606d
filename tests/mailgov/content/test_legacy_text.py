"""Private encodings: recognised, told from everything else, and converted."""

import random
import tomllib
import unicodedata
from importlib import resources
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content.encodings import as_cp1252, decoders
from mailgov.content.fonts import font_family
from mailgov.content.legacy_text import assess, convert, encoding_of, read, to_unicode
from mailgov.content.runs import Run
from mailgov.content.vietnamese import table_rows
from mailgov_policies.facts import Encoding

VECTORS = resources.files(__package__) / "vectors"
ENCODINGS: dict[str, Encoding] = {name: name for name in get_args(Encoding)}
ENCODINGS |= {"utf-8-as-cp1252": "utf8-as-cp1252", "nfd": "unicode-nfd"}  # of the table: ours
HEADING = "Céng hßa x· héi chñ nghÜa ViÖt Nam"
LETTER = """Kính gửi: Các sở, ban, ngành và Ủy ban nhân dân các xã, phường
Thực hiện Quyết định số 12/QĐ-UBND ngày 05 tháng 3 năm 2026 của Ủy ban nhân dân tỉnh Mẫu về việc ban hành
Quy chế quản lý, vận hành và sử dụng hệ thống thư điện tử công vụ, Sở Nội vụ đề nghị các đơn vị
rà soát, lập danh sách cán bộ, công chức, viên chức chưa được cấp hộp thư và gửi về Sở trước ngày 15/4.
Trân trọng cảm ơn sự phối hợp của quý cơ quan./."""


def table_vectors() -> list[tuple[str, Encoding, str, bool]]:
    """Unicode, encoding, characters as read, and whether nothing is lost."""
    rows = (VECTORS / "encodings.tsv").read_text(encoding="utf-8").split("\n")[1:]
    found = []
    for row in filter(None, rows):
        text, encoding, data, _, lossless = row.split("\t")
        raw = bytes.fromhex(data)
        read_as = raw.decode() if encoding == "nfd" else as_cp1252(raw)
        found.append((text, ENCODINGS[encoding], read_as, lossless == "yes"))
    return found


def encoded(text: str, encoding: Encoding) -> str:
    """The text as a reader of code page 1252 sees it in this encoding."""
    if encoding == "utf8-as-cp1252":
        return as_cp1252(text.encode())
    letters: dict[str, str] = {}
    if encoding == "viqr":
        letters = {letter: signs for signs, _, letter in table_rows("viqr.tsv")}
    else:
        for codes, _, _, letter, *_ in table_rows(f"decode-{encoding}.tsv"):
            letters[letter] = as_cp1252(bytes.fromhex(codes))
    if encoding == "tcvn3":  # which has no toned capitals
        letters |= {
            letter.upper(): code
            for letter, code in letters.items()
            if letter.upper() not in letters
        }
    return "".join(letters.get(letter, letter) for letter in text)


def no_private_encoding() -> list[dict[str, Any]]:
    text = (VECTORS / "no-private-encoding.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["case"])


@pytest.mark.parametrize(("text", "encoding", "as_read", "lossless"), table_vectors())
def test_conversion(text: str, encoding: Encoding, as_read: str, lossless: bool) -> None:
    converted = to_unicode(as_read, encoding)
    assert converted == text if lossless else converted.lower() == text.lower()


@pytest.mark.parametrize(
    "encoding", [name for name in get_args(Encoding) if not name.startswith("unicode")]
)
def test_a_letter_is_recognised_and_comes_back_whole(encoding: Encoding) -> None:
    (text,) = assess([Run(encoded(LETTER, encoding), "body")])
    assert text.encoding == encoding or (encoding == "tcvn5712-vn1" and text.encoding == "tcvn3")
    assert text.certain
    assert text.share > 0.95
    assert text.place == "body"
    assert LETTER.startswith(text.converted.replace("ủy", "Ủy"))
    (run,) = convert([Run(encoded(LETTER, encoding), "body")])
    assert run.text.lower() == LETTER.lower()


@pytest.mark.parametrize("encoding", list(decoders()))
def test_every_letter_has_a_way_back(encoding: Encoding) -> None:
    letters = {letter for _, _, _, letter, *_ in table_rows("decode-viscii.tsv")}
    for letter in sorted(letters):
        assert to_unicode(encoded(letter, encoding), encoding).lower() == letter.lower()


def test_capitals_of_vn1_tell_it_from_tcvn3() -> None:
    text = encoded(
        f"{LETTER}\nỦY BAN NHÂN DÂN TỈNH MẪU\nKẾ HOẠCH TRIỂN KHAI NHIỆM VỤ", "tcvn5712-vn1"
    )
    (fact,) = assess([Run(text)])
    assert fact.encoding == "tcvn5712-vn1"
    assert "TỈNH MẪU" in convert([Run(text)])[0].text


@pytest.mark.parametrize("case", no_private_encoding(), ids=lambda case: case["name"])
def test_innocent_text(case: dict[str, Any]) -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, case["text"])
        assert assess([Run(text)]) == ()
        assert (
            assess([Run(line, f"line {index}") for index, line in enumerate(text.split("\n"))])
            == ()
        )
        assert assess([Run(word, f"B{index}") for index, word in enumerate(text.split())]) == ()
        assert convert([Run(text)]) == (Run(unicodedata.normalize("NFC", text)),)


def test_all_innocent_text_in_one_file() -> None:
    runs = [
        Run(line, str(index))
        for index, case in enumerate(no_private_encoding())
        for line in case["text"].split("\n")
    ]
    assert assess(runs * 20) == ()


def test_fonts_never_convict() -> None:
    assert assess([Run(LETTER, font=".VnTimeH"), Run("Le café est fermé.", font="VNI-Times")]) == ()


def test_fonts_choose_between_encodings() -> None:
    text = "Bµ Lª"  # Bà Lê in TCVN3, and something in others
    assert convert([Run(HEADING, "1", ".VnTime"), Run(text, "2", ".VnTime")])[1].text == "Bà Lê"


@pytest.mark.parametrize(
    ("font", "encoding", "capitals"),
    [
        (".VnTime", "tcvn3", False),
        (".VnTimeH", "tcvn3", True),
        (".VnArial NarrowH", "tcvn3", True),
        ("FBHPEM+VnTimeH", "tcvn3", True),
        ("CCBODP+.VnTime,Bold", "tcvn3", False),
        (".VnTimeHBold", "tcvn3", True),
        (".VnTimeH Tur", "tcvn3", True),
        ("VNI-Times", "vni-win", False),
        ("VPS Times Hoa", "vps", True),
        ("VNtimes new roman", None, False),  # an encoding that is not read here
        ("UVN Anh Hai", None, False),
        ("Times New Roman", None, False),
        ("", None, False),
    ],
)
def test_font_names(font: str, encoding: Encoding | None, capitals: bool) -> None:
    assert font_family(font) == (encoding, capitals)


def test_capitals_fonts_are_converted_to_capitals() -> None:
    runs = [
        Run("céng hßa x· héi chñ nghÜa viÖt nam\n", "paragraph 1", ".VnTimeH"),
        Run("§éc lËp - Tù do - H¹nh phóc", "paragraph 1", ".VnTime"),
    ]
    assert [run.text for run in convert(runs)] == [
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM\n",
        "Độc lập - Tự do - Hạnh phúc",
    ]
    (fact,) = assess(runs)
    assert fact.converted == "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
    assert fact.as_read == "céng hßa x· héi chñ nghÜa viÖt nam"
    assert fact.font == ".VnTimeH"


def test_typed_capitals_of_tcvn3() -> None:
    assert to_unicode("TOµN TØNH, Hµ Néi, Uû ban, Q§", "tcvn3") == "TOÀN TỈNH, Hà Nội, Uỷ ban, QĐ"


def test_vni_mixes_the_case_of_marks() -> None:
    assert to_unicode("UÛy ban, Uûy ban, UÛY BAN", "vni-win") == "Ủy ban, Ủy ban, ỦY BAN"


def test_vni_of_converters_that_write_base_and_mark() -> None:
    assert to_unicode("chiùnh, lyï do", "vni-win") == "chính, lỵ do"


@pytest.mark.parametrize(
    "as_read",
    [
        "Thñ t\u00adíng ChÝnh phñ n\u00adíc l·nh ®¹o vµ",
        "Thñ t\u2212íng ChÝnh phñ n\u2212íc l\u2219nh ®¹o v\u03bc",  # as PDF text layers have it
        "Thñ t\ufffeíng ChÝnh phñ n\u00ad\u00adíc l·nh ®¹o vµ",
        "".join(
            chr(0xF000 + ord(sign)) if ord(sign) > 0x7F else sign
            for sign in "Thñ t\u00adíng ChÝnh phñ n\u00adíc l·nh ®¹o vµ"
        ),
    ],
)
def test_substitutes_for_letters(as_read: str) -> None:
    (fact,) = assess([Run(as_read)])
    assert fact.encoding == "tcvn3"
    assert fact.converted == "Thủ tướng Chính phủ nước lãnh đạo và"


def test_double_encoding() -> None:
    once = as_cp1252("Thông báo lịch công tác tuần của lãnh đạo và các phòng".encode())
    twice = as_cp1252(once.encode())
    for broken in (once, twice, once.replace("\u00a0", " "), "".join(map(chr, LETTER.encode()))):
        (fact,) = assess([Run(broken)])
        assert fact.encoding == "utf8-as-cp1252"
        assert fact.certain
    assert to_unicode(once.replace("\u00a0", " "), "utf8-as-cp1252").startswith("Thông báo lịch")


def test_mixed_paragraphs_are_told_apart() -> None:
    lines = LETTER.split("\n") * 3
    ways: list[Encoding] = ["tcvn3", "vni-win", "unicode"]
    runs = [
        Run(line if way == "unicode" else encoded(line, way), f"paragraph {index}")
        for index, (line, way) in enumerate(zip(lines, ways * 5, strict=True))
    ]
    assert {fact.encoding for fact in assess(runs)} == {"tcvn3", "vni-win"}
    assert [run.text.lower() for run in convert(runs)] == [line.lower() for line in lines]


def test_one_legacy_paragraph_in_a_unicode_file_has_its_place() -> None:
    runs = [
        Run(line, f"paragraph {index}") for index, line in enumerate(LETTER.split("\n"), start=1)
    ]
    runs.insert(
        3, Run(encoded("Trân trọng cảm ơn sự phối hợp của quý cơ quan", "vni-win"), "paragraph 9")
    )
    (fact,) = assess(runs)
    assert (fact.encoding, fact.place, fact.certain) == ("vni-win", "paragraph 9", True)
    assert convert(runs)[4] == runs[4]


def test_short_cells_add_up() -> None:
    words = ["Tổng số", "Đồng Nai", "Bình Định", "Hà Nội", "Quý một", "Đơn vị"]
    cells = [Run(encoded(word, "tcvn3"), f"B{row}") for row, word in enumerate(words)]
    assert assess(cells[:1]) == ()
    (few,) = assess(cells[:2])
    assert not few.certain
    (fact,) = assess(cells)
    assert fact.certain
    assert fact.words == 9  # `Quý mét` may be Unicode
    assert [run.text for run in convert(cells)] == words


def test_short_foreign_cells_do_not_add_up() -> None:
    words = [
        "på",
        "må",
        "én",
        "så",
        "får",
        "når",
        "også",
        "større",
        "være",
        "følgende",
        "går",
        "år",
        "sé",
        "té",
        "café",
        "à",
        "là",
        "été",
        "élève",
    ]
    assert assess([Run(word, f"B{row}") for row, word in enumerate(words * 30)]) == ()


@pytest.mark.parametrize(
    ("words", "certain"),
    [
        ("Hà Nội", None),
        ("Thông báo số", False),
        ("Về việc nghỉ lễ quốc khánh", False),
        ("Quyết định về việc ban hành quy chế quản lý hệ thống", True),
    ],
)
def test_short_strings(words: str, certain: bool | None) -> None:
    found = assess([Run(encoded(words, "tcvn3"))])
    assert [fact.certain for fact in found] == ([] if certain is None else [certain])


def test_encoding_of_short_text() -> None:
    assert encoding_of(HEADING) == "tcvn3"
    assert encoding_of("Cộng hòa") == "unicode"
    assert encoding_of(unicodedata.normalize("NFD", "Cộng hòa")) == "unicode-nfd"
    assert encoding_of("") == "unicode"


def test_reading_is_assessment_and_conversion() -> None:
    runs = [Run(encoded(LETTER, "vni-win"), "body"), Run(LETTER, "part 2")]
    assert read(runs) == (assess(runs), convert(runs))


def test_evidence_is_short() -> None:
    (fact,) = assess([Run(encoded(LETTER.replace("\n", " "), "tcvn3"))])
    assert len(fact.as_read) <= 120
    assert len(fact.converted) <= 120


def test_conversion_keeps_runs_and_line_ends() -> None:
    runs = [
        Run("Céng\n\nhßa x· héi\n", "a"),
        Run("", "a"),
        Run("chñ nghÜa", "a"),
        Run("ViÖt Nam", "b"),
    ]
    assert [run.text for run in convert(runs)] == [
        "Cộng\n\nhòa xã hội\n",
        "",
        "chủ nghĩa",
        "Việt Nam",
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Run,
            st.text(max_size=60),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["", ".VnTimeH", "VNI-Times"]),
        ),
        max_size=6,
    )
)
def test_any_text_can_be_read(runs: list[Run]) -> None:
    texts, converted = read(runs)
    assert [(run.place, run.font) for run in converted] == [(run.place, run.font) for run in runs]
    assert all(fact.words >= 3 for fact in texts)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_viewed(data: bytes) -> None:
    text = as_cp1252(data)
    assert len(text) == len(data)
    assess([Run(text)])


def test_stretches_of_legislation_are_recognised_from_eight_words_on() -> None:
    chance = random.Random(4)
    words = " ".join(
        text for text, encoding, _, _ in table_vectors() if encoding == "unicode-nfd"
    ).split()
    words = [word for word in words if len(word) > 1]
    for encoding in ("tcvn3", "vni-win"):
        found = 0
        for _ in range(100):
            start = chance.randrange(len(words) - 12)
            facts = assess([Run(encoded(" ".join(words[start : start + 12]), encoding))])
            found += [fact.encoding for fact in facts] == [encoding]
        assert found >= 90


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Lie^n ke^'t na`y.", "Liên kết này."),
        ("Ha` No^.i.", "Hà Nội."),
        ("tha(m chu+a?", "thăm chưa?"),
        ("ma. la` co+ quan. tu+o+ng tu+.", "mạ là cơ quan. tương tự"),
        ("ca? to^? ddo^. thuy?", "cả tổ độ thuỷ"),
    ],
)
def test_a_full_stop_behind_a_word_in_viqr(written: str, text: str) -> None:
    assert to_unicode(written, "viqr") == text
