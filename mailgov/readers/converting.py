"""Conversion to Unicode in a process of its own: whatever the file does, only that process suffers."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from threading import BoundedSemaphore

from pydantic import ValidationError

from mailgov import config
from mailgov.content.conversion import Conversion
from mailgov.content.runs import Unreadable
from mailgov.errors import Unavailable
from mailgov.readers import wire
from mailgov.readers.converter import CONVERSION, REQUEST, UNREADABLE, Request
from mailgov.readers.process import START_SECONDS, TIME_SIGNALS
from mailgov_policies.facts import Encoding

AT_ONCE = 2  # processes; more would only slow down what reads mail
_PLACES = BoundedSemaphore(AT_ONCE)
COMMAND = (sys.executable, "-I", "-m", "mailgov.readers.converter")


def convert_apart(
    data: bytes,
    name: str,
    settings: config.Readers,
    *,
    given: Encoding | None = None,
    command: Sequence[str] = COMMAND,
) -> Conversion:
    """`convert_file` in a sandboxed process of its own. Blocks for as long as settings allow.

    Raises Unreadable, also when the file breaks a limit or the process; Unavailable
    `readers-unavailable` when no process comes up.
    """
    request = REQUEST.dump_json(Request(name.replace("\n", " "), given)) + b"\n"
    if not _PLACES.acquire(timeout=settings.wall_seconds):
        raise Unavailable("readers-unavailable")
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, str(settings.cpu_seconds), str(settings.memory_bytes)],
            input=request + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            timeout=START_SECONDS + settings.wall_seconds,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable("time limit") from None
    except OSError as exc:
        raise Unavailable("readers-unavailable") from exc
    finally:
        _PLACES.release()
    return _answer(done.stdout, done.returncode)


def _answer(answer: bytes, status: int) -> Conversion:
    if not answer.startswith(wire.STARTED):
        raise Unavailable("readers-unavailable")
    head = answer[1 : 1 + wire.FRAME.size]
    if status or len(head) < wire.FRAME.size:
        raise Unreadable("time limit" if status in TIME_SIGNALS else "reader crashed")
    kind, length = wire.FRAME.unpack(head)
    start = 1 + wire.FRAME.size
    content, data = answer[start : start + length], answer[start + length :]
    if kind == UNREADABLE:
        raise Unreadable(content[:200].decode("utf-8", "replace"))
    try:
        return replace(CONVERSION.validate_json(content), data=data)
    except ValidationError as exc:
        raise Unreadable("reader crashed") from exc
