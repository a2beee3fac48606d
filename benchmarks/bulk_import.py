"""A staff list of a nation's size: preview, writing, and the second run that finds nothing to do.

    python benchmarks/bulk_import.py [people] [agencies]

Prints seconds and peak memory of each run of the command line, on SQLite in a temporary folder.
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import xlsxwriter
from sqlalchemy import insert

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.db.models import Agency, Domain

FAMILY = [
    "Nguyễn",
    "Trần",
    "Lê",
    "Phạm",
    "Hoàng",
    "Huỳnh",
    "Phan",
    "Vũ",
    "Võ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
    "Dương",
    "Lý",
]
MIDDLE = [
    "Văn",
    "Thị",
    "Minh",
    "Đức",
    "Hữu",
    "Ngọc",
    "Thanh",
    "Quang",
    "Xuân",
    "Thu",
    "Hải",
    "Đình",
    "Bảo",
    "Gia",
]
GIVEN = [
    "An",
    "Anh",
    "Bình",
    "Châu",
    "Chi",
    "Dũng",
    "Đạt",
    "Giang",
    "Hà",
    "Hạnh",
    "Hưởng",
    "Khoa",
    "Lan",
    "Linh",
    "Mai",
    "Nam",
    "Ý",
    "Yến",
]


def main(people: int, agencies: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "mailgov.toml").write_text(f'[data]\npath = "{folder}/data"\n')
        _directory(folder, agencies)
        sheet = folder / "can-bo.xlsx"
        _sheet(sheet, people, agencies)
        sys.stdout.write(
            f"{people:,} people, {agencies:,} agencies, {sheet.stat().st_size / 1e6:.1f} MB\n"
        )
        for name_of, options in (
            ("preview", ["--dry-run"]),
            ("import", ["--yes"]),
            ("again", ["--yes"]),
        ):
            seconds = _run(folder, "mailbox", "import", str(sheet), *options)
            sys.stdout.write(f"{name_of:10} {seconds:6.1f} s\n")
        for what in (
            ["mailbox", "list", "--limit", "50"],
            ["mailbox", "list", "--agency", "H01.A0"],
        ):
            sys.stdout.write(f"{' '.join(what):40} {_run(folder, *what):6.2f} s\n")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        sys.stdout.write(f"peak memory of any run {peak:.0f} MB\n")


def _directory(folder: Path, agencies: int) -> None:
    database = Database(f"sqlite:///{folder}/data/mailgov.db")
    migrate(database)
    now = utc_now()
    tops = [
        {"id": n + 1, "code": f"H{n + 1:02}", "name_vi": f"Tỉnh {n + 1}", "level": "province"}
        for n in range(34)
    ]
    units = [
        {
            "id": n + 35,
            "code": f"H{n % 34 + 1:02}.A{n}",
            "name_vi": f"Đơn vị {n}",
            "level": "department",
            "parent_id": n % 34 + 1,
        }
        for n in range(agencies - 34)
    ]
    empty = {"parent_id": None, "name_en": "", "short_name": "", "headcount": 0}
    more = {"regulation": "", "office_mailbox": "", "created_at": now}
    with database.write() as session:
        session.connection().execute(
            insert(Agency), [{**empty, **more, **row} for row in (*tops, *units)]
        )
        session.connection().execute(
            insert(Domain),
            [
                {"name": f"a{row['id']}.gov.vn", "agency_id": row["id"], "created_at": now}
                for row in (*tops, *units)
            ],
        )
    database.close()


def _sheet(file: Path, people: int, agencies: int) -> None:
    chance = random.Random(1)  # noqa: S311 - the same list each time
    with xlsxwriter.Workbook(str(file), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Danh sách")
        for column, heading in enumerate(("Số hiệu", "Họ và tên", "Mã cơ quan", "Chức vụ")):
            sheet.write_string(0, column, heading)
        for number in range(people):
            unit = number % (agencies - 34)
            name = " ".join(map(chance.choice, (FAMILY, MIDDLE, MIDDLE, GIVEN)))
            row = (f"VC-{number:06}", name, f"H{unit % 34 + 1:02}.A{unit}", "Chuyên viên")
            for column, cell in enumerate(row):
                sheet.write_string(number + 1, column, cell)


def _run(folder: Path, *command: str) -> float:
    started = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mailgov_cli", *command, "--config", f"{folder}/mailgov.toml", "-q"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ("100000", "5000")))
