"""Without Dovecot the embedded server keeps the mailboxes: a letter is sent, read and answered for."""

from pathlib import Path

from ..support.mail import inbox, letter, send
from ..support.platform import copy_of, eventually, start

ENGINE = {"MAILGOV_MAILSTORE__ENGINE": "embedded"}


def test_a_letter_is_read_over_the_embedded_server_and_survives_a_restart(
    prepared: Path, tmp_path: Path
) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    platform = start(folder, "--no-samples", environment=ENGINE)
    official, colleague = platform.login("official"), platform.login("official", 1)
    message = letter(official["address"], colleague["address"], "Góp ý", "Chào chị Bình.\n")
    assert send(platform, official, message)[0] == 250
    arrived = eventually(lambda: inbox(platform, colleague))
    assert [str(found["Subject"]) for found in arrived] == ["Góp ý"]
    assert not (folder / "dovecot").exists()
    assert platform.stop() == 0
    again = start(folder, "--no-samples", environment=ENGINE)
    kept = inbox(again, colleague)
    assert [found.as_bytes() for found in kept] == [found.as_bytes() for found in arrived]
    assert again.stop() == 0
