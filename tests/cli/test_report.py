"""`mailgov report`: tables for people, files for programs, and who asked is kept."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from mailgov import ledger
from mailgov.db import Database
from mailgov.db.models import EventRow
from mailgov.ledger.events import MessageAccepted, MessageRefused

from .conftest import Run

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)


@pytest.fixture
def mail(database: Database) -> Database:
    """An invitation that went out, and a letter that was refused."""
    with database.write() as session:
        ledger.record(
            session,
            MessageAccepted(
                at=AT, message_id="m1", agency_code="H99.02", direction="submission",
                action="pass", category="invitation", number="12",
            ),
            MessageRefused(
                at=AT, message_id="m2", agency_code="H99.02", direction="submission",
                code="legacy-encoding", codes=["legacy-encoding"],
            ),
        )  # fmt: skip
    return database


def test_the_list_names_every_report_in_the_readers_language(folder: Path, run: Run) -> None:
    names = {row["report"]: row["name"] for row in run("report", "list", "--json").data}
    assert names["coverage"] == "Tỷ lệ được cấp hộp thư"
    assert (
        run("report", "list", "--json", "--lang", "en").data[0]["name"] == "Provision of mailboxes"
    )
    assert list(names) == ["coverage", "active-use", "documents", "violations"]


def test_show_gives_the_definition_with_its_version(folder: Path, run: Run) -> None:
    record = run("report", "show", "active-use", "--json", "--lang", "en").data[0]
    assert "50 % of the working days" in record["definition"]
    assert record["version"] == 1


def test_run_prints_total_first_and_the_definition_beside_it(mail: Database, run: Run) -> None:
    done = run(
        "report", "run", "documents", "--period", "2026-11", "--by", "category", "--lang", "en"
    )
    assert done.exit == 0
    lines = done.stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["key", "name", "hidden", "documents"]
    assert lines[1].split("\t")[:4] == ["", "Total", "false", "1"]
    assert lines[2].split("\t")[:4] == ["invitation", "Invitations", "false", "1"]
    assert "Definition: Messages with a document" in done.stderr
    assert "Provisional" in done.stderr


def test_people_get_a_table_in_their_language(mail: Database, run: Run) -> None:
    done = run("report", "run", "documents", "--period", "2026-11", "--format", "table")
    assert done.stdout.split("\n")[0].split()[:4] == ["Cơ", "quan", "Tên", "Văn"]


def test_json_has_a_schema_numbers_and_a_fingerprint(mail: Database, run: Run) -> None:
    done = run("report", "run", "violations", "--period", "2026-11", "--json")
    assert json.loads(done.stdout)["schema"] == "report.run/1"
    record = done.data[0]
    assert record["total"]["refused"] == 1
    assert record["rows"][0]["key"] == "legacy-encoding"
    assert len(record["sha256"]) == 64


def test_the_ending_of_the_file_chooses_the_format(
    mail: Database, run: Run, tmp_path: Path
) -> None:
    for ending in ("csv", "xlsx"):
        file = tmp_path / f"thang-11.{ending}"
        done = run("report", "run", "documents", "--period", "2026-11", "-o", str(file))
        assert (done.exit, done.stdout) == (0, "")
    text = (tmp_path / "thang-11.csv").read_text(encoding="utf-8-sig")
    assert next(csv.reader(io.StringIO(text)))[0] == "Cơ quan"
    assert zipfile.is_zipfile(tmp_path / "thang-11.xlsx")
    assert sorted(path.name for path in tmp_path.glob("*thang*")) == [
        "thang-11.csv",
        "thang-11.xlsx",
    ]


def test_who_ran_a_report_is_kept(mail: Database, run: Run) -> None:
    run("report", "run", "coverage", "--period", "2026-10", "--agency", "H99")
    with mail.read() as session:
        event = session.exec(select(EventRow).where(EventRow.kind == "report.run")).one()
    assert event.actor.startswith("cli:")
    assert event.data == {
        "report": "coverage", "period": "2026-10", "agency": "H99", "rows": False, "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("show", "popularity"), 3, "report-unknown"),
        (("run", "popularity"), 3, "report-unknown"),
        (("run", "coverage", "--period", "tháng 10"), 6, "period-not-valid"),
        (("run", "coverage", "--agency", "H99.98"), 3, "agency-unknown"),
        (("run", "coverage", "--by", "rule"), 6, "report-cut-unknown"),
        (("run", "coverage", "-o", "/no/such/folder/x.xlsx"), 6, "file-unwritable"),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(
    folder: Path, run: Run, args: tuple[str, ...], code: int, told: str
) -> None:
    done = run("report", *args)
    assert done.exit == code
    assert f"Lỗi {told}: " in done.stderr
    assert "Cách sửa: " in done.stderr
