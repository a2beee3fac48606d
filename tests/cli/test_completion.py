"""Completion: in real shells, out of the directory, and never outside the branch."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailgov.db import Database
from mailgov_cli.app import NOUNS
from mailgov_cli.completion import KINDS, kind_of
from mailgov_cli.completion_scripts import SCRIPTS

from ..support.directory import AN, OFFICE
from ..support.terminal import Terminal
from .conftest import Run
from .test_help import COMMANDS

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(run: Run, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """What a shell is offered for a line."""

    def ask(line: str, shell: str = "fish") -> list[str]:
        monkeypatch.setenv("_MAILGOV_COMPLETE", shell)
        monkeypatch.setenv("_MAILGOV_LINE", line)
        result = run()
        assert (result.exit, result.stderr) == (0, "")
        return [row.partition("\t")[0] for row in result.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mailgov mailb", ["mailbox"]),
        ("mailgov mailbox sus", ["suspend"]),
        ("mailgov mailbox add --staff", ["--staff-no"]),
        ("mailgov dkim generate x --type ", ["rsa2048", "ed25519"]),
        ("mailgov agency show H99.4", ["H99.47"]),
        ("mailgov agency show h99", []),
        ("mailgov mailbox list --agency H99.02", ["H99.02", "H99.02.01"]),
        ("mailgov mailbox list --agency=H99.47", ["--agency=H99.47"]),
        ("mailgov --json mailbox show annv@", [AN]),
        ("mailgov mailbox grant vanthu@sonoivu.tinhmau.test --to a", [AN]),
        ("mailgov domain show so", ["sonoivu.tinhmau.test"]),
        ("mailgov queue list --to xa", ["xahoabinh.tinhmau.test"]),
        ("mailgov help legacy-encoding-p", ["legacy-encoding-possible"]),
        ("mailgov report run active-use", ["active-use"]),
        ("mailgov domain add so", []),
        ("mailgov nonsense ", []),
        ('mailgov mailbox add x@y --name "Ng', []),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_could_come_next(offered: Offered, line: str, found: list[str]) -> None:
    assert offered(line) == found


@pytest.mark.usefixtures("folder")
def test_every_noun_without_importing_one(offered: Offered) -> None:
    assert offered("mailgov ") == list(NOUNS)


@pytest.mark.parametrize(
    ("line", "part", "found"),
    [
        ("mailgov mailbox show annv@s", "@s", "@sonoivu.tinhmau.test"),
        ("mailgov agency list --agency=H99.4", "H99.4", "H99.47"),
        ("mailgov agency list --agency H99.4", "H99.4", "H99.47"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bash_gets_the_part_that_it_replaces(
    offered: Offered, monkeypatch: pytest.MonkeyPatch, line: str, part: str, found: str
) -> None:
    monkeypatch.setenv("_MAILGOV_PART", part)
    assert offered(line, "bash") == [found]


@pytest.mark.usefixtures("folder")
def test_zsh_is_told_what_each_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MAILGOV_COMPLETE", "zsh")
    monkeypatch.setenv("_MAILGOV_LINE", "mailgov agency show H99.47")
    assert run().stdout == "H99.47:Ủy ban nhân dân xã Hòa Bình\n"


def test_without_a_database_nothing_is_offered_and_nothing_said(
    offered: Offered,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("mailgov agency show H") == []


def test_whoever_acts_for_a_branch_is_offered_nothing_outside(
    offered: Offered,
    run: Run,
    database: Database,
) -> None:
    assert run("role", "grant", OFFICE, "it", "--agency", "H99.02.01").exit == 0
    found = offered(f"mailgov --as {OFFICE} agency show H99")
    assert found == ["H99.02.01"]
    assert offered(f"mailgov --as {OFFICE} mailbox show ") == []
    assert offered("mailgov --as khong@tinhmau.test agency show H99") == []


def test_every_argument_that_names_an_agency_address_or_domain_is_completed() -> None:
    """By name or by metavar; those that name something new are left out on purpose."""
    new = {"agency add code", "domain add name", "mailbox add address", "group add group"}
    for path, command in COMMANDS.items():
        for param in command.params:
            shown = (param.metavar or "").strip("[]")
            if param.name in ("agency", "parent") or shown in ("ADDRESS", "GROUP"):
                named = f"{path} {param.name}"
                assert (kind_of(path, param) is None) == (named in new), named
    assert {"agency", "domain", "address"} <= set(KINDS)


# In real shells -------------------------------------------------------------------------------------


def shell_env(home: Path) -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PS1": "> ",
        "MAILGOV_LANG": "vi",
    }


def _need(shell: str) -> None:
    if shutil.which(shell) is None:
        assert not os.environ.get("CI"), f"{shell} is needed (tools/test-packages)"
        pytest.skip(f"no {shell} on this machine")


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("mailgov agency show H99.4\t", "mailgov agency show H99.47"),
        ("mailgov mailbox show annv@s\t", f"mailgov mailbox show {AN}"),
        ("mailgov mailbox sus\t", "mailgov mailbox suspend"),
        ("mailgov mailbox list --agency=H99.4\t", "mailgov mailbox list --agency=H99.47"),
    ],
)
def test_a_real_bash(folder: Path, tmp_path: Path, typed: str, becomes: str) -> None:
    _need("bash")
    command = ["bash", "--norc", "--noprofile", "-i"]
    with Terminal(command, folder, shell_env(tmp_path)) as bash:
        bash.type('bind "set enable-bracketed-paste off"; eval "$(mailgov completion bash)"\n')
        bash.type("echo rea''dy\n")
        bash.read_until("ready")
        # To the start and to the end of the line: it is written down, and not done.
        bash.type(f"{typed}\x01echo '\x05' > typed.txt; echo wri''tten\n")
        bash.read_until("written")
    assert (folder / "typed.txt").read_text().strip() == becomes


def test_a_real_zsh(folder: Path, tmp_path: Path) -> None:
    _need("zsh")
    with Terminal(["zsh", "-f", "-i"], folder, shell_env(tmp_path)) as zsh:
        zsh.type('autoload -Uz compinit; compinit -u; eval "$(mailgov completion zsh)"\n')
        zsh.type("echo rea''dy\n")
        zsh.read_until("ready")
        zsh.type("mailgov agency show H99.4\t")
        assert "H99.47" in zsh.read_until("H99.47")


def test_a_real_fish(folder: Path, tmp_path: Path) -> None:
    _need("fish")
    script = "mailgov completion fish | source; complete -C 'mailgov agency show H99.4'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=folder,
        env=shell_env(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "H99.47\tỦy ban nhân dân xã Hòa Bình\n", done.stderr


# The command ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed_for_each_shell(run: Run, shell: str) -> None:
    assert run("completion", shell).stdout == SCRIPTS[shell]
    assert run("completion", shell, "--json").data == [{"shell": shell, "script": SCRIPTS[shell]}]


def test_it_is_written_where_the_shell_looks(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    file = tmp_path / ".config" / "fish" / "completions" / "mailgov.fish"
    assert run("completion", "install", "-n", "--json").data[0]["file"] == str(file)
    assert not file.exists()
    assert run("completion", "install", "--json").data[0]["changed"] is True
    assert file.read_text() == SCRIPTS["fish"]
    assert run("completion", "install", "--json").data[0]["changed"] is False
    assert run("completion", "install", "zsh").exit == 0
    monkeypatch.setenv("SHELL", "/bin/csh")
    refused = run("completion", "install", "--json")
    assert (refused.exit, refused.error["code"]) == (6, "shell-unknown")
