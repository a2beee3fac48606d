"""A program at a terminal of its own: what is typed, and what it then shows."""

import os
import pty
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE_SECONDS = 60.0


class Terminal:
    """A program in a pseudo-terminal of 160 columns; ended when the block ends."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.shown = ""
        self._status: int | None = None
        self._pid, self._end = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(folder)
                os.execvpe(command[0], list(command), dict(env))
            finally:
                os._exit(127)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self.end()
        os.close(self._end)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._end, text.encode())

    def read_until(self, wanted: str) -> str:
        """What was shown since the last call, up to and including `wanted`."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while wanted not in self.shown:
            assert time.monotonic() < until, f"no {wanted!r} in {self.shown!r}"
            ready, _, _ = select.select([self._end], [], [], 1.0)
            if ready:
                try:
                    self.shown += os.read(self._end, 65536).decode("utf-8", "replace")
                except OSError:  # the program has ended, and with it the terminal
                    assert wanted in self.shown, f"ended without {wanted!r}: {self.shown!r}"
        before, found, self.shown = self.shown.partition(wanted)
        return before + found

    def end(self) -> int:
        """Wait for the program's end; returns its exit code, negative for a signal."""
        if self._status is None:
            self._status = os.waitpid(self._pid, 0)[1]
        return os.waitstatus_to_exitcode(self._status)
