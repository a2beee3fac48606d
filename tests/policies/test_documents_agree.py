"""README, law ledger, texts and tables name every rule, and say the same."""

import re
import tomllib
from pathlib import Path

import pytest

from mailgov_policies import DUTIES, RULE_FAILED, RULES, Action, default_ruleset
from mailgov_policies.document_types import document_types, email_categories
from mailgov_policies.freemail import freemail_domains, is_freemail

ROOT = Path(__file__).resolve().parents[2]
CODES = [*(rule.key for rule in RULES), *DUTIES, RULE_FAILED]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "policies" / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def basis() -> str:
    return (ROOT / "docs" / "basis.md").read_text("utf-8")


@pytest.mark.source
@pytest.mark.parametrize("code", CODES)
def test_every_code_is_in_readme_and_law_ledger(code: str, readme: str, basis: str) -> None:
    assert f"`{code}`" in readme
    assert f"`{code}`" in basis


@pytest.mark.source
def test_the_readme_gives_the_actions_of_the_default_pack(readme: str) -> None:
    for rule in RULES:
        (row,) = default_ruleset().of(rule.key)
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{rule.key}` |"))
        told = line.split("|")[-2].strip()
        cases = [f"{case}: {action.label}" for case, action in row.cases.items()]
        locked = "; locked" if row.locked else ""
        assert told == ", ".join([row.action.label, *cases]) + locked, rule.key


@pytest.mark.source
def test_the_readme_names_every_action_and_setting(readme: str) -> None:
    assert all(f"| `{action.label}` |" in readme for action in Action)
    for rule in RULES:
        assert all(f"`{name}`" in readme for name in rule.settings), rule.key


@pytest.mark.source
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_the_law_ledger_leads_from_each_rule_to_its_file_and_its_test(
    rule: "object", basis: str
) -> None:
    key, number = rule.key, rule.id  # type: ignore[attr-defined]  # a Rule; parametrize hides it
    name = key.replace("-", "_")
    line = next(line for line in basis.splitlines() if f'<a id="{number.lower()}"></a>' in line)
    assert f"`{key}`" in line
    for path in (
        f"policies/mailgov_policies/rules/{name}.py",
        f"tests/policies/vectors/{name}.toml",
    ):
        assert f"`{path}`" in line
        assert (ROOT / path).is_file()


@pytest.mark.source
def test_every_file_and_anchor_that_the_law_ledger_names_is_there(basis: str) -> None:
    for path in re.findall(r"`((?:mailgov|policies|tests|webmail|cli)/[\w./]+)`", basis):
        assert (ROOT / path).exists(), path
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', basis))
    assert set(re.findall(r"\(#([\w-]+)\)", basis)) <= anchors


@pytest.mark.source
def test_each_rule_file_leads_to_its_row_of_the_law_ledger(basis: str) -> None:
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', basis))
    for rule in RULES:
        path = f"policies/mailgov_policies/rules/{rule.key.replace('-', '_')}.py"
        named = re.search(r"Basis: docs/basis\.md#([\w-]+)\.", (ROOT / path).read_text("utf-8"))
        assert named is not None, path
        assert named[1] in anchors
        assert named[1] == rule.id.lower()


@pytest.mark.source
def test_every_standard_that_the_code_cites_has_a_row(basis: str) -> None:
    rows = set(re.findall(r"^\| \[(\d+)\]\(https://www\.rfc-editor\.org", basis, re.MULTILINE))
    cited: dict[str, str] = {}
    for folder in ("mailgov", "policies", "webmail", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for number in re.findall(r"RFC (\d{3,4})", path.read_text("utf-8")):
                cited.setdefault(number, str(path.relative_to(ROOT)))
    assert {number: path for number, path in cited.items() if number not in rows} == {}


# Tables -----------------------------------------------------------------------------------------


def test_the_29_types_of_the_decree_and_the_informal_ones() -> None:
    types = document_types()
    assert sum(kind.formal for kind in types.values()) == 29
    assert types["thong-bao"].abbreviation == "TB"
    assert types["hop-dong"].email_basis == "not-listed"
    assert all({*kind.categories} <= email_categories().keys() for kind in types.values())
    assert all(kind.categories for kind in types.values() if kind.email_basis != "not-listed")


def test_free_domains_count_with_all_below_them() -> None:
    assert is_freemail("gmail.com")
    assert is_freemail("mail.yahoo.com.vn")
    assert not is_freemail("notgmail.com")
    assert not is_freemail("com")
    assert is_freemail("thu.mienphi.test", ("mienphi.test",))
    assert all(domain == domain.lower() and "." in domain for domain in freemail_domains())


def test_kinds_of_files_in_settings_are_kinds_that_readers_know() -> None:
    from importlib.resources import files

    text = files("mailgov.content").joinpath("tables", "file-kinds.toml").read_text("utf-8")
    known = {row["id"] for row in tomllib.loads(text)["kind"]} | {"empty", "unknown"}
    for rule in RULES:
        for name in ("kinds", "technical", "old_office"):
            found = rule.settings.get(name, ())
            assert {*found} <= known, rule.key  # type: ignore[misc]  # these settings are lists
    allowed = next(rule for rule in RULES if rule.key == "file-format").settings["allow"]
    assert {*allowed} <= known  # type: ignore[misc]  # a list
