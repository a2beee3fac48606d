"""Every role, every command, another branch: neither seen nor changed, nor known to be there.

Each command runs twice, once with names of the other branch and once with names that nobody has. Were
one told apart from the other, somebody could learn that the branch exists.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import select

from mailgov.access import ACTS, VERBS, Authority, Role, act_of
from mailgov.bulk.comparing import Finding
from mailgov.bulk.review import write_review
from mailgov.db import Database
from mailgov.db.models import EventRow
from mailgov.directory.provisioning import grant_role
from mailgov_cli.app import NOUNS, Program

from ..support.directory import act
from .conftest import HOLDERS, THEIR_HELD, THEIRS, Run

CASES: dict[str, list[str]] = tomllib.loads(
    Path(__file__).with_name("matrix.toml").read_text("utf-8")
)["cases"]

_THEIRS = {
    "agency": "H98.01",
    "top": "H98",
    "domain": "kin.test",
    "address": "mot@kin.test",
    "office": "vanthu@kin.test",
    "alias": "bidanh@kin.test",
    "group": "nhom@kin.test",
    "selector": "kin",
    "job": "imp-2026-11-20-1",
    "staff_no": "KIN-1",
    "approval": "apr-2026-11-20-1",
    "plan": "1",
    "message": THEIRS,
    "held": THEIR_HELD,
}
_NOBODYS = {
    "agency": "H96.01",
    "top": "H96",
    "domain": "kex.test",
    "address": "mot@kex.test",
    "office": "vanthu@kex.test",
    "alias": "bidanh@kex.test",
    "group": "nhom@kex.test",
    "selector": "kex",
    "job": "imp-2026-11-20-7",
    "staff_no": "KEX-1",
    "approval": "apr-2026-11-20-7",
    "plan": "7",
    "message": "0eeeeeeeeeeeeeeeeeee",
    "held": "0fffffffffffffffffff",
}
_TWICE = (("theirs", _THEIRS), ("nobodys", _NOBODYS))
# What changes from run to run whoever asks.
_PASSING = re.compile(r"\d{2}:\d{2}:\d{2}\S*|\b[0-9a-f]{8}\b|\bimp-[\d-]+(?:<plan>)?")


def commands() -> Iterator[str]:
    """Every command of the program."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[str]:
        if hasattr(command, "commands"):
            for name, below in command.commands.items():
                yield from walk(below, (*path, name))
        else:
            yield " ".join(path)

    program: Any = Program(name="mailgov")
    for noun in NOUNS:
        yield from walk(program.get_command(None, noun), (noun,))


ALL = tuple(commands())


def permitted(role: str) -> list[str]:
    """The commands that somebody in the role may use somewhere."""
    return [one for one in ALL if act_of(one) is not None and act_of(one) in ACTS[role]]


# Nothing forgotten --------------------------------------------------------------------------------


def test_every_command_that_a_role_may_use_is_tried() -> None:
    open_to_roles = {one for role in HOLDERS for one in permitted(role)}
    assert sorted(open_to_roles - CASES.keys()) == []


def test_what_is_open_to_everybody_touches_no_agency() -> None:
    nobodys = {verb for verb, act in VERBS.items() if act is None}
    assert nobodys & set(ALL) <= {
        "help",
        "convert",
        "mailbox template",
        "group template",
        "agency template",
        "policy list",
        "policy explain",
        "policy check",
        "policy lint",
        "report list",
        "report show",
        "completion bash",
        "completion zsh",
        "completion fish",
        "completion powershell",
        "completion install",
    }


def test_a_new_command_belongs_to_whoever_runs_the_platform() -> None:
    assert act_of("province abolish") == "operate"
    assert not Authority("x", (Role("it", "H99"), Role("auditor"))).permits("operate")
    for role in HOLDERS:
        assert "operate" not in ACTS[role]


# The matrix ---------------------------------------------------------------------------------------


@pytest.fixture
def files(folder: Path) -> dict[str, str]:
    """Sheets that name the other branch, and a password."""
    made = {"password": "mat-khau.txt"}
    (folder / "mat-khau.txt").write_text("Song dai 9 nhip cau!\n")
    for kind, names in (("theirs", _THEIRS), ("nobodys", _NOBODYS)):
        staff = (
            ("Số hiệu", "Họ và tên", "Mã cơ quan", "Địa chỉ thư", "Loại hộp thư"),
            ("VC-77", "Trần Thị Bích", names["agency"], "", ""),
            ("VC-78", "Trần Thị Bích", "H99.02", f"bich@{names['domain']}", ""),
            ("", "Kho", "H99.02", names["office"], "dùng chung"),
        )
        groups = (
            ("Nhóm", "Thành viên"),
            (names["group"], "annv@sonoivu.tinhmau.test"),
        )
        agencies = (
            ("Mã cơ quan", "Tên cơ quan", "Cấp", "Mã cơ quan cấp trên"),
            (f"{names['agency']}.01", "Phòng Thử", "phòng, đơn vị thuộc sở", names["agency"]),
            (names["agency"], "Sở Thử", "sở, ngành", names["top"]),
        )
        sheets = {"sheet": staff, "groups": groups, "agencies": agencies}
        for name, rows in sheets.items():
            file = folder / f"{name}-{kind}.xlsx"
            with xlsxwriter.Workbook(str(file)) as book:
                page = book.add_worksheet("x")
                for line, row in enumerate(rows):
                    page.write_row(line, 0, row)
    for kind, names in (("theirs", _THEIRS), ("nobodys", _NOBODYS)):
        finding = Finding(
            kind="left",
            decision="suspend",
            staff_no="KIN-1",
            name="x",
            agency_code=names["agency"],
            address=names["address"],
            mailbox_id=7 if kind == "theirs" else 700,
            person_id=6 if kind == "theirs" else 600,
        )
        write_review(folder / f"review-{kind}.xlsx", [finding], "vi")
    return made


def snapshot(database: Database) -> dict[str, list[Any]]:
    """Every row of the other branch, and those of no branch."""
    from mailgov.db import models

    seen: dict[str, list[Any]] = {}
    with database.read() as session:
        for name in models.__all__:
            table = getattr(models, name).__table__
            rows = session.connection().execute(select(table)).all()
            seen[name] = sorted(repr(row) for row in rows if re.search(r"(?i)kin\b", repr(row)))
    return seen


def arguments(case: str, names: dict[str, str], files: dict[str, str], kind: str) -> list[str]:
    places = {
        **names,
        **files,
        "sheet": f"sheet-{kind}.xlsx",
        "groups": f"groups-{kind}.xlsx",
        "agencies": f"agencies-{kind}.xlsx",
        "review": f"review-{kind}.xlsx",
    }
    return shlex.split(re.sub(r"\{(\w+)\}", lambda found: places[found[1]], case))


def neutral(text: str) -> str:
    """The text without the names that were typed and without the time."""
    for place, name in _THEIRS.items():
        if len(name) == 1:
            text = re.sub(rf"\b[{name}{_NOBODYS[place]}]\b", f"<{place}>", text)
            continue
        text = text.replace(name, f"<{place}>").replace(_NOBODYS[place], f"<{place}>")
    return _PASSING.sub("", re.sub(r"-(?:theirs|nobodys)\.", ".", text))


@pytest.mark.parametrize("role", HOLDERS)
def test_another_branch_is_neither_seen_nor_changed(
    run: Run, database: Database, files: dict[str, str], role: str
) -> None:
    before = snapshot(database)
    leaks: list[tuple[object, ...]] = []
    for command in ALL:
        if act_of(command) not in ACTS[role]:
            continue
        for case in CASES.get(command, ()):
            told = []
            # What the administrator was told twice is told the others in the same words.
            twice = role == "it" or act_of(command) not in ACTS["it"]
            for kind, names in _TWICE if twice else _TWICE[:1]:
                args = arguments(case, names, files, kind)
                result = run(*command.split(), *args, "--as", HOLDERS[role], "--no-input")
                plain = neutral(result.stdout + result.stderr)
                told.append((result.exit, plain))
                if re.search(r"(?i)\bkin\b", plain.replace("<", " ")):
                    leaks.append((command, case, "seen", result))
            if told[0] != told[-1]:
                leaks.append((command, case, "told apart", told))
            if told[0][0] in (1, 2):
                leaks.append((command, case, "fault", told))
    assert not leaks, "\n\n".join(f"LEAK {one}" for one in leaks)
    assert snapshot(database) == before


@pytest.mark.parametrize("role", HOLDERS)
def test_what_no_role_of_theirs_permits_is_refused(
    run: Run, folder: Path, files: dict[str, str], role: str
) -> None:
    assert folder.exists()
    refused = [one for one in CASES if one in ALL and act_of(one) not in ACTS[role]]
    assert refused
    for command in refused:
        args = arguments(CASES[command][0], _THEIRS, files, "theirs")
        result = run(*command.split(), *args, "--as", HOLDERS[role], "--json")
        assert (command, result.exit) == (command, 4)
        assert result.error["code"] == "act-not-allowed"


@pytest.mark.parametrize(
    "command", ["backup list", "config show", "doctor", "db migrate", "audit conserve", "reload"]
)
@pytest.mark.parametrize("role", HOLDERS)
def test_the_platform_is_run_by_those_who_run_it(
    run: Run, folder: Path, role: str, command: str
) -> None:
    assert folder.exists()
    result = run(*command.split(), "--as", HOLDERS[role], "--json")
    assert (result.exit, result.error["code"]) == (4, "act-not-allowed")


def test_the_own_branch_is_seen_and_changed_and_who_did_it_stands_in_the_ledger(
    run: Run, database: Database
) -> None:
    as_it = ("--as", HOLDERS["it"])
    assert {row["code"] for row in run("agency", "list", "--json", *as_it).data} == {
        "H99.02",
        "H99.02.01",
    }
    assert run("agency", "show", "H99.02.01", *as_it).exit == 0
    assert run("mailbox", "show", "annv@sonoivu.tinhmau.test", *as_it).exit == 0
    added = run(
        *("mailbox", "add", "bichtt@sonoivu.tinhmau.test", "--agency", "H99.02.01"),
        *("--name", "Trần Thị Bích", "--staff-no", "VC-2001", "--reason", "nhận việc", *as_it),
    )
    assert added.exit == 0, added.stderr
    with database.read() as session:
        rows = session.connection().execute(
            select(EventRow.actor, EventRow.data).where(  # type: ignore[call-overload]  # a plain select
                EventRow.mailbox == "bichtt@sonoivu.tinhmau.test"
            )
        )
        found = [(actor, data["reason"]) for actor, data in rows if data["noun"] == "mailbox"]
    assert found == [(f"cli:{_account()} as {HOLDERS['it']}", "nhận việc")]
    assert [row["queue_id"] for row in run("queue", "list", "--json", *as_it).data] == [
        "0aaaaaaaaaaaaaaaaaaa",
        "0ddddddddddddddddddd",
    ]


def test_a_unit_uses_the_domain_above_it_and_learns_of_nobody_there(
    run: Run, database: Database, folder: Path
) -> None:
    with database.write() as session:
        grant_role(session, act(), mailbox=HOLDERS["auditor"], role="it", agency="H99.02.01")
    with xlsxwriter.Workbook(str(folder / "cb.xlsx")) as book:
        page = book.add_worksheet("x")
        for line, row in enumerate(
            (
                ("Số hiệu", "Họ và tên", "Mã cơ quan"),
                ("VC-900", "Nguyễn Văn An", "H99.02.01"),  # the department has one of that name
                ("KIN-1", "Trần Thị Bích", "H99.02.01"),
                ("VC-00417", "Nguyễn Văn An", "H99.02.01"),
                ("VC-901", "Trần Thị Bích", "H99.02"),
            )
        ):
            page.write_row(line, 0, row)
    as_unit = ("--as", HOLDERS["auditor"], "--json")
    rows = run("mailbox", "import", "cb.xlsx", "--dry-run", *as_unit).data
    told = [(row["verb"], row["address"], [p["code"] for p in row["problems"]]) for row in rows]
    assert told == [
        ("add", "annv.cchc@sonoivu.tinhmau.test", []),
        ("reject", "", ["taken-outside"]),
        ("reject", "", ["taken-outside"]),
        ("reject", "", ["cell-agency-unknown"]),
    ]
    done = run("mailbox", "import", "cb.xlsx", "--yes", *as_unit)
    assert done.exit == 7, done.stderr
    assert done.data[0]["add"] == 1
    one = run(
        *("mailbox", "add", "moi@sonoivu.tinhmau.test", "--agency", "H99.02.01"),
        *("--name", "Hồ Văn Minh", "--staff-no", "KIN-2", *as_unit),
    )
    assert (one.exit, one.error["code"]) == (5, "taken-outside")
    [job] = run("job", "list", *as_unit).data
    assert job["rows_written"] == 1
    assert run("job", "list", "--as", HOLDERS["it"], "--json").data == [job]
    assert run("job", "undo", job["job"], "--yes", *as_unit).exit == 0


def _account() -> str:
    from mailgov_cli.acting import account

    return account()
