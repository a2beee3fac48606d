"""`mailgov convert`: new files beside or in a folder, never over another."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mailgov.content.encodings import as_cp1252
from mailgov.content.vietnamese import table_rows

from .conftest import Run

TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override '
    'PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
TEXT = "1;Kính gửi các đơn vị, đề nghị nộp báo cáo trước ngày mùng năm\r\n2;Hoàng Bảo Lâm\r\n"


@pytest.fixture
def legacy(folder: Path) -> Path:
    """A list in TCVN3."""
    codes = {row[3]: bytes.fromhex(row[0]) for row in table_rows("decode-tcvn3.tsv")}
    data = b"".join(codes.get(letter, letter.encode("ascii", "ignore")) for letter in TEXT)
    assert as_cp1252(data).startswith("1;KÝnh göi")
    (folder / "ds.csv").write_bytes(data)
    return folder / "ds.csv"


def test_a_new_file_beside_the_original(run: Run, legacy: Path) -> None:
    before = legacy.read_bytes()
    result = run("convert", "ds.csv")
    assert (result.exit, legacy.read_bytes()) == (0, before)
    assert (legacy.parent / "ds.unicode.csv").read_bytes() == b"\xef\xbb\xbf" + TEXT.encode()
    assert result.stdout.splitlines()[1] == "ds.csv\tconverted\tds.unicode.csv\ttcvn3\t2\t0"
    assert result.stderr == (
        "ds.csv: đã chuyển 2 chỗ, 0 chỗ cần xem lại; tệp mới là ds.unicode.csv\n"
    )
    again = run("convert", "ds.csv", "--json")
    assert (again.exit, again.error["code"]) == (6, "convert-exists")
    assert sorted(path.name for path in legacy.parent.glob("*ds*")) == ["ds.csv", "ds.unicode.csv"]


def test_a_folder_of_new_files(run: Run, legacy: Path) -> None:
    assert run("convert", "ds.csv", "-o", "moi").exit == 0
    assert (legacy.parent / "moi" / "ds.csv").is_file()
    assert run("convert", "ds.csv", "-o", ".", "--json").error["code"] == "convert-exists"


def test_a_dry_run_shows_and_keeps_nothing(run: Run, legacy: Path) -> None:
    result = run("convert", "ds.csv", "-n", "--json", "-o", "moi")
    assert result.exit == 0
    (row,) = result.data
    assert row["target"] == "moi/ds.csv"
    assert row["changes"][0]["place"] == "line 1"
    assert row["changes"][0]["after"] == TEXT.splitlines()[0]
    assert not (legacy.parent / "moi").exists()


def test_doubtful_places_are_named(run: Run, legacy: Path) -> None:
    legacy.write_bytes("B¸o c¸o th¸ng m\xadêi\n".encode("cp1252"))
    told = run("convert", "ds.csv", "--lang", "en").stderr.splitlines()
    assert told[0].startswith("ds.csv: 1 places converted, 1 doubtful")
    assert told[1].startswith('  look at file "ds.csv" (line 1): too few words')


@pytest.mark.parametrize(("language", "why"), [("vi", "bị hỏng"), ("en", "damaged")])
def test_what_can_not_be_read_is_told_in_words(
    run: Run, legacy: Path, language: str, why: str
) -> None:
    with zipfile.ZipFile(legacy, "w") as package:
        package.writestr("[Content_Types].xml", TYPES)
        package.writestr("word/document.xml", "<w:p")
    told = run("convert", "ds.csv", "--lang", language)
    assert told.exit == 6
    assert why in told.stderr.splitlines()[0]


def test_the_encoding_can_be_given(run: Run, legacy: Path) -> None:
    legacy.write_bytes("Hoä ñeàn buø\n".encode("cp1252"))
    assert run("convert", "ds.csv", "--from", "vni").exit == 0
    assert "Hộ đền bù" in (legacy.parent / "ds.unicode.csv").read_text("utf-8")
    assert run("convert", "ds.csv", "--from", "utf-9").exit == 2


def _piped(data: bytes, *options: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "mailgov_cli", *options, "convert", "-"],
        input=data, capture_output=True, check=False,
    )  # fmt: skip


def test_standard_input_to_standard_output(legacy: Path) -> None:
    done = _piped(legacy.read_bytes())
    assert (done.returncode, done.stdout.decode()) == (0, TEXT)
    assert "đã chuyển 2 chỗ" in done.stderr.decode()
    again = _piped(done.stdout)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    refused = _piped(b"%PDF-1.7\n%%EOF")
    assert (refused.returncode, refused.stdout) == (6, b"")


def test_standard_input_stands_alone(run: Run, legacy: Path) -> None:
    for arguments in (("-", "ds.csv"), ("-", "--json"), ("-", "-o", "moi")):
        assert run("convert", *arguments).exit == 2
    assert legacy.exists()
