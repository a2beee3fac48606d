"""Whole sessions as they go over the wire: `dialogs/*.txt`.

    > listener NAME   connect; the banner is read
    > trusted         the client's network is listed
    > tls             the client shakes hands
    > taken N         the gate has got N messages by now
    > closed          the server hangs up
    C: text           a line from the client, with CRLF
    B: text           bytes from the client, without
    S: text           a line from the server; `…` stands for anything; continuation lines that are
                      not written down are skipped

In `C:` and `B:` there are `\\r \\n \\0 \\xNN \\\\`, `${name}`, and `${text*N}` for repetition.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...support.relay import (
    OFFICIAL,
    PASSWORD,
    Authority,
    Client,
    Relay,
    plain,
    running_relay,
)

DIALOGS = Path(__file__).parent / "dialogs"
NAMES = {
    "plain": plain(OFFICIAL, PASSWORD),
    "plain-wrong": plain(OFFICIAL, "khong-phai"),
    "user": "YW4ubmd1eWVuQHZpZHUuZ292LnZu",
    "password": "TWF0LUtoYXUtQ3VhLUFuLTIwMjY=",
}


def octets(text: str) -> bytes:
    """The bytes that a line of a transcript stands for."""

    def fill(match: re.Match[str]) -> str:
        text, star, count = match[1].rpartition("*")
        return text * int(count) if star else NAMES[match[1]]

    def escape(match: re.Match[bytes]) -> bytes:
        sign = match[1]
        if sign.startswith(b"x"):
            return bytes([int(sign[1:], 16)])
        return {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}[sign]

    filled = re.sub(r"\$\{([^}]+)\}", fill, text)
    return re.sub(rb"\\(x[0-9a-f]{2}|.)", escape, filled.encode())


def steps(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a transcript, comments and blank lines left out."""
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, _, rest = line.partition(" ")
            yield kind, rest


async def expect(client: Client, wanted: str) -> None:
    """Read up to the line that is wanted."""
    pattern = re.escape(wanted).replace("…", ".*")
    line = await client.line()
    while line[3:4] == "-" and wanted[3:4] == " ":
        line = await client.line()
    assert re.fullmatch(pattern, line), f"wanted {wanted!r}, got {line!r}"


async def play(relay: Relay, path: Path) -> None:
    """Go through a transcript with one client."""
    client: Client | None = None
    for kind, rest in steps(path):
        word, _, argument = rest.partition(" ")
        match kind, word:
            case ">", "trusted":
                pass
            case ">", "listener":
                client = await relay.connect(argument)
            case ">", "taken":
                assert len(relay.intake.received) == int(argument)
            case ">", "tls":
                assert client is not None
                await client.start_tls()
            case ">", "closed":
                assert client is not None
                assert await client.is_closed()
            case (("C:" | "B:"), _):
                assert client is not None
                client.send(octets(rest) + (b"\r\n" if kind == "C:" else b""))
            case "S:", _:
                assert client is not None
                await expect(client, rest)
            case _:
                pytest.fail(f"{path.name}: what is `{kind} {rest}`?")
    assert client is not None
    await client.close()


@pytest.mark.parametrize("path", sorted(DIALOGS.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialog(path: Path, tmp_path: Path, authority: Authority) -> None:
    trusted = (">", "trusted") in set(steps(path))
    networks = ("127.0.0.0/8",) if trusted else ()
    async with running_relay(tmp_path, authority, trusted_networks=networks) as relay:
        await play(relay, path)
        assert relay.leftovers == []
