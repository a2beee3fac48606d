"""The files that go with a command, under names that a server takes, and what comes back."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailgov.errors import InputError
from mailgov_cli.remote.names import safe
from mailgov_cli.remote.tree import Parameter

_STDIN = "-"


@dataclass
class Luggage:
    """What the parameters of one call name.

    A file below the working folder keeps its name. One elsewhere gets a folder of its own in front;
    where that folder appears in what the server says, the caller's own stands again.
    """

    files: dict[str, Path] = field(default_factory=dict)  # name at the server: here
    stdin: bool = False
    _folders: dict[str, str] = field(default_factory=dict)  # here: at the server

    def pack(self, parameter: Parameter, value: Any) -> Any:
        """The value as the server is to have it; files that are there go along."""
        if isinstance(value, (list, tuple)):
            return [self._packed(parameter, str(one)) for one in value]
        return self._packed(parameter, str(value))

    def _packed(self, parameter: Parameter, given: str) -> str:
        if given == _STDIN:
            self.stdin = self.stdin or not parameter.general
            return given
        name = self._name(given)
        file = Path(given)
        if not parameter.general and file.is_file():
            self.files[name] = file
        return name

    def _name(self, given: str) -> str:
        try:
            return str(safe(given))
        except InputError:
            folder = str(Path(given).parent)
            alias = self._folders.setdefault(folder, f"mailgov-{secrets.token_hex(6)}")
            return str(safe(f"{alias}/{Path(given).name}"))

    @property
    def renamed(self) -> bool:
        """Whether what the server says has names of folders that are not the caller's."""
        return bool(self._folders)

    def unpacked(self, text: str) -> str:
        """What the server said, with the caller's own names."""
        for folder, alias in self._folders.items():
            text = text.replace(f"{alias}/", folder if folder.endswith("/") else f"{folder}/")
        return text

    def place(self, name: str) -> Path:
        """Where a file that came back belongs. Raises InputError `api-file-name`."""
        return Path(self.unpacked(str(safe(name))))


def store(file: Path, content: bytes, told: Mapping[str, Any]) -> None:
    """Write a file that came back, whole or not at all. Raises InputError `file-unwritable`."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    mode = 0o600 if told.get("private") else 0o666
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
