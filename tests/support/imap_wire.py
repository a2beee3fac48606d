"""IMAP as bytes: a client that hides nothing, and responses as nested values to compare."""

import re
import socket
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 20

Value = str | bytes | list["Value"]
"""An atom in lower case, a string's bytes, or a list."""

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_TOKEN = re.compile(
    rb'\s*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|~?\{(?P<literal>\d+)\}\r\n'
    rb"|(?P<atom>(?:[^\s()\[\"]|\[[^\]]*\])+))",
    re.DOTALL,
)


@dataclass
class Wire:
    """One connection. A response is its whole bytes, literals included, without the line end."""

    host: str
    port: int
    greeting: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection((self.host, self.port), TIMEOUT_SECONDS)
        self._file = self._socket.makefile("rb")
        self._tags = 0
        self.greeting = self.response()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def response(self) -> bytes:
        """The next response; empty when the server has closed the connection."""
        whole = b""
        while True:
            line = self._file.readline()
            whole += line
            found = _LITERAL.search(line)
            if found is None:
                return whole.removesuffix(b"\r\n")
            whole += self._file.read(int(found[1]))

    def start(self, command: bytes) -> bytes:
        """Send a command; its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.send(b"%b %b\r\n" % (tag, command))
        return tag

    def finish(self, tag: bytes) -> list[bytes]:
        """Every response up to the tagged one."""
        found = []
        while not found or not found[-1].startswith(tag + b" "):
            found.append(self.response())
            assert found[-1], f"the server hung up after {found}"
        return found

    def run(self, command: bytes) -> list[bytes]:
        return self.finish(self.start(command))

    def ok(self, command: bytes) -> list[bytes]:
        """The untagged responses of a command that must be done."""
        *untagged, last = self.run(command)
        assert last.split(b" ")[1] == b"OK", (command[:200], last)
        return untagged

    def append(self, folder: bytes, message: bytes, arguments: bytes = b"") -> list[bytes]:
        """APPEND with a synchronising literal."""
        tag = self.start(b"APPEND %b %b{%d}" % (folder, arguments, len(message)))
        reply = self.response()
        if not reply.startswith(b"+"):
            return [reply]
        self.send(message + b"\r\n")
        return self.finish(tag)

    def login(self, user: str, password: str) -> None:
        self.ok(b"LOGIN {%d+}\r\n%b {%d+}\r\n%b" % (
            len(user.encode()), user.encode(), len(password.encode()), password.encode()
        ))  # fmt: skip


def values(response: bytes) -> list[Value]:
    """A response as atoms, strings and lists."""
    stack: list[list[Value]] = [[]]
    position = 0
    while found := _TOKEN.match(response, position):
        position = found.end()
        if found["open"]:
            stack.append([])
        elif found["close"]:
            done = stack.pop()
            stack[-1].append(done)
        elif found["quoted"] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", found["quoted"]))
        elif found["literal"] is not None:
            end = position + int(found["literal"])
            stack[-1].append(response[position:end])
            position = end
        else:
            stack[-1].append(found["atom"].decode("utf-8", "replace").lower())
    assert len(stack) == 1, response
    return stack[0]
