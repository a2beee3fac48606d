"""What each command answers programs with: a JSON Schema for every `schema` of `--json`."""

import json
from importlib.resources import files
from typing import Any


def names() -> list[str]:
    """The schemas that are published, such as `mailbox.list/1`."""
    entries = (entry.name for entry in files(__package__).iterdir())
    return sorted(
        f"{name}/{number}"
        for name, _, number in (
            entry.removesuffix(".json").rpartition("-")
            for entry in entries
            if entry.endswith(".json")
        )
    )


def file_name(schema: str) -> str:
    """The file of a schema: `mailbox.list-1.json`."""
    return f"{schema.replace('/', '-')}.json"


def load(schema: str) -> dict[str, Any] | None:
    """The schema of that name; None when there is none."""
    if schema not in names():
        return None
    text = files(__package__).joinpath(file_name(schema)).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
