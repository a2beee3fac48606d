"""Where the IMAP listener of this installation is, also when its port was chosen at start."""

import errno
from ipaddress import ip_address
from pathlib import Path

from mailgov.config import Config
from mailgov.errors import Unavailable
from mailgov.mailstore.users import write_whole


def publish(data: Path, address: str) -> None:
    """Leave the listener's `host:port` for the other processes. Blocks on the disk."""
    file = _file(data)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, f"{address}\n")


def listener(config: Config) -> tuple[str, int]:
    """Host and port to connect to. Blocks on the disk when the port was free to choose.

    Raises Unavailable `mailstore-unavailable` before the listener's first start.
    """
    address = config.mailstore.imap
    if address.endswith(":0"):
        try:
            address = _file(config.data.path).read_text("utf-8").strip()
        except FileNotFoundError as exc:
            raise Unavailable("mailstore-unavailable") from exc
    host, port = split(address)
    # A server that listens everywhere is nearest on loopback.
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - compared, not bound


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; there, and only there, IMAP goes in clear."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a name: who knows where it leads


def split(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; the host without brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def not_bound(error: OSError, address: str, listener: str = "imap") -> Unavailable:
    """Why the listener can't be opened: `port-busy` or `port-unavailable`."""
    code = "port-busy" if error.errno == errno.EADDRINUSE else "port-unavailable"
    return Unavailable(code, listener=listener, address=address, reason=error.strerror or "")


def _file(data: Path) -> Path:
    return data / "run" / "imap-listener"
