"""A line between two servers that writes down what the client says."""

import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Tap:
    """Forwards connections from its own port to another; `said` is what clients sent, by connection."""

    host: str
    port: int
    said: list[bytearray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection((self.host, self.port))
            heard = bytearray()
            self.said.append(heard)
            for source, target, record in ((client, server, heard), (server, client, None)):
                threading.Thread(
                    target=_forward, args=(source, target, record), daemon=True
                ).start()

    def close(self) -> None:
        """Take no further connections."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


def _forward(source: socket.socket, target: socket.socket, record: bytearray | None) -> None:
    try:
        while block := source.recv(65536):
            if record is not None:
                record += block
            target.sendall(block)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        source.close()
