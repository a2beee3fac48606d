"""A process that converts one file to Unicode and can do nothing else.

Run as `python -I -m mailgov.readers.converter CPU_SECONDS MEMORY_BYTES`. It loads everything first,
shuts itself in (`sandbox`), and only then takes the request from stdin. The answer on stdout: `S`
when it has started, then one kind byte, four bytes of length and JSON, then the new file. Kinds are
`C` converted (or not, see the outcome) and `E` unreadable.
"""

import os
import signal
import sys
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from mailgov.content.conversion import Conversion
from mailgov.content.convert import convert_file
from mailgov.content.runs import Unreadable
from mailgov.readers import sandbox, wire
from mailgov.readers.warm_up import load_codecs, sample_document, sample_message
from mailgov_policies.facts import Encoding

CONVERTED, UNREADABLE = b"C", b"E"


@dataclass(frozen=True, slots=True)
class Request:
    """What goes before the bytes of the file, as one line of JSON."""

    name: str
    given: Encoding | None = None


REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
CONVERSION: TypeAdapter[Conversion] = TypeAdapter(Conversion)


def main(arguments: list[str]) -> int:
    """Convert what stdin holds."""
    cpu_seconds, memory_bytes = float(arguments[0]), int(arguments[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's affair
    load_codecs()
    for sample in (sample_document(), sample_message(), b"x"):
        _answer(convert_file(sample))
    sandbox.enter(memory_bytes)
    _write(wire.STARTED)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    head, _, data = sys.stdin.buffer.read().partition(b"\n")
    request = REQUEST.validate_json(head)
    try:
        conversion = convert_file(data, request.name, request.given)
    except Unreadable as exc:
        _write(wire.frame(UNREADABLE, str(exc.args[0]).encode()))
    except MemoryError:
        _write(wire.frame(UNREADABLE, b"memory limit"))
    else:
        _write(_answer(conversion))
        _write(conversion.data)
    return 0


def _answer(conversion: Conversion) -> bytes:
    """What goes before the new file."""
    return wire.frame(CONVERTED, CONVERSION.dump_json(replace(conversion, data=b"")))


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
