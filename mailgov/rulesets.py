"""Ruleset files on disk: read, checked, laid over the default pack."""

from pathlib import Path

from mailgov.errors import InputError
from mailgov_policies import Ruleset, RulesetError, default_ruleset, load_ruleset


def read_ruleset(path: Path | None) -> Ruleset:
    """The default pack, with this file over it if there is one.

    Raises InputError `ruleset-unreadable`, or `ruleset-not-valid` with every fault of the file.
    """
    base = default_ruleset()
    if path is None:
        return base
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("ruleset-unreadable", file=path, reason=exc) from exc
    try:
        return load_ruleset(text, path.stem, base)
    except RulesetError as exc:
        raise InputError("ruleset-not-valid", file=path, problems=exc.problems) from exc
