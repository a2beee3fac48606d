"""`mailgov policy lint`, `set` and `simulate`: rulesets checked, changed, tried on past mail."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import EventRow, MessageRow, VerdictRow
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
        (7, "fault", "unknown-rule"),
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
