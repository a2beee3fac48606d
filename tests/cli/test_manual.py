"""Help on topics, and manual pages out of the same words."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mailgov_cli import words
from mailgov_cli.app import NOUNS

from .conftest import Run
from .test_help import COMMANDS


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page, written once."""
    from .outside import run_outside

    folder = tmp_path_factory.mktemp("manual")
    assert run_outside(folder)("help", "man", "-o", str(folder)).exit == 0
    return folder


@pytest.mark.parametrize("below", ["man1", "vi/man1"])
def test_there_is_a_page_of_the_program_and_of_every_noun(manual: Path, below: str) -> None:
    found = {path.name for path in (manual / below).iterdir()}
    assert found == {"mailgov.1", *(f"mailgov-{noun}.1" for noun in NOUNS)}


@pytest.mark.parametrize(("below", "language"), [("man1", "en"), ("vi/man1", "vi")])
def test_every_command_and_option_stands_on_the_page_of_its_noun(
    manual: Path, below: str, language: str
) -> None:
    for path, command in COMMANDS.items():
        page = (manual / below / f"mailgov-{path.split()[0]}.1").read_text("utf-8")
        plain = page.replace("\\-", "-")
        assert f'.SS "mailgov {path}"' in plain
        for param in command.params:
            if param.param_type_name == "option":
                assert f"\\fB{param.opts[0]}\\fR" in plain, (path, param.opts)


@pytest.mark.parametrize("below", ["man1", "vi/man1"])
def test_the_pages_are_right_by_mandoc(manual: Path, below: str) -> None:
    if shutil.which("mandoc") is None:
        assert not os.environ.get("CI"), "mandoc is needed (tools/test-packages)"
        pytest.skip("no mandoc on this machine")
    pages = sorted(map(str, (manual / below).iterdir()))
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == ""


def test_a_command_is_explained_by_help_too(run: Run) -> None:
    assert run("help", "mailbox", "list").stdout == run("mailbox", "list", "-h").stdout
    assert run("help", "mailbox").stdout == run("mailbox", "-h").stdout
    assert run("help", "mailbox", "lst").exit == 3


def test_the_import_file_is_told_from_the_columns_that_are_read(run: Run) -> None:
    from mailgov.bulk.staff import FIELDS

    for language in ("vi", "en"):
        told = run("help", "import-file", "--lang", language).stdout
        for field in FIELDS:
            assert f"{field.headings[0]} / {field.name}: " in told
            assert words.say(language, "sheet-note", field.name) in told


def test_schemas_are_printed_as_they_are_published(run: Run) -> None:
    schema = json.loads(run("help", "schema", "mailbox.list").stdout)
    assert schema["title"] == "mailbox.list/1"
    listed = run("help", "schema", "--json").data
    assert {"schema": "mailbox.list/1"} in listed


@pytest.mark.parametrize("topic", ["formats", "environment", "import-file", "completion"])
def test_topics_differ_by_language_and_have_no_place_left_open(run: Run, topic: str) -> None:
    vietnamese, english = (run("help", topic, "--lang", each).stdout for each in ("vi", "en"))
    assert vietnamese != english
    assert "{columns}" not in vietnamese + english
