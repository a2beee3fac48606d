"""kill -9 under load: what was answered 250 is delivered, and nothing twice."""

import itertools
import random
import threading
from pathlib import Path

from ..support.mail import letter, submission
from ..support.platform import Platform, copy_of, eventually, start

CUTS = 3
SENDERS = 4


def send_until_it_dies(
    platform: Platform, number: int, answered: set[str], first: threading.Event
) -> None:
    """Send small messages in a row; note the Message-ID of each that got its 250."""
    official, colleague = platform.login("official"), platform.login("official", 1)
    try:
        with submission(platform, official) as client:
            for count in itertools.count():
                message = letter(
                    official["address"], colleague["address"], "Tải", f"Thư {count}.\n"
                )
                name = f"<{number}.{count}.{platform.process.pid}@e2e.test>"
                message["Message-ID"] = name
                client.send_message(message)
                answered.add(name)
                first.set()
    except OSError:  # smtplib's own errors are of this family
        return


def delivered(folder: Path, address: str) -> list[str]:
    """Message-IDs of the files in a mailbox, repetitions kept."""
    local, _, domain = address.partition("@")
    box = folder / "mail" / domain / local / "Maildir"
    found = []
    for file in itertools.chain(box.glob("new/*"), box.glob("cur/*")):
        header = file.read_bytes().partition(b"\r\n\r\n")[0].decode()
        found += [
            line.partition(":")[2].strip()
            for line in header.split("\r\n")
            if line.lower().startswith("message-id:")
        ]
    return found


def test_every_answered_message_survives_and_none_is_delivered_twice(
    prepared: Path, tmp_path: Path
) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    answered: set[str] = set()
    chance = random.Random(7)
    for cut in range(CUTS):
        platform = start(folder, "--no-samples")
        first = threading.Event()
        senders = [
            threading.Thread(
                target=send_until_it_dies, args=(platform, cut * 10 + n, answered, first)
            )
            for n in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        assert first.wait(30)
        threading.Event().wait(chance.uniform(0.2, 1.5))  # the cut comes at any moment
        platform.kill()
        for sender in senders:
            sender.join()
    platform = start(folder, "--no-samples")
    colleague = platform.login("official", 1)["address"]
    eventually(lambda: answered <= set(delivered(folder, colleague)), seconds=60)
    eventually(lambda: platform.json("queue", "list") == [])
    found = delivered(folder, colleague)
    assert len(found) == len(set(found)), "a message was delivered twice"
    conserved = platform.cli("audit", "conserve")
    assert platform.stop() == 0
    print(
        f"{CUTS} cuts: answered {len(answered)}, delivered {len(found)}, lost 0, twice 0\n{conserved}"
    )
