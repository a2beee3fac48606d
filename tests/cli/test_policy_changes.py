"""`mailgov policy lint`, `set` and `simulate`: rulesets checked, changed, tried on past mail."""

import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import EventRow, MessageRow, Refusal, VerdictRow
from mailgov_policies import Attachment, Content, Envelope, Facts
from mailgov_policies.stored import keep

from .conftest import CONFIG, Run

ROW = '[[rule]]\nkey = "{key}"\naction = "{action}"\nbasis = "Quy chế của tỉnh"\n{more}\n'


@pytest.fixture
def rulesets(folder: Path) -> Path:
    """A folder for the rulesets of agencies, named in the configuration."""
    path = folder / "rulesets"
    path.mkdir()
    config = folder / "config.toml"
    text = config.read_text(encoding="utf-8") if config.exists() else CONFIG
    config.write_text(f'{text}\n[policy]\nrulesets = "rulesets"\n', encoding="utf-8")
    return path


def test_lint_tells_every_fault_with_its_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tinh-mau.toml"
    file.write_text(ROW.format(key="marco", action="stop", more="") * 2, encoding="utf-8")
    result = run("policy", "lint", str(file), "--json")
    assert result.exit == 6
    assert [(row["line"], row["kind"], row["code"]) for row in result.data] == [
        (2, "fault", "unknown-rule"),
        (3, "fault", "unknown-value"),
        (7, "fault", "unknown-rule"),
        (8, "fault", "unknown-value"),
    ]
    assert "`macro`" in result.data[0]["told"]


def test_lint_tells_doubts_and_nothing_of_a_good_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tinh-mau.toml"
    file.write_text(ROW.format(key="macro", action="hold", more="until = 2020-01-01"), "utf-8")
    result = run("policy", "lint", str(file), "--json")
    assert (result.exit, result.data[0]["code"]) == (8, "expired")
    file.write_text(ROW.format(key="macro", action="hold", more=""), "utf-8")
    assert run("policy", "lint", str(file)).exit == 0


def test_set_adds_a_row_and_an_event(run: Run, rulesets: Path, database: Database) -> None:
    args = ("policy", "set", "file-format", "--level", "hold", "--agency", "H99", "--json")
    tried = run(*args, "--dry-run")
    assert (tried.exit, list(rulesets.iterdir())) == (0, [])
    assert '+action = "hold"' in tried.data[0]["diff"]
    assert run(*args, "--reason", "thử").exit == 0
    assert 'key = "file-format"\naction = "hold"\n' in (rulesets / "H99.toml").read_text("utf-8")
    with database.read() as session:
        last = session.exec(select(EventRow).order_by(EventRow.id.desc())).first()  # type: ignore[union-attr]  # a column
    assert last is not None
    assert last.kind == "directory.changed"
    again = run(*args)
    assert not again.data[0]["changed"]


def test_set_refuses_what_is_not_valid_and_leaves_the_file(run: Run, rulesets: Path) -> None:
    for args in (("secret-mark", "--level", "warn"), ("no-such", "--level", "warn")):
        assert run("policy", "set", *args, "--agency", "H99").exit == 6
    assert run("policy", "set", "macro", "--level", "warn", "--agency", "Z01").exit == 3
    assert run("policy", "set", "macro", "--agency", "H99").exit == 2
    assert list(rulesets.iterdir()) == []


def test_set_needs_the_folder(run: Run, folder: Path) -> None:
    assert folder.is_dir()
    assert run("policy", "set", "macro", "--level", "warn", "--agency", "H99").exit == 6


def test_simulate_counts_what_would_be_new_and_lifted(
    run: Run, rulesets: Path, database: Database
) -> None:
    assert rulesets.is_dir()
    facts = Facts(
        Envelope("submission", "a@x.test", (), login="a@x.test", may_send_as=("a@x.test",)),
        Content(100, attachments=(Attachment("2", "a.bin", "", "raw", 1),)),
    )
    with database.write() as session:
        for number, (kept, days) in enumerate([(facts, 1), (facts, 2), (facts, 60), (None, 1)]):
            queue_id, at = f"{number:020}", utc_now() - timedelta(days=days)
            session.add(
                MessageRow(
                    id=queue_id, direction="submission", mail_from="a@x.test", agency_code="H99",
                    accepted_at=at, size_bytes=1, content_sha256=b"", prefix=b"",
                )
            )  # fmt: skip
            session.flush()
            session.add(
                VerdictRow(
                    message_id=queue_id, action="warn", findings=[],
                    facts=keep(kept) if kept else None, judged_at=at,
                )
            )  # fmt: skip
    result = run("policy", "simulate", "--level", "file-format=hold", "--json")
    assert result.exit == 0
    assert result.data == [
        {"agency": "H99", "code": "file-format", "change": "graver", "before": "warn",
         "after": "hold", "messages": 2}
    ]  # fmt: skip
    off = rulesets.parent / "off.toml"
    off.write_text('[[rule]]\nkey = "file-format"\nmode = "off"\n', encoding="utf-8")
    (row,) = run("policy", "simulate", "--since", "90d", "--ruleset", str(off), "--json").data
    assert (row["change"], row["messages"]) == ("lifted", 3)


def test_simulate_asks_about_refused_mail_too(run: Run, rulesets: Path, database: Database) -> None:
    assert rulesets.is_dir()
    program = Attachment("2", "a.exe", "", "exe", 1)
    facts = Facts(
        Envelope("submission", "a@x.test", (), login="a@x.test", may_send_as=("a@x.test",)),
        Content(100, attachments=(program,)),
    )
    with database.write() as session:
        for agency, days in (("H99", 1), ("H99.02", 1), ("H99", 60)):
            at = utc_now() - timedelta(days=days)
            session.add(
                Refusal(message_id="1", agency_code=agency, facts=keep(facts), refused_at=at)
            )
    result = run("policy", "simulate", "--level", "executable=hold", "--json")
    assert [(r["agency"], r["before"], r["after"], r["messages"]) for r in result.data] == [
        ("H99", "reject", "hold", 1),
        ("H99.02", "reject", "hold", 1),
    ]
    off = rulesets.parent / "off.toml"
    off.write_text('[[rule]]\nkey = "executable"\nmode = "off"\n', encoding="utf-8")
    rows = run("policy", "simulate", "--ruleset", str(off), "--json").data
    assert {(row["agency"], row["change"]) for row in rows} == {
        ("H99", "lifted"),
        ("H99.02", "lifted"),
    }


def test_simulate_refuses_a_candidate_that_is_not_valid(run: Run, rulesets: Path) -> None:
    assert rulesets.is_dir()
    assert run("policy", "simulate", "--level", "file-format=stop").exit == 6
    assert run("policy", "simulate", "--level", "file-format").exit == 2
    assert run("policy", "simulate").exit == 2


def test_list_shows_an_agency_what_its_files_say(run: Run, rulesets: Path) -> None:
    text = ROW.format(key="file-format", action="hold", more="")
    (rulesets / "H99.toml").write_text(text, encoding="utf-8")
    for agency, action in (("H99", "hold"), ("G01", "warn")):
        rows = run("policy", "list", "--agency", agency, "--json").data
        assert {row["action"] for row in rows if row["code"] == "file-format"} == {action}


# set: every part of a row ------------------------------------------------------------------------


def _set(run: Run, code: str, *options: str, agency: str = "H99") -> int:
    return run("policy", "set", code, *options, "--agency", agency).exit


def _rows(rulesets: Path, agency: str = "H99") -> list[dict[str, Any]]:
    text = (rulesets / f"{agency}.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["rule"]
    return rows


def test_set_writes_cases_settings_dates_and_locks(run: Run, rulesets: Path) -> None:
    options = [
        "--case", "document=hold", "--setting", "reply_days=30", "--setting", "domains=a.vn,b.vn",
        "--from", "2027-01-01", "--until", "31/12/2027", "--lock", "--basis", "QĐ 1",
    ]  # fmt: skip
    assert _set(run, "freemail-outbound", *options) == 0
    assert _rows(rulesets) == [
        {
            "key": "freemail-outbound",
            "cases": {"document": "hold"},
            "settings": {"reply_days": 30, "domains": ["a.vn", "b.vn"]},
            "from": date(2027, 1, 1),
            "until": date(2027, 12, 31),
            "locked": True,
            "basis": "QĐ 1",
        }
    ]
    assert _set(run, "freemail-outbound", "--case", "document=warn", agency="H99.02") == 6


def test_set_writes_scopes_and_exceptions(run: Run, rulesets: Path) -> None:
    options = [
        "--mode", "record", "--direction", "inbound", "--branch", "H99.02", "--except-branch", "H99.02.01",
        "--mailbox-kind", "office", "--unless", "envelope.mail_from.endsWith('@doitac.vn')",
    ]  # fmt: skip
    assert _set(run, "macro", *options) == 0
    (row,) = _rows(rulesets)
    assert row.pop("from") is not None
    assert row == {
        "key": "macro",
        "mode": "record",
        "directions": ["inbound"],
        "agencies": ["H99.02"],
        "except_agencies": ["H99.02.01"],
        "mailbox_kinds": ["office"],
        "unless": "envelope.mail_from.endsWith('@doitac.vn')",
    }


def test_what_was_set_before_goes_on_where_the_scope_is_the_same(run: Run, rulesets: Path) -> None:
    assert _set(run, "file-format", "--level", "hold", "--setting", "allow=pdf") == 0
    assert _set(run, "file-format", "--mode", "record", "--direction", "submission") == 0
    assert _set(run, "file-format", "--case", "old-office=hold") == 0
    assert _set(run, "file-format", "--level", "warn", "--branch", "H99.02") == 0
    _, _, last, branch = _rows(rulesets)
    assert (last["action"], last["settings"], last["cases"]) == (
        "hold", {"allow": ["pdf"]}, {"old-office": "hold"},
    )  # fmt: skip
    assert (branch["action"], branch["agencies"], "settings" in branch) == (
        "warn", ["H99.02"], False,
    )  # fmt: skip


def test_setting_what_is_set_changes_nothing(run: Run, rulesets: Path) -> None:
    again = ("--level", "hold", "--case", "old-office=hold", "--branch", "H99.02")
    assert _set(run, "file-format", *again) == 0
    before = (rulesets / "H99.toml").read_text("utf-8")
    result = run("policy", "set", "file-format", *again, "--agency", "H99", "--json")
    assert not result.data[0]["changed"]
    assert (rulesets / "H99.toml").read_text("utf-8") == before


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--case", "document"), 2),
        (("--setting", "=3"), 2),
        (("--case", "young=warn"), 6),
        (("--setting", "words=few"), 6),
        (("--branch", "SNV"), 6),
        (("--unless", "content.nothing"), 6),
        (("--direction", "inbound"), 6),  # the rule judges what is sent
        (("--from", "2027-02-01", "--until", "2027-01-01"), 6),
    ],
)
def test_what_can_not_be_set_is_told_and_nothing_written(
    run: Run, rulesets: Path, options: tuple[str, ...], code: int
) -> None:
    rule = "diacritics" if "words" in "".join(options) else "freemail-outbound"
    assert _set(run, rule, *options) == code
    assert list(rulesets.iterdir()) == []


# explain: rules that agencies have added --------------------------------------------------------

OWN = """[[rule]]
key = "anh-lon"
when = "content.attachments.exists(a, a.size_bytes > 5000000)"
vi = "Ảnh lớn nên nén lại."
en = "Large pictures should be made smaller."
action = "warn"
basis = "Quy chế của tỉnh"
"""


@pytest.mark.parametrize(
    ("language", "reason"),
    [("vi", "Ảnh lớn nên nén lại."), ("en", "Large pictures should be made smaller.")],
)
def test_explain_knows_rules_that_agencies_have_added(
    run: Run, rulesets: Path, language: str, reason: str
) -> None:
    (rulesets / "H99.toml").write_text(OWN, encoding="utf-8")
    (rulesets / "H99.02.toml").write_text('[[rule]]\nkey = "anh-lon"\naction = "hold"\n', "utf-8")
    (record,) = run("policy", "explain", "anh-lon", "--json", "--lang", language).data
    assert (record["reason"], record["basis"]) == (reason, "Quy chế của tỉnh")
    assert "size_bytes" in record["when"]
    levels = {row["ruleset"]: row["action"] for row in record["levels"]}
    assert levels == {"H99": "warn", "H99.02": "hold"}
    assert record["steps"]["webmail"]
    shown = run("policy", "explain", "anh-lon", "--format", "table", "--lang", language).stdout
    assert reason in shown


def test_explain_shows_a_rule_as_an_agency_has_it(run: Run, rulesets: Path) -> None:
    (rulesets / "H99.toml").write_text(
        OWN + ROW.format(key="macro", action="reject", more=""), "utf-8"
    )

    def levels(code: str, agency: str) -> list[str]:
        result = run("policy", "explain", code, "--agency", agency, "--json")
        return [row["action"] for row in result.data[0]["levels"]]

    assert levels("macro", "H99.02") == ["hold", "reject"]
    assert levels("macro", "G01") == ["hold"]
    assert run("policy", "explain", "anh-lon", "--agency", "G01").exit == 3


def test_explain_takes_a_file_with_rules_of_its_own(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tinh-mau.toml"
    file.write_text(OWN, encoding="utf-8")
    (record,) = run("policy", "explain", "anh-lon", "--ruleset", str(file), "--json").data
    assert [row["action"] for row in record["levels"]] == ["warn"]
    assert "anh-lon" in run("policy", "explain", "anh-lo", "--ruleset", str(file)).stderr
