"""Every command of the tree, found by walking it: nothing can be added without a case in cases/.

A case is a line under the command's name in cases/<noun>.toml:

    ["mailbox show"]
    cases = [
      { args = "annv@sonoivu.tinhmau.test", schema = "mailbox.show/1" },
      { args = "khong@sonoivu.tinhmau.test", exit = 3, error = "mailbox-unknown" },
    ]

`args` may name things of the world in braces: {waiting}, {held}, {job}, {token}, … (world.py).
`schema` is what `--json` answers with; `""`: it has no answer for programs. `exit` is 0 unless said,
`error` the code on stderr. `setup` are commands to run first, `stdin` what is piped in. `again` is how
the same ends when it is repeated (0: already so; -1: not tried). `plan` is the schema of a dry run
where it differs, `dry` its exit. `once`: it can't be tried dry, so it is run but once. `apart = "why, and where it is tested"` instead of cases stands for what can't be run
here. `schemas` beside the cases names what is answered only there, and tested elsewhere. Each case is run in both languages, for people and for programs, dry and for good; schemas are
published in cli/mailgov_cli/schemas/, written anew with MAILGOV_WRITE_SCHEMAS=1 (schema_of.py).
"""

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mailgov_cli import schemas
from mailgov_cli.app import NOUNS
from mailgov_cli.grammar import global_params

from .conftest import Result, Run
from .schema_of import published
from .test_help import COMMANDS
from .world import World, contents, copied, furnish

FOLDER = Path(__file__).with_name("cases")
FILES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.toml")}
ENTRIES: dict[str, dict[str, Any]] = {
    path: entry for file in FILES.values() for path, entry in file.items()
}
CASES = [
    pytest.param(path, case, id=f"{path} {case['args']}".strip())
    for path, entry in ENTRIES.items()
    for case in entry.get("cases", ())
]
WRITING = bool(os.environ.get("MAILGOV_WRITE_SCHEMAS"))


@pytest.fixture(scope="session")
def furnished(prepared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world, made once by the commands themselves, each in a process that sees its folder."""
    import shutil

    from .outside import run_outside

    folder = tmp_path_factory.mktemp("world") / "site"
    shutil.copytree(prepared_folder, folder)
    return furnish(folder, run_outside(folder))


@pytest.fixture
def world(furnished: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the world; commands run in it."""
    copy = copied(furnished, tmp_path / "site")
    monkeypatch.chdir(copy.folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    return copy


# The tree -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_a_case(path: str) -> None:
    entry = ENTRIES.get(path)
    assert entry is not None, f"add `{path}` to tests/cli/cases/{path.split()[0]}.toml"
    assert entry.get("cases") or entry.get("apart")


def test_every_case_belongs_to_a_command_of_its_noun() -> None:
    assert set(ENTRIES) <= set(COMMANDS)
    assert set(FILES) <= set(NOUNS)
    for noun, file in FILES.items():
        assert {path.split()[0] for path in file} <= {noun}


@pytest.mark.parametrize("path", COMMANDS)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_help_names_every_argument_and_option(run: Run, path: str, language: str) -> None:
    told = run(*path.split(), "-h", "--lang", language).stdout
    for param in [*COMMANDS[path].params, *global_params()]:
        shown = param.metavar if param.param_type_name == "argument" else param.opts[0]
        assert str(shown or param.name).strip("[].…").upper() in told.upper(), param.name


@pytest.mark.parametrize("path", COMMANDS)
def test_secrets_are_never_arguments(path: str) -> None:
    for param in COMMANDS[path].params:
        if re.search(r"password|secret|passphrase|code_file|token_file", param.name):
            assert param.name.endswith("_file") or param.param_type_name == "argument", param.name
        if param.param_type_name == "argument":
            assert not re.search(r"secret|passphrase|new_password", param.name)


@pytest.mark.parametrize("path", COMMANDS)
def test_what_changes_can_be_tried_dry(path: str) -> None:
    """Verbs that change the directory or the mail have -n; whatever asks can be told yes beforehand."""
    names = {param.name for param in COMMANDS[path].params}
    changing = {"add", "edit", "remove", "suspend", "resume", "transfer", "recall", "merge", "move"}
    changing |= {"close", "grant", "revoke", "hold", "release", "enable", "disable", "restore"}
    if path.split()[-1] in changing and path.split()[0] not in ("backup", "job"):
        assert "dry_run" in names


@pytest.mark.parametrize("verb", ["suspend", "recall", "remove", "release", "rows"])
def test_grave_acts_need_a_reason(verb: str) -> None:
    for path, command in COMMANDS.items():
        if path.split()[-1] == verb:
            reason = next(param for param in command.params if param.name == "reason")
            assert reason.required, path


@pytest.mark.parametrize("path", COMMANDS)
def test_options_are_never_abbreviated_and_unknown_ones_are_objects_on_stderr(
    run: Run, path: str
) -> None:
    told = run(*path.split(), "--json", "--dry-ru", "--lang", "en")
    assert (told.exit, told.stdout) == (2, "")
    assert told.error["code"] == "unknown-option"
    assert told.error["mend"]


# The cases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "case"), CASES)
def test_case(run: Run, world: World, path: str, case: dict[str, Any]) -> None:
    for command in case.get("setup", ()):
        done = run(*_words(command, world))
        assert done.exit == 0, (command, done)
    args = [*path.split(), *_words(case["args"], world)]
    stdin = case.get("stdin", "")
    if "dry_run" in {param.name for param in COMMANDS[path].params}:
        _try_dry(run, world, case, args, stdin)
    elif not (case.get("exit") or case.get("once")):
        _read_by_people(run, case, args, stdin)
    if {"--yes", "--confirm"} & set(args) and not case.get("exit"):
        _never_asks(run, world, args, stdin)
    done = run(*args, "--json", "--lang", "en", stdin=stdin)
    _ended_so(done, case)
    if not (case.get("exit") or case.get("once")) and "--dry-run" not in args:
        _repeated(run, case, args, stdin)


def _words(command: str, world: World) -> list[str]:
    return [
        re.sub(r"\{(\w+)\}", lambda found: world.names[found[1]], word)
        for word in shlex.split(command)
    ]


def _try_dry(run: Run, world: World, case: dict[str, Any], args: list[str], stdin: str) -> None:
    before = contents(world.folder)
    case = {**case, "exit": case.get("dry", case.get("exit", 0))}
    for language in ("vi", "en"):
        told = run(*args, "--dry-run", "--lang", language, stdin=stdin)
        _told_in_words(told, case, language)
    done = run(*args, "--dry-run", "--json", stdin=stdin)
    _ended_so(done, {**case, "schema": case.get("plan", case.get("schema"))})
    assert contents(world.folder) == before, "a dry run changed something"


def _read_by_people(run: Run, case: dict[str, Any], args: list[str], stdin: str) -> None:
    for language in ("vi", "en"):
        _told_in_words(run(*args, "--lang", language, stdin=stdin), case, language)
    told = run(*args, "--format", "table", "--lang", "en", stdin=stdin)
    assert told.exit == case.get("exit", 0)


def _never_asks(run: Run, world: World, args: list[str], stdin: str) -> None:
    without = [arg for arg in args if arg != "--yes"]
    if "--confirm" in without:
        at = without.index("--confirm")
        del without[at : at + 2]
    before = contents(world.folder)
    told = run(*without, "--json", stdin=stdin)
    assert told.exit == 10, told
    assert _errors(told)[-1]["exit"] == 10
    assert contents(world.folder) == before


def _repeated(run: Run, case: dict[str, Any], args: list[str], stdin: str) -> None:
    expected = case.get("again", 0)
    if expected >= 0:
        assert run(*args, "--json", stdin=stdin).exit == expected, "repeated"


def _told_in_words(told: Result, case: dict[str, Any], language: str) -> None:
    assert told.exit == case.get("exit", 0), told
    assert "Traceback" not in told.stderr
    begins = {"vi": "Lỗi ", "en": "Error "}[language]
    if code := case.get("error"):
        assert f"{begins}{code}: " in told.stderr
        assert {"vi": "Cách sửa: ", "en": "Mend: "}[language] in told.stderr
    else:
        assert not told.stderr.startswith(begins)


def _ended_so(done: Result, case: dict[str, Any]) -> None:
    assert done.exit == case.get("exit", 0), done
    errors = _errors(done)
    if code := case.get("error"):
        assert errors[-1]["code"] == code, done
        assert errors[-1]["exit"] == done.exit
        assert errors[-1]["text"]
    else:
        assert errors == [], done
    if schema := case.get("schema"):
        _holds(done, schema)
    else:
        assert not done.stdout.startswith('{"schema"'), "the case names no schema"


def _errors(done: Result) -> list[dict[str, Any]]:
    """The objects on stderr; nothing else may stand there."""
    return [json.loads(line)["error"] for line in done.stderr.splitlines()]


def _holds(done: Result, name: str) -> None:
    told = json.loads(done.stdout)
    assert told["schema"] == name
    schema = schemas.load(name)
    if WRITING:
        schema = published(name, told["data"], schema)
        folder = Path(str(schemas.__file__)).parent
        text = json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True)
        folder.joinpath(schemas.file_name(name)).write_text(text + "\n", encoding="utf-8")
    assert schema is not None, f"{name} is not published yet: run with MAILGOV_WRITE_SCHEMAS=1"
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(told)


def test_every_published_schema_is_answered_by_a_case() -> None:
    """And each is a schema."""
    answered = {
        case[key] for entry in ENTRIES.values() for case in entry.get("cases", ())
        for key in ("schema", "plan") if case.get(key)
    } | {name for entry in ENTRIES.values() for name in entry.get("schemas", ())}  # fmt: skip
    assert set(schemas.names()) == answered
    for name in answered:
        schema = schemas.load(name)
        assert schema is not None
        jsonschema.Draft202012Validator.check_schema(schema)
