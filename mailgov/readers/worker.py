"""A reader process: takes bodies by descriptor, gives facts back, and can do nothing else.

Run by the pool as `python -I -m mailgov.readers.worker DESCRIPTOR`. It loads everything first, then
shuts itself in (`sandbox`), then serves until the parent closes the socket. A message that needs too
much processor time ends the process by signal; too little memory ends it after an answer.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

from mailgov.config import Limits
from mailgov.content import READER_VERSION, read_message
from mailgov.readers import sandbox, wire
from mailgov.readers.warm_up import load_codecs, sample_message
from mailgov_policies.facts import Content

Reader = Callable[..., Content]  # data, limits, and `trust_roots` where there are any


def main(arguments: list[str]) -> int:
    """Serve on the descriptor that the first argument names."""
    with socket.socket(fileno=int(arguments[0])) as connection:
        serve(connection, read_message)
    return 0


def serve(connection: socket.socket, read: Reader) -> None:
    """Answer until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's affair
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    settings = _receive_settings(connection)
    limits = Limits.model_validate(settings.limits)
    if settings.roots:
        read = partial(read, trust_roots=settings.roots)
    _preload(read, limits)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    in_force = sandbox.enter(settings.memory_bytes)
    connection.sendall(wire.frame(wire.STARTED, ", ".join(in_force).encode()))
    os.dup2(nowhere, sys.stderr.fileno())  # what libraries say of a message is nobody's to read
    while (descriptor := _receive_body(connection)) is not None:
        size, body = descriptor
        try:
            answer = _answer(read, _content(body, size), limits, settings.cpu_seconds)
        except MemoryError:
            connection.sendall(wire.frame(wire.FAILED, b"memory limit"))
            return
        connection.sendall(answer)


def _preload(read: Reader, limits: Limits) -> None:
    load_codecs()
    wire.CONTENT.dump_json(read(sample_message(), limits))
    gc.collect()
    gc.freeze()


def _receive_settings(connection: socket.socket) -> wire.Settings:
    kind, length = wire.FRAME.unpack(_receive_exactly(connection, wire.FRAME.size))
    if kind != wire.STARTED or length > wire.MAX_SETTINGS_BYTES:
        raise ValueError("no settings")
    return wire.SETTINGS.validate_json(_receive_exactly(connection, length))


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionError("the parent is gone")
        received += chunk
    return received


def _receive_body(connection: socket.socket) -> tuple[int, int] | None:
    """Size and descriptor of the next body; None when the parent has closed."""
    request, descriptors, _, _ = socket.recv_fds(connection, wire.REQUEST.size, 1)
    if not request:
        return None
    return wire.REQUEST.unpack(request)[0], descriptors[0]


def _content(descriptor: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def _answer(read: Reader, data: bytes, limits: Limits, cpu_seconds: float) -> bytes:
    """Facts in a frame; the timer counts processor time and kills, whatever code is running."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    content = read(data, limits)
    try:
        result = wire.CONTENT.dump_json(content)
    except ValueError:  # text that is no Unicode: a fault of ours
        failed = Content(len(data), unscannable="reader failed: text", reader=READER_VERSION)
        result = wire.CONTENT.dump_json(failed)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return wire.frame(wire.FACTS, result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
