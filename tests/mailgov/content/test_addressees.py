"""Whom a document is addressed to."""

import pytest

from mailgov.content.addressees import addressees
from mailgov.content.documents import in_document
from mailgov.content.lines import lines_of
from mailgov.content.runs import Run

LETTER = (
    "BỘ NỘI VỤ\nSố: 12/BNV-VP\nV/v báo cáo\nKính gửi: Sở Nội vụ tỉnh Mẫu\nNội dung.\n"
    "Nơi nhận:\n- Như trên;\n- Bộ trưởng (để b/c);\n- Lưu: VT, VP.\nTL. BỘ TRƯỞNG"
)


def _named(text: str) -> tuple[str, ...]:
    return addressees(lines_of([Run(text)], 1000))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Kính gửi: Sở Nội vụ tỉnh Mẫu.\nĐể báo cáo", ("Sở Nội vụ tỉnh Mẫu",)),
        ("Kính gửi:\n- Bộ Tài chính;\n- UBND tỉnh Mẫu.\nNội dung", ("Bộ Tài chính", "UBND tỉnh Mẫu")),
        ("KÍNH GỬI: Bộ Tài chính; Bộ Nội vụ", ("Bộ Tài chính", "Bộ Nội vụ")),
        ("Nơi nhận:\tTM. ỦY BAN NHÂN DÂN\n- Sở Tài chính;\tCHỦ TỊCH\n- Lưu: VT.", ("Sở Tài chính",)),
        ("Nơi nhận:\n- Như trên;\n- Lưu VT.", ()),
        ("Xin kính gửi lời chào", ()),
        ("Kính gửi lời chúc\nKính gửi: Sở X", ("lời chúc",)),
        ("", ()),
    ],
)  # fmt: skip
def test_names_behind_the_labels(text: str, names: tuple[str, ...]) -> None:
    assert _named(text) == names


def test_a_document_carries_them() -> None:
    found = in_document(lines_of([Run(LETTER)], 1000), (), "part 2")
    assert found is not None
    assert found.addressees == ("Sở Nội vụ tỉnh Mẫu", "Bộ trưởng")


def test_long_lists_are_cut() -> None:
    assert len(_named("Kính gửi:\n" + "\n".join(f"- Sở {n}" for n in range(100)))) == 20
