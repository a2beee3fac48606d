"""A backup is taken while mail flows, and an empty machine goes on from it."""

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ..support.mail import inbox, letter, submission
from ..support.platform import Platform, command, copy_of, eventually, start
from ..support.restic import require_restic

ENGINE = {"MAILGOV_MAILSTORE__ENGINE": "embedded"}
LARGE = "Nội dung dài. " * 30_000  # beyond what is kept in the database: its body lies in the spool


def settings(folder: Path, data: Path) -> Path:
    """A configuration outside the data folder, as production has it."""
    file = folder / f"{data.name}.toml"
    file.write_text(
        f'[data]\npath = "{data}"\n[backup]\n'
        f'repository = "{folder / "repository"}"\npassword_file = "{folder / "password"}"\n'
    )
    return file


@dataclass
class Writer:
    """Somebody who sends letter after letter until told to stop."""

    platform: Platform
    accepted: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        official, colleague = self.platform.login("official"), self.platform.login("official", 1)
        with submission(self.platform, official) as client:
            number = 0
            while not self.stop.is_set():
                number += 1
                subject = f"Thư số {number}"
                text = LARGE if number % 5 == 0 else "Kính gửi chị.\n"
                message = letter(official["address"], colleague["address"], subject, text)
                client.send_message(message)
                self.accepted.append(subject)


def test_what_was_answered_250_before_a_backup_is_there_after_it(
    prepared: Path, tmp_path: Path
) -> None:
    require_restic()
    folder = copy_of(prepared, tmp_path / "demo")
    platform = start(folder, "--no-samples", environment=ENGINE)
    config = settings(tmp_path, folder)
    command("--config", str(config), "backup", "init")
    assert (tmp_path / "password").stat().st_mode & 0o077 == 0
    writer = Writer(platform)
    thread = threading.Thread(target=writer.run)
    thread.start()
    eventually(lambda: len(writer.accepted) >= 8)
    before = list(writer.accepted)
    command("--config", str(config), "backup", "create")
    writer.stop.set()
    thread.join()
    assert len(writer.accepted) >= len(before)
    assert not (folder / "backup").exists()
    platform.kill()

    restored = tmp_path / "restored"
    again = settings(tmp_path, restored)
    command("--config", str(again), "backup", "restore", "latest")
    for name in ("config.toml", "logins.json"):  # of the demonstration itself
        shutil.copy(folder / name, restored / name)
    revived = start(restored, "--no-samples", environment=ENGINE)
    try:
        colleague = revived.login("official", 1)

        def arrived() -> list[str]:
            return [str(found["Subject"]) for found in inbox(revived, colleague)]

        eventually(lambda: set(before) <= set(arrived()))
        found = arrived()
        assert len(found) == len(set(found)), "delivered twice"
        assert revived.json("audit", "conserve")[0]["balanced"] is True
    finally:
        assert revived.stop() == 0
