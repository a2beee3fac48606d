"""Whether commands go to a server elsewhere, and by what: options, environment, settings of the user."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mailgov.errors import InputError, NotAllowed

if TYPE_CHECKING:
    from mailgov_cli.runtime import Runtime

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The server that commands go to."""

    url: str
    token_file: Path | None
    authorities: Path | None  # PEM; None: those of the system
    timeout_seconds: float


def elsewhere(run: "Runtime") -> Elsewhere | None:
    """The server; None to work here. Raises InputError `remote-settings`, `remote-url`."""
    if run.caller is not None:
        return None
    named = run.server or os.environ.get("MAILGOV_SERVER", "")
    if not named and run.config_file is not None:
        return None
    settings = _settings()
    url = named or settings.get("server", "")
    if not url:
        return None
    token = run.token_file or os.environ.get("MAILGOV_TOKEN_FILE") or settings.get("token_file")
    authorities = settings.get("authorities")
    return Elsewhere(
        _checked(url),
        Path(token).expanduser() if token else None,
        Path(authorities).expanduser() if authorities else None,
        run.timeout,
    )


def settings_file() -> Path:
    """The user's own settings."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "mailgov" / "config.toml"


def _settings() -> dict[str, Any]:
    file = settings_file()
    try:
        found = tomllib.loads(file.read_text("utf-8")).get("remote", {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise InputError("remote-settings", file=file, reason=exc) from exc
    if not isinstance(found, dict) or any(not isinstance(one, str) for one in found.values()):
        raise InputError("remote-settings", file=file, reason="[remote]")
    return found


def _checked(url: str) -> str:
    """Tokens travel over TLS, or stay on this machine."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InputError("remote-url", url=url)
    return url.rstrip("/")


def read_token(file: Path | None) -> str:
    """The token, from a file that nobody else can read. Raises NotAllowed, InputError."""
    if file is None:
        raise NotAllowed("token-missing")
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if mode & 0o077 and os.fstat(stream.fileno()).st_size:
                raise NotAllowed("token-file-open", file=file, mode=f"{mode & 0o777:o}")
            token = stream.read(1024).decode("ascii").strip()
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    except UnicodeDecodeError as exc:
        raise InputError("file-unreadable", file=file, reason="ASCII") from exc
    if not token:
        raise InputError("secret-empty", file=file)
    return token
