"""Rulesets of agencies: laid over one another along the tree, read again when they change."""

from datetime import date
from pathlib import Path

import pytest
from sqlmodel import col, select

from mailgov import texts
from mailgov.db import Database
from mailgov.db.models import Agency
from mailgov.errors import InputError, Unavailable
from mailgov.rulesets import AgencyRulesets, lineage
from mailgov_policies import (
    Action,
    Attachment,
    Content,
    Envelope,
    Facts,
    RecipientFacts,
    default_ruleset,
)

TODAY = date(2026, 11, 22)
SENT = Facts(
    Envelope(
        "submission",
        "an.nv@tinhmau.gov.vn",
        (),
        login="an.nv@tinhmau.gov.vn",
        may_send_as=("an.nv@tinhmau.gov.vn",),
        agency="H99.02.01",
    ),
    Content(4096, attachments=(Attachment("2", "a.bin", "", "raw", 1),)),
)


class Seconds:
    """A clock that goes only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tree(database: Database) -> Database:
    """H99 above H99.02 above H99.02.01; H98 beside."""
    with database.write() as session:
        ids: dict[str, int | None] = {}
        for code in ("H98", "H99", "H99.02", "H99.02.01"):
            row = Agency(code=code, name_vi=code, level="department")
            row.parent_id = ids.get(code.rpartition(".")[0])
            session.add(row)
            session.flush()
            ids[code] = row.id
    return database


def _write(folder: Path, code: str, action: str, more: str = "") -> None:
    text = f'[[rule]]\nkey = "file-format"\naction = "{action}"\n{more}\n'
    (folder / f"{code}.toml").write_text(text, encoding="utf-8")


def _rulesets(database: Database, folder: Path | None) -> tuple[AgencyRulesets, Seconds]:
    seconds = Seconds()
    return AgencyRulesets(default_ruleset(), folder, database, monotonic=seconds), seconds


async def _action(rules: AgencyRulesets, on: date = TODAY) -> Action:
    verdict = await rules.judge(SENT, on)
    return next(f.action for f in verdict.findings if f.code == "file-format")


async def test_without_a_folder_the_ruleset_of_the_installation_holds(tree: Database) -> None:
    rules, _ = _rulesets(tree, None)
    assert await _action(rules) is Action.WARN
    assert (await rules.of("H99")) is default_ruleset()


async def test_the_lowest_file_speaks_last(tree: Database, tmp_path: Path) -> None:
    _write(tmp_path, "H99", "hold")
    rules, seconds = _rulesets(tree, tmp_path)
    assert await _action(rules) is Action.HOLD
    _write(tmp_path, "H99.02", "reject")
    seconds.now += 2
    assert await _action(rules) is Action.REJECT
    assert (await rules.of("H99.02.01")).label.startswith("H99.02 1, H99 1, default")
    assert (await rules.of("H98")) is default_ruleset()


async def test_rows_hold_on_their_days_only(tree: Database, tmp_path: Path) -> None:
    _write(tmp_path, "H99.02.01", "reject", "from = 2026-12-01\nuntil = 2026-12-31")
    rules, _ = _rulesets(tree, tmp_path)
    assert await _action(rules, date(2026, 11, 30)) is Action.WARN
    assert await _action(rules, date(2026, 12, 1)) is Action.REJECT
    assert await _action(rules, date(2027, 1, 1)) is Action.WARN


async def test_a_lower_agency_can_not_relax_what_a_higher_one_has_locked(
    tree: Database, tmp_path: Path
) -> None:
    _write(tmp_path, "H99", "hold", "locked = true")
    _write(tmp_path, "H99.02", "warn")
    rules, _ = _rulesets(tree, tmp_path)
    with pytest.raises(Unavailable) as caught:
        await _action(rules)
    assert caught.value.code == "ruleset-not-valid"


async def test_when_the_tree_changes_the_rules_of_the_new_parent_hold(
    tree: Database, tmp_path: Path
) -> None:
    _write(tmp_path, "H98", "reject")
    _write(tmp_path, "H99", "hold")
    rules, _ = _rulesets(tree, tmp_path)
    assert await _action(rules) is Action.HOLD
    with tree.write() as session:
        other = session.exec(select(Agency.id).where(col(Agency.code) == "H98")).one()
        moved = session.exec(select(Agency).where(col(Agency.code) == "H99.02")).one()
        moved.parent_id = other
    assert await _action(rules) is Action.REJECT


async def test_an_edit_into_a_fault_leaves_the_rules_as_they_were(
    tree: Database, tmp_path: Path
) -> None:
    _write(tmp_path, "H99", "hold")
    rules, seconds = _rulesets(tree, tmp_path)
    assert await _action(rules) is Action.HOLD
    _write(tmp_path, "H99", "no-such-action")
    seconds.now += 2
    assert await _action(rules) is Action.HOLD
    (tmp_path / "H99.toml").unlink()
    seconds.now += 2
    assert await _action(rules) is Action.WARN


async def test_mail_to_several_agencies_is_judged_by_each_for_its_own(
    tree: Database, tmp_path: Path
) -> None:
    text = '[[rule]]\nkey = "{}"\naction = "hold"\nwhen = "envelope.recipients.size() == 1"\n'
    words = 'vi = "Thử."\nen = "Test."\n'
    for code, key in (("H98", "thu-mot"), ("H99", "thu-hai")):
        (tmp_path / f"{code}.toml").write_text(text.format(key) + words, encoding="utf-8")
    rules, _ = _rulesets(tree, tmp_path)
    recipients = tuple(
        RecipientFacts(f"{agency.lower()}@x.gov.vn", "x.gov.vn", local=True, agency=agency)
        for agency in ("H98", "H99")
    )
    facts = Facts(Envelope("inbound", "a@b.vn", recipients), Content(4096))
    verdict = await rules.judge(facts, TODAY)
    assert {f.code for f in verdict.findings if f.action is Action.HOLD} == {"thu-mot", "thu-hai"}
    assert verdict.ruleset.count("default") == 2


def test_every_file_is_checked_at_the_start(tree: Database, tmp_path: Path) -> None:
    _write(tmp_path, "H99", "hold")
    rules, _ = _rulesets(tree, tmp_path)
    rules.check()
    (tmp_path / "tinh-mau.toml").touch()
    with pytest.raises(InputError) as caught:
        rules.check()
    assert caught.value.code == "ruleset-file-name"


def test_every_fault_of_every_file_is_told_at_once(tree: Database, tmp_path: Path) -> None:
    _write(tmp_path, "H98", "stop", 'mode = "loud"')
    _write(tmp_path, "H99", "halt")
    _write(tmp_path, "H99.02", "hold")
    rules, _ = _rulesets(tree, tmp_path)
    with pytest.raises(InputError) as caught:
        rules.check()
    assert caught.value.code == "rulesets-not-valid"
    told, _ = texts.tell(caught.value, "en")
    assert told.startswith("2 rulesets are not valid: H98.toml, line 3, rule 1 `file-format`: ")
    for part in ("H98.toml, line 4", "`loud`", "H99.toml, line 3", "`halt`"):
        assert part in told
    assert "H99.02.toml" not in told


def test_the_lineage_of_an_agency(tree: Database) -> None:
    with tree.read() as session:
        assert lineage(session, "H99.02.01") == ("H99", "H99.02", "H99.02.01")
        assert lineage(session, "H97") == ()


async def test_the_words_of_a_rule_that_an_agency_added_are_found(
    tree: Database, tmp_path: Path
) -> None:
    rules, seconds = _rulesets(tree, tmp_path)
    assert await rules.own_rule("thu-mot") is None
    _write(tmp_path, "H98", "no-such-action")
    words = 'when = "true"\nvi = "Thử."\nen = "Test."\n'
    text = f'[[rule]]\nkey = "thu-mot"\naction = "warn"\n{words}'
    (tmp_path / "H99.toml").write_text(text, encoding="utf-8")
    seconds.now += 2
    found = await rules.own_rule("thu-mot")
    assert found is not None
    assert found.words["en"] == "Test."


async def test_a_lower_agency_weighs_a_rule_that_a_higher_one_has_added(
    tree: Database, tmp_path: Path
) -> None:
    words = 'when = "true"\nvi = "Thử."\nen = "Test."\n'
    text = f'[[rule]]\nkey = "thu-mot"\naction = "warn"\n{words}'
    (tmp_path / "H99.toml").write_text(text, encoding="utf-8")
    (tmp_path / "H99.02.toml").write_text('[[rule]]\nkey = "thu-mot"\naction = "hold"\n', "utf-8")
    rules, _ = _rulesets(tree, tmp_path)
    rules.check()
    verdict = await rules.judge(SENT, TODAY)
    assert next(f.action for f in verdict.findings if f.code == "thu-mot") is Action.HOLD


# What is laid over what -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "own", "on", "action"),
    [
        ('action = "hold"', 'mode = "record"', TODAY, Action.PASS),
        ('mode = "record"\naction = "hold"', 'mode = "enforce"', TODAY, Action.HOLD),
        ('mode = "off"', "", TODAY, None),
        ('mode = "off"', 'mode = "enforce"\naction = "reject"', TODAY, Action.REJECT),
        ('action = "hold"\nagencies = ["H99.02"]', "", TODAY, Action.HOLD),
        ('action = "hold"\nagencies = ["H99.03"]', "", TODAY, Action.WARN),
        ('action = "hold"\nexcept_agencies = ["H99.02"]', "", TODAY, Action.WARN),
        ('action = "hold"\nexcept_agencies = ["H99.03"]', "", TODAY, Action.HOLD),
        ("action = \"hold\"\nunless = \"envelope.agency == 'H99.02.01'\"", "", TODAY, Action.PASS),
        ("action = \"hold\"\nunless = \"envelope.agency == 'H98'\"", "", TODAY, Action.HOLD),
        ('action = "hold"', 'action = "reject"\nuntil = 2026-11-30', date(2026, 12, 1), Action.HOLD),
        ('action = "hold"\nfrom = 2026-12-01', 'action = "reject"', TODAY, Action.REJECT),
        ('action = "hold"\nlocked = true', 'action = "reject"', TODAY, Action.REJECT),
        ('action = "hold"\nlocked = true', 'action = "hold"\nagencies = ["H99.03"]', TODAY, Action.HOLD),
    ],
    ids=[
        "a unit below only records", "a unit below enforces what is recorded above",
        "off for all below", "and on again", "for a branch", "for another branch", "but for a branch",
        "but for another branch", "with an exception that holds", "with one that does not",
        "for a time below", "from a day on above", "locked and tightened", "locked and elsewhere",
    ],
)  # fmt: skip
async def test_files_along_the_tree(
    tree: Database, tmp_path: Path, above: str, own: str, on: date, action: Action | None
) -> None:
    for code, row in (("H99", above), ("H99.02", own)):
        if row:
            (tmp_path / f"{code}.toml").write_text(
                f'[[rule]]\nkey = "file-format"\n{row}\n', "utf-8"
            )
    rules, _ = _rulesets(tree, tmp_path)
    verdict = await rules.judge(SENT, on)
    found = [f.action for f in verdict.findings if f.code == "file-format"]
    assert found == ([] if action is None else [action])


@pytest.mark.parametrize(
    "own",
    ['mode = "record"', 'mode = "off"', 'action = "warn"', "locked = false", 'unless = "true"', 'settings = { allow = ["raw"] }'],
)  # fmt: skip
async def test_nothing_below_relaxes_a_lock(tree: Database, tmp_path: Path, own: str) -> None:
    (tmp_path / "H99.toml").write_text(
        '[[rule]]\nkey = "file-format"\naction = "hold"\nlocked = true\n', "utf-8"
    )
    (tmp_path / "H99.02.toml").write_text(f'[[rule]]\nkey = "file-format"\n{own}\n', "utf-8")
    rules, _ = _rulesets(tree, tmp_path)
    with pytest.raises(InputError):
        rules.check()
    with pytest.raises(Unavailable):
        await rules.judge(SENT, TODAY)
