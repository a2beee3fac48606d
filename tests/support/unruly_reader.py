"""A reader process that does what the message says: hangs, crashes, eats memory, lies, tries to get out.

Run by the pool in place of the real one, with the socket's descriptor as its argument.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path

from mailgov.config import Limits
from mailgov.readers.worker import serve
from mailgov_policies.facts import Content

_seen = 0


def read(data: bytes, limits: Limits) -> Content:
    """Obey the first word of the message."""
    global _seen
    _seen += 1
    command, _, argument = data.partition(b" ")
    said = ""
    if command == b"hang":
        while True:
            pass
    elif command == b"sleep":
        time.sleep(60)
    elif command == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif command == b"raise":
        raise RuntimeError
    elif command == b"memory":
        said = str(len(bytearray(int(argument))))
    elif command == b"large":
        said = "x" * int(argument)
    elif command == b"lie":
        return Content(len(data) + 1)
    elif command == b"escape":
        said = " ".join(_escapes())
    elif command == b"process":
        said = f"{os.getpid()} {_seen}"
    elif command == b"limits":
        said = str(limits.mime_parts)
    return Content(len(data), unscannable=said)


def _escapes() -> list[str]:
    """Ways out that are open."""
    found = []
    try:
        Path("/etc/passwd").read_text()
        found.append("files")
    except OSError:
        pass
    try:
        with socket.create_connection(("127.0.0.1", 9), timeout=1):
            pass
    except PermissionError:
        pass
    except ConnectionRefusedError:
        found.append("network")
    except OSError:
        pass
    try:
        socket.socket(socket.AF_UNIX).connect("\0x")
        found.append("sockets")
    except OSError:
        pass
    return found


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection, read)
