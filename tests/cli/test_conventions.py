"""What holds for every command: streams, formats, languages, options, errors, exit codes."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from mailgov.clock import VIETNAM
from mailgov.db import Database
from mailgov_cli import exits
from mailgov_cli.app import main
from mailgov_cli.commands import agency
from mailgov_cli.options import parse_moment

from .conftest import Run

NAMES = {"H99.02": "Sở Nội vụ", "H99.02.01": "Phòng Cải cách hành chính"}


def command_line(
    *args: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from mailgov_cli.app import app; app()", *args],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, **(env or {})},
    )


# Formats -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
class TestFormats:
    def test_not_a_terminal_gets_plain_rows(self, run: Run) -> None:
        lines = run("agency", "list", "--agency", "H99.02").stdout.splitlines()
        assert lines[0].split("\t")[:2] == ["code", "name"]
        assert {line.split("\t")[0]: line.split("\t")[1] for line in lines[1:]} == NAMES

    def test_json_is_one_object_with_a_schema(self, run: Run) -> None:
        result = run("agency", "list", "--agency", "H99.02", "--json")
        told = json.loads(result.stdout)
        assert (told["schema"], told["next"]) == ("agency.list/1", None)
        assert {row["code"]: row["name"] for row in told["data"]} == NAMES
        assert "\\u" not in result.stdout
        assert result.stderr == ""

    def test_jsonl_is_one_row_a_line(self, run: Run) -> None:
        lines = run("agency", "list", "--agency", "H99.02", "--format", "jsonl").stdout.splitlines()
        assert {row["code"]: row["name"] for row in map(json.loads, lines)} == NAMES

    def test_csv_is_read_back_and_starts_no_formula(self, run: Run) -> None:
        run("agency", "edit", "H99.02", "--regulation", '=HYPERLINK("http://x.test")')
        text = run("agency", "show", "H99.02", "--format", "csv").stdout
        row = next(csv.DictReader(io.StringIO(text)))
        assert row["name"] == "Sở Nội vụ"
        assert row["regulation"] == '\'=HYPERLINK("http://x.test")'

    def test_control_characters_never_reach_the_terminal(self, run: Run) -> None:
        run("agency", "edit", "H99.02", "--regulation", "27\x1b[31m\t2023\nQĐ\u202e")
        for form in ("table", "tsv"):
            out = run("agency", "show", "H99.02", "--format", form).stdout
            assert "27 [31m 2023 QĐ" in out
            assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", out)

    def test_fields_in_the_order_asked_for(self, run: Run) -> None:
        lines = run("agency", "list", "--fields", "name,code", "--agency", "H99.47").stdout
        assert lines == "name\tcode\nỦy ban nhân dân xã Hòa Bình\tH99.47\n"
        wrong = run("agency", "list", "--fields", "name,salary", "--json")
        assert (wrong.exit, wrong.error["code"]) == (2, "field-unknown")
        assert "headcount" in wrong.error["mend"]

    @pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "txt"])
    def test_a_file_takes_its_format_from_its_ending(
        self, run: Run, folder: Path, ending: str
    ) -> None:
        name = f"co-quan.{ending}"
        result = run("agency", "list", "--agency", "H99.02", "-o", name)
        assert result.stdout == ""
        asked = "tsv" if ending == "txt" else ending
        expected = run("agency", "list", "--agency", "H99.02", "--format", asked).stdout
        assert (folder / name).read_bytes().decode() == expected

    def test_a_file_that_cannot_be_written(self, run: Run) -> None:
        result = run("agency", "list", "-o", "khong-co/x.csv", "--json")
        assert (result.exit, result.error["code"]) == (6, "file-unwritable")

    def test_a_dash_is_stdout(self, run: Run) -> None:
        assert run("agency", "list", "-o", "-").stdout == run("agency", "list").stdout

    def test_a_terminal_gets_a_table_that_fits(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "72")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        lines = run("agency", "list", "--lang", "en").stdout.splitlines()
        assert lines[0].startswith("code")
        assert max(map(len, lines)) <= 72
        assert any("…" in line for line in lines)

    @pytest.mark.parametrize("no_color", ["", "1"])
    def test_nothing_is_coloured_whatever_the_terminal_can(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, no_color: str
    ) -> None:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("FORCE_COLOR", "1")
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        for args in (("agency", "list"), ("agency", "-h"), ("agency", "show", "H1")):
            told = run(*args)
            assert "\x1b" not in told.stdout + told.stderr

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("7d", "2026-11-14T09:00:00+07:00"),
            ("1y", "2025-11-21T09:00:00+07:00"),
            ("2026-11-01", "2026-11-01T00:00:00+07:00"),
            ("1/11/2026", "2026-11-01T00:00:00+07:00"),
            ("2026-11-01T08:00", "2026-11-01T08:00:00+07:00"),
        ],
    )
    def test_moments_as_people_give_them(self, text: str, moment: str) -> None:
        now = datetime(2026, 11, 21, 9, tzinfo=VIETNAM)
        assert parse_moment(text, now) == datetime.fromisoformat(moment)

    def test_pages_of_objects_and_whole_streams(self, run: Run) -> None:
        first = json.loads(run("mailbox", "list", "--limit", "1", "--json").stdout)
        rest = json.loads(run("mailbox", "list", "--after", first["next"], "--json").stdout)
        assert (len(first["data"]), len(rest["data"]), rest["next"]) == (1, 1, None)
        assert run("mailbox", "list").stdout.count("\n") == 3
        assert run("mailbox", "list", "--limit", "1", "--format", "jsonl").stdout.count("\n") == 1


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("--json", "agency", "list"),
        ("agency", "--json", "list"),
        ("agency", "list", "--json"),
        ("agency", "list", "--format", "json"),
        ("--format=csv", "agency", "list", "--format=json"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_options_stand_before_or_after_the_verb(run: Run, args: tuple[str, ...]) -> None:
    assert json.loads(run(*args).stdout)["schema"] == "agency.list/1"


def test_configuration_by_option_and_environment(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("agency", "list").exit == 6  # no config.toml here, and no data folder
    file = str(folder / "config.toml")
    assert run("agency", "list", "--config", file).exit == 0
    assert run("--config", file, "agency", "list").exit == 0
    monkeypatch.setenv("MAILGOV_CONFIG", file)
    assert run("agency", "list").exit == 0
    monkeypatch.setenv("MAILGOV_DATA__PATH", str(tmp_path / "empty"))
    assert run("agency", "list", "--json").error["code"] == "data-missing"


@pytest.mark.parametrize(
    ("env", "args", "told"),
    [
        ({}, (), "Lỗi"),
        ({"LANG": "C.UTF-8"}, (), "Lỗi"),
        ({"LANG": "en_GB.UTF-8"}, (), "Error"),
        ({"LANG": "vi_VN"}, (), "Lỗi"),
        ({"LANG": "fr_FR.UTF-8"}, (), "Lỗi"),
        ({"LC_ALL": "vi_VN.UTF-8", "LANG": "en_US.UTF-8"}, (), "Lỗi"),
        ({"MAILGOV_LANG": "en", "LC_ALL": "vi_VN.UTF-8"}, (), "Error"),
        ({"MAILGOV_LANG": "en"}, ("--lang", "vi"), "Lỗi"),
        ({}, ("--lang=en",), "Error"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_language_by_option_then_environment_then_vietnamese(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    args: tuple[str, ...],
    told: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for where in ("before", "after"):
        words = (
            (*args, "agency", "show", "X") if where == "before" else ("agency", "show", "X", *args)
        )
        assert run(*words).stderr.startswith(told)


@pytest.mark.usefixtures("folder")
def test_quiet_leaves_data_and_errors(run: Run) -> None:
    done = run("agency", "add", "H98", "--name", "Tỉnh Thử", "--level", "province", "-q")
    assert done.stderr == ""
    assert "Tỉnh Thử" in done.stdout
    assert run("agency", "show", "H97", "-q").stderr.startswith("Lỗi agency-unknown")


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("agensy", "list"), "command-unknown"),
        (("agency", "lst"), "command-unknown"),
        (("mailbox", "forward", "ad"), "command-unknown"),
        (("agency",), None),
        (("agency", "list", "--langg", "vi"), "unknown-option"),
        (("agency", "show"), "parameter-missing"),
        (("agency", "show", "H99", "H98"), "usage"),
        (("agency", "list", "--format", "xml"), "parameter-not-valid"),
        (("agency", "list", "--lang", "fr"), "parameter-not-valid"),
        (("agency", "list", "-o"), "usage"),
        (("mailbox", "list", "--limit", "0"), "parameter-not-valid"),
    ],
)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_wrong_usage(run: Run, args: tuple[str, ...], code: str | None, language: str) -> None:
    told = run("--lang", language, *args)
    assert told.exit == 2
    assert told.stdout == ""
    if code is None:
        return
    first, second = told.stderr.splitlines()
    if "fr" not in args:
        assert first.startswith({"vi": f"Lỗi {code}: ", "en": f"Error {code}: "}[language])
        assert second.startswith({"vi": "Cách sửa: ", "en": "Mend: "}[language])
    as_object = run("--lang", language, "--json", *args)
    if "--format" not in args:
        assert as_object.error["code"] == code
        assert as_object.error["exit"] == 2


def test_a_mistyped_noun_is_suggested_and_never_run(run: Run) -> None:
    assert "agency" in run("agenci", "list").stderr
    assert "mailbox" in run("mailboxes", "list").stderr


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (("mailbox", "lst"), "list"),
        (("mailbox", "app-password", "lis"), "list"),
        (("mailbox", "list", "--agnecy", "H99"), "--agency"),
        (("agency", "show", "H99", "--jsn"), "--json"),
    ],
)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_what_is_mistyped_is_suggested_and_never_run(
    run: Run, args: tuple[str, ...], meant: str, language: str
) -> None:
    told = run(*args, "--lang", language)
    assert (told.exit, told.stdout) == (2, "")
    assert meant in told.stderr.splitlines()[1]


def test_a_fault_of_ours_is_a_reference_and_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        secret = "mật khẩu"
        raise ZeroDivisionError(secret)

    monkeypatch.setattr(agency, "runtime", fail)
    plain, again = run("agency", "list", "--lang", "en"), run("agency", "list", "--lang", "en")
    assert plain.exit == 1
    assert re.fullmatch(
        r"Error internal: a fault of the program, reference [0-9a-f]{8} \(ZeroDivisionError\)\n"
        r"Mend: .*\n",
        plain.stderr,
    )
    assert again.stderr == plain.stderr
    loud = run("agency", "list", "-v")
    assert re.search(r"test_conventions\.py:\d+ fail", loud.stderr)
    for result in (plain, loud, run("agency", "list", "--json")):
        assert "mật khẩu" not in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("fault", [KeyboardInterrupt, EOFError])
def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]) -> None:
    def interrupt(*_: object) -> None:
        raise fault

    monkeypatch.setattr(agency, "runtime", interrupt)
    assert run("agency", "list").exit == 130


def test_bad_configuration_names_file_key_and_what_was_expected(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text(
        '[relay]\nmx = "25"\n[limits]\nerrors = "many"\nmistakes = 1\n'
    )
    told = run("agency", "list", "--lang", "en")
    assert told.exit == 6
    for part in ("config.toml", "relay.mx", "host:port", "limits.errors", "limits.mistakes"):
        assert part in told.stderr
    assert len(told.stderr.splitlines()) == 2
    (folder / "config.toml").write_text("[relay\n")
    assert run("agency", "list", "--json").error["code"] == "config-unreadable"


def test_a_database_without_its_schema(run: Run, folder: Path) -> None:
    (folder / "data" / "mailgov.db").unlink()
    told = run("agency", "list", "--json")
    assert (told.exit, told.error["code"]) == (9, "schema-missing")
    assert "db migrate" in told.error["mend"]
    assert not (folder / "data" / "mailgov.db").exists()
    Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}").close()
    (folder / "data" / "mailgov.db").touch()
    told = run("agency", "list", "--json")
    assert (told.exit, told.error["code"]) == (9, "schema-outdated")
    assert run("db", "migrate").exit == 0
    assert run("agency", "list").exit == 0


def test_a_new_machine_needs_one_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("db", "migrate", "--json").data[0]["changed"] is True
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert run("agency", "list").exit == 0


def test_every_kind_of_error_has_its_exit_code() -> None:
    from mailgov import errors

    kinds = {
        errors.InputError: 6,
        errors.ConfigError: 6,
        errors.NotFound: 3,
        errors.Conflict: 5,
        errors.NotAllowed: 4,
        errors.ConsentMissing: 10,
        errors.Unavailable: 9,
        errors.MailgovError: 1,
        errors.DeliveryDeferred: 1,
        exits.UsageMistake: 2,
    }
    assert {kind: exits.exit_code(kind("x")) for kind in kinds} == kinds


# Processes ---------------------------------------------------------------------------------------


def test_output_is_utf8_whatever_the_locale(folder: Path) -> None:
    done = command_line("agency", "show", "H97", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 3
    assert "Lỗi agency-unknown" in done.stderr.decode("utf-8")


@pytest.mark.usefixtures("folder")
def test_whoever_stops_reading_is_not_shouted_at() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", "from mailgov_cli.app import app; app()", "agency", "list"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_loads_neither_database_nor_configuration() -> None:
    """The reason why it answers at once."""
    script = (
        "import sys\nfrom mailgov_cli.app import main\n"
        "assert main(['--help']) == 0 and main(['mailbox', 'add', '-h']) == 0\n"
        "heavy = {'sqlalchemy', 'sqlmodel', 'pydantic_settings', 'structlog', 'dns', 'alembic', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_program_returns_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().err == ""


def test_a_password_is_asked_for_at_a_terminal_and_never_shown(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def typed(text: str, **how: object) -> str:
        asked.append({"text": text, **how})
        return "Song dai 9 nhip cau!"

    monkeypatch.setattr("mailgov_cli.runtime.typer.prompt", typed)
    result = run("mailbox", "password", "annv@sonoivu.tinhmau.test", at_terminal=True)
    assert result.exit == 0
    assert asked == [
        {"text": "Mật khẩu", "hide_input": True, "confirmation_prompt": True, "err": True}
    ]
    database = (folder / "data" / "mailgov.db").read_bytes()
    assert "Song dai" not in result.stdout + result.stderr
    assert b"Song dai" not in database
    refused = run(
        "mailbox", "password", "annv@sonoivu.tinhmau.test", "--no-input", at_terminal=True
    )
    assert refused.exit == 10
