"""A line between two servers that breaks where it is told to."""

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

Break = Literal["within", "before", "after"]
_DOT = b"\r\n.\r\n"
_HEADER = b"\r\nSubject: "


@dataclass
class Cut:
    """Forwards connections from its own port to another.

    `breaks` are used up one by one, by messages: `within` the message, `before` the final dot reaches
    the server, or `after` it, before the reply to it reaches the client. While any is left, TLS is not offered, since nobody
    would see a dot in it. `delay_seconds` passes before each block that the server says.
    """

    host: str
    port: int
    breaks: list[Break] = field(default_factory=list)
    delay_seconds: float = 0.0
    broken: threading.Event = field(default_factory=threading.Event)
    _lines: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.own_port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection((self.host, self.port))
            line = threading.Thread(target=_Line(self, client, server).run, daemon=True)
            self._lines.append(line)
            line.start()

    def close(self) -> None:
        """Take no further connections; those that are there have ended, or end soon."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in (self._thread, *self._lines):
            thread.join(10)


class _Line:
    """One connection."""

    def __init__(self, cut: Cut, client: socket.socket, server: socket.socket) -> None:
        self._cut, self._client, self._server = cut, client, server
        self._is_clear = bool(cut.breaks)
        self._ends_at_reply = False

    def run(self) -> None:
        """Forward both ways, to the end."""
        replies = threading.Thread(target=self._replies, daemon=True)
        with self._client, self._server:
            replies.start()
            self._commands()
            replies.join()

    def _commands(self) -> None:
        said = b""
        try:
            while block := self._client.recv(65536):
                said = (said + block)[-len(block) - len(_DOT) :]
                if self._breaks_at(said):
                    self._end()
                    self._cut.broken.set()
                    break
                self._server.sendall(block)
        except OSError:
            pass
        finally:
            self._end()

    def _breaks_at(self, said: bytes) -> bool:
        """Whether the line breaks before these bytes."""
        breaks = self._cut.breaks
        if not self._is_clear or not breaks:
            return False
        if (_HEADER if breaks[0] == "within" else _DOT) not in said:
            return False
        self._ends_at_reply = breaks.pop(0) == "after"
        return not self._ends_at_reply

    def _replies(self) -> None:
        try:
            while block := self._server.recv(65536):
                time.sleep(self._cut.delay_seconds)
                if self._ends_at_reply:
                    break
                if self._is_clear:
                    block = block.replace(b"STARTTLS", b"XNOTLSXX")
                self._client.sendall(block)
        except OSError:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
