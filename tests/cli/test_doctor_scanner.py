"""`mailgov doctor` on the malware scanner."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mailgov.clock import utc_now

from .conftest import Run


def seen(run: Run) -> list[tuple[str, str]]:
    rows = run("doctor", "--json", "--lang", "en").data
    return [(row["state"], row["text"]) for row in rows if row["check"] == "scanner"]


def configure(folder: Path, address: str) -> None:
    with (folder / "config.toml").open("a") as config:
        config.write(f'\n[scanner]\nclamd = "{address}"\n')


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where clamd would listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def test_without_a_scanner_nothing_is_said(run: Run, folder: Path) -> None:
    assert seen(run) == []


def test_a_scanner_that_is_down(run: Run, folder: Path) -> None:
    configure(folder, "127.0.0.1:9")
    ((state, text),) = seen(run)
    assert state == "fail"
    assert "does not answer" in text


@pytest.mark.parametrize(("days", "state"), [(1, "ok"), (8, "warn")])
def test_the_age_of_its_signatures(
    run: Run, folder: Path, listener: socket.socket, days: int, state: str
) -> None:
    made = utc_now() - timedelta(days=days)

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(f"ClamAV 1.4.6/27834/{made:%a %b %d %H:%M:%S %Y}\0".encode())

    served = threading.Thread(target=answer)
    served.start()
    configure(folder, f"127.0.0.1:{listener.getsockname()[1]}")
    ((found, _),) = seen(run)
    served.join(10)
    assert found == state
