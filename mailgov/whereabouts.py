"""Where configuration and data are: all that a look-up needs of the settings.

Checking the whole configuration takes longer than most look-ups, and none depends on the rest of it.
`mailgov.config` reads the same file the same way.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailgov.errors import ConfigError

_DATA = "data"  # [data] path, when nothing says otherwise


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The data folder, absolute, and the address of the database."""

    data: Path
    database_url: str


def whereabouts(file: Path | None) -> Whereabouts:
    """What environment and file say; the environment is stronger, as everywhere.

    Raises ConfigError `config-unreadable`, and `config-not-valid` for a value that is no text.
    """
    values = read_settings(file)
    folder = (file.parent if file else Path.cwd()).resolve()
    data = folder / _text(values, file, "data", "path", _DATA)
    url = _text(values, file, "database", "url", "")
    return Whereabouts(data, url or f"sqlite:///{data / 'mailgov.db'}")


def _text(values: dict[str, Any], file: Path | None, section: str, key: str, default: str) -> str:
    held = values.get(section)
    value = os.environ.get(f"MAILGOV_{section}__{key}".upper()) or (
        held.get(key, default) if isinstance(held, dict) else default
    )
    if not isinstance(value, str):
        told = f"`{section}.{key}`: a text is needed"
        raise ConfigError("config-not-valid", file=file or "MAILGOV_*", problems=told)
    return value


def read_settings(file: Path | None) -> dict[str, Any]:
    """What the file says, unchecked; nothing without one. Raises ConfigError `config-unreadable`."""
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError("config-unreadable", file=file, reason=exc) from exc


def find_config(given: Path | None) -> Path | None:
    """The file to read: the one given, `MAILGOV_CONFIG`, `./config.toml`,
    `~/.config/mailgov/config.toml`, `/etc/mailgov/config.toml`.

    None when there is none and none was asked for. Raises ConfigError `config-missing`.
    """
    asked = given or (
        Path(os.environ["MAILGOV_CONFIG"]) if os.environ.get("MAILGOV_CONFIG") else None
    )
    if asked is not None:
        if not asked.is_file():
            raise ConfigError("config-missing", file=asked)
        return asked
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    usual = (Path("config.toml"), own / "mailgov" / "config.toml", Path("/etc/mailgov/config.toml"))
    return next((path for path in usual if path.is_file()), None)
