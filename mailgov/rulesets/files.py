"""Ruleset files on disk: read, checked, laid over what is below."""

from collections.abc import Mapping
from pathlib import Path

from mailgov.errors import InputError
from mailgov_policies import Ruleset, RulesetError, default_ruleset, load_ruleset
from mailgov_policies.ruleset_file import is_agency_code

SUFFIX = ".toml"


def read_ruleset(path: Path | None) -> Ruleset:
    """The default pack, with this file over it if there is one.

    Raises InputError `ruleset-unreadable`, or `ruleset-not-valid` with every fault of the file.
    """
    base = default_ruleset()
    return base if path is None else lay(path, base)


def lay(path: Path, base: Ruleset) -> Ruleset:
    """The ruleset of a file over `base`. Raises as `read_ruleset`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("ruleset-unreadable", file=path, reason=exc) from exc
    try:
        return load_ruleset(text, path.name.removesuffix(SUFFIX), base)
    except RulesetError as exc:
        raise InputError("ruleset-not-valid", file=path, problems=exc.problems) from exc


def below(path: Path, base: Ruleset) -> Ruleset:
    """What a file would be laid over, by the codes alone: H99.toml beside it for H99.02.toml.

    Raises as `read_ruleset`.
    """
    groups = path.name.removesuffix(SUFFIX).split(".")
    for depth in range(1, len(groups)):
        higher = path.with_name(f"{'.'.join(groups[:depth])}{SUFFIX}")
        if higher.is_file():
            base = lay(higher, base)
    return base


def agency_files(folder: Path) -> Mapping[str, Path]:
    """The files of a folder by the agency code that names each: `H99.02.toml`.

    Files with other endings are left alone. Raises InputError `ruleset-unreadable` for a folder
    that can't be read and `ruleset-file-name` for a name that is no agency code.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except OSError as exc:
        raise InputError("ruleset-unreadable", file=folder, reason=exc) from exc
    files = {path.name.removesuffix(SUFFIX): path for path in found}
    for code, path in files.items():
        if not is_agency_code(code):
            raise InputError("ruleset-file-name", file=path)
    return files
