"""One command in a process of its own: the same function as on the command line, with its own streams.

A process has one folder, one pair of streams and one caller, so two calls can mix nothing. What the
command writes goes, in order, as lines of JSON into a journal that any number of callers can read.
"""

import base64
import io
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailgov.access import Authority
from mailgov.config import Config
from mailgov.texts import Language
from mailgov.whereabouts import Whereabouts

JOURNAL = "journal.jsonl"
FILES = "files"
STDIN = "stdin"
_LINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the caller has before them; columns 0: no terminal."""

    stdout: bool = False
    stderr: bool = False
    columns: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """All that a command needs to know."""

    args: tuple[str, ...]
    folder: Path
    config: Config
    authority: Authority
    language: Language
    terminal: Terminal = field(default_factory=Terminal)
    told_progress: bool = False  # as lines for programs


class Journal:
    """The lines of a run; each is whole."""

    def __init__(self, file: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._descriptor = os.open(file, flags, 0o600)

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        os.write(self._descriptor, json.dumps(entry, ensure_ascii=False).encode() + b"\n")


class _Channel(io.RawIOBase):
    """What is written becomes lines of the journal."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal, self._name = journal, name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        for start in range(0, len(content), _LINE_BYTES):
            self._journal.write(self._entry(content[start : start + _LINE_BYTES]))
        return len(content)

    def _entry(self, piece: bytes) -> dict[str, str]:
        try:
            return {self._name: piece.decode()}
        except UnicodeDecodeError:
            return {f"{self._name}_bytes": base64.b64encode(piece).decode()}


class _Stream(io.TextIOWrapper):
    """A standard stream of the command."""

    def __init__(self, journal: Journal, name: str, *, terminal: bool, by_line: bool) -> None:
        buffer = io.BufferedWriter(_Channel(journal, name), _LINE_BYTES)
        super().__init__(buffer, encoding="utf-8", errors="replace", line_buffering=by_line)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def work(call: Call) -> None:
    """Run the command and write how it ended; the last line has `exit`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(call.folder / FILES)
    if call.terminal.columns:
        os.environ["COLUMNS"] = str(call.terminal.columns)
    journal = Journal(call.folder / JOURNAL)
    sys.stdin = (call.folder / STDIN).open(encoding="utf-8")
    sys.stdout = _Stream(journal, "out", terminal=call.terminal.stdout, by_line=False)
    sys.stderr = _Stream(journal, "err", terminal=call.terminal.stderr, by_line=True)
    journal.write(_run(call, journal))


def _run(call: Call, journal: Journal) -> dict[str, Any]:
    from mailgov_cli.app import run_line
    from mailgov_cli.runtime import Runtime

    run = Runtime(language=call.language, no_input=True, caller=call.authority)
    run.config = call.config
    run.whereabouts = Whereabouts(call.config.data.path, call.config.database_url)
    if call.told_progress:
        run.told = lambda done, total: journal.write({"progress": {"done": done, "total": total}})
    code = run_line(list(call.args), run)
    sys.stdout.flush()
    sys.stderr.flush()
    end: dict[str, Any] = {"exit": int(code)}
    if run.asked:
        end["asked"] = list(run.asked)
    return end
