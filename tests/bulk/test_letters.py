"""Letters: one page each, one file per unit, readable by nobody else, and the link nowhere but there."""

import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import pytest
from sqlmodel import select

from mailgov.bulk.letters import Letter, Sender, write_letters
from mailgov.db import Database
from mailgov.db.models import Activation, Mailbox
from mailgov.errors import InputError

from . import clerks
from .clerks import BICH, CUONG, HEADINGS
from .conftest import Run

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
SENDER = Sender("Trung tâm Công nghệ thông tin tỉnh Mẫu", "0200 000 000", "vi")
HARD = Letter(
    name="Nguyễn Hữu Đặng Phượng Ưỡng",
    title="Phó Trưởng phòng",
    address="uongnhdp@sonoivu.tinhmau.test",
    agency_code="H99.02.01",
    agency_name="Phòng Cải cách hành chính " * 4,
    link="https://mail.tinhmau.test/activate/" + "w" * 90,
    expires_at=NOW,
)
LINK = re.compile(r"/activate/([A-Za-z0-9_-]{20,})")


def text_of(file: Path | bytes) -> list[str]:
    """The words of each page."""
    document = pypdfium2.PdfDocument(file)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def test_vietnamese_letters_stand_in_the_file_as_letters_of_its_own_font(tmp_path: Path) -> None:
    [file] = write_letters(tmp_path / "thu.pdf", [HARD], SENDER, NOW)
    [page] = text_of(file)
    assert "Kính gửi: Ông/Bà Nguyễn Hữu Đặng Phượng Ưỡng" in page
    assert "THƯ CẤP HỘP THƯ ĐIỆN TỬ CÔNG VỤ" in page
    assert HARD.address in page
    assert b"/FontFile2" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_runs_over_the_margins(tmp_path: Path) -> None:
    [file] = write_letters(tmp_path / "thu.pdf", [HARD], SENDER, NOW)
    document = pypdfium2.PdfDocument(file)
    bitmap = document[0].render(scale=1, grayscale=True)
    ink, stride = bytes(bitmap.buffer), bitmap.stride
    rows = [ink[y * stride : y * stride + bitmap.width] for y in range(bitmap.height)]
    document.close()
    inked = [y for y, row in enumerate(rows) if min(row[90:535]) < 128]
    assert min(inked) > 40
    assert max(inked) < 800
    assert all(min(row[540:550]) > 128 for row in rows)  # right of the text


def test_a_file_for_each_unit_a_zip_or_a_folder(tmp_path: Path) -> None:
    other = Letter(
        **{name: getattr(HARD, name) for name in HARD.__slots__} | {"agency_code": "H99.02"}
    )
    names = [file.name for file in write_letters(tmp_path / "thu.pdf", [HARD, other], SENDER, NOW)]
    assert names == ["thu-H99.02.pdf", "thu-H99.02.01.pdf"]
    folder = write_letters(tmp_path / "thu", [HARD, other], SENDER, NOW)
    assert [file.name for file in folder] == ["H99.02.pdf", "H99.02.01.pdf"]
    assert (tmp_path / "thu").stat().st_mode & 0o777 == 0o700
    [packed] = write_letters(tmp_path / "thu.zip", [HARD, other], SENDER, NOW)
    assert packed.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["H99.02.pdf", "H99.02.01.pdf"]
    with pytest.raises(InputError, match="letters-there"):
        write_letters(tmp_path / "thu.zip", [HARD], SENDER, NOW)


def test_an_import_writes_letters_with_links_that_work_and_stand_nowhere_else(
    run: Run, folder: Path
) -> None:
    rows = [HEADINGS, BICH, CUONG]
    clerks.workbook(folder / "cb.xlsx", lambda _book, page: clerks.rows_at(page, 0, rows))
    told = run("mailbox", "import", "cb.xlsx", "--yes", "--letters", "thu.pdf", "-v")
    assert told.exit == 0, told.stderr
    pages = [text_of(folder / f"thu-{code}.pdf")[0] for code in ("H99.02", "H99.02.01")]
    assert "bichtt@sonoivu.tinhmau.test" in pages[0]
    assert "cuonglv@sonoivu.tinhmau.test" in pages[1]
    tokens = [found[1] for page in pages if (found := LINK.search(page.replace("\r\n", "")))]
    assert len(tokens) == 2
    database = (folder / "data" / "mailgov.db").read_bytes()
    for token in tokens:
        assert token not in told.stdout + told.stderr
        assert token[:20].encode() not in database
    again = run("mailbox", "import", "cb.xlsx", "--yes", "--letters", "thu.pdf")
    assert again.exit == 0  # nothing to give, so nothing in the way


def test_letters_are_never_written_over(run: Run, folder: Path) -> None:
    clerks.workbook(
        folder / "cb.xlsx", lambda _book, page: clerks.rows_at(page, 0, [HEADINGS, BICH])
    )
    (folder / "thu.pdf").write_bytes(b"thu cu")
    told = run("mailbox", "import", "cb.xlsx", "--yes", "--letters", "thu.pdf", "--json")
    assert (told.exit, told.error["code"]) == (6, "letters-there")
    assert run("job", "list", "--json").data == []
    assert (folder / "thu.pdf").read_bytes() == b"thu cu"


def test_what_was_given_a_letter_can_still_be_taken_back(
    run: Run, folder: Path, database: Database
) -> None:
    clerks.workbook(
        folder / "cb.xlsx", lambda _book, page: clerks.rows_at(page, 0, [HEADINGS, BICH])
    )
    assert run("mailbox", "import", "cb.xlsx", "--yes", "--letters", "thu.pdf").exit == 0
    [job] = run("job", "list", "--json").data
    assert run("job", "undo", job["job"], "--yes").exit == 0
    with database.read() as session:
        assert session.exec(select(Activation)).all() == []
        assert "bichtt@sonoivu.tinhmau.test" not in session.exec(select(Mailbox.address)).all()


def test_one_mailbox_is_reset_by_letter(run: Run, folder: Path) -> None:
    told = run("mailbox", "reset", "annv@sonoivu.tinhmau.test", "--letters", "an.pdf", "--json")
    assert told.exit == 0, told.stderr
    assert "activate" not in told.stdout + told.stderr
    assert "/activate/" in text_of(folder / "an.pdf")[0]
