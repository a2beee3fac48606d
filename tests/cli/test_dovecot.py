"""`mailgov dovecot`: the configuration in both languages, and where a mailbox lies."""

from pathlib import Path

import pytest

from mailgov.config import load_config
from mailgov.mailstore.dovecot import usable

from .conftest import Run

needs_dovecot = pytest.mark.skipif(
    not usable(load_config(None)), reason="no Dovecot on this machine"
)


@pytest.mark.dovecot
@needs_dovecot
@pytest.mark.parametrize(
    ("version", "of_its_own"),
    [("2.3", "mail_location = maildir:~/Maildir:UTF-8"), ("2.4", "mailbox_list_utf8 = yes")],
)
def test_the_whole_configuration_in_one_file(
    run: Run, folder: Path, version: str, of_its_own: str
) -> None:
    result = run("dovecot", "config", "--dovecot-version", version)
    assert result.exit == 0
    lines = {line.strip() for line in result.stdout.splitlines()}
    assert {of_its_own, "mail_save_crlf = yes", "special_use = \\Sent", "type = shared"} <= lines
    assert "acl_defaults_from_inbox = yes" in lines


@pytest.mark.dovecot
@needs_dovecot
def test_files_for_programs_and_into_a_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    data = run("dovecot", "config", "--json").data
    assert [row["file"] for row in data] == ["dovecot.conf"]
    into = tmp_path / "etc"
    assert run("dovecot", "config", "--into", str(into)).exit == 0
    assert (into / "dovecot.conf").read_text("utf-8") == data[0]["text"]


def test_what_a_service_needs_is_told(run: Run, folder: Path) -> None:
    told = run("dovecot", "config", "--service", "--owner", "root", "--lang", "en")
    assert told.exit != 0
    assert "dovecot-needs-postgresql" in told.stderr
    told = run("dovecot", "config", "--service", "--owner", "khong-co", "--lang", "en")
    assert "system-user-unknown" in told.stderr


def test_a_backend_that_is_not_there(run: Run, folder: Path) -> None:
    told = run("dovecot", "place", "ai@sonoivu.tinhmau.gov.vn", "--on", "imap9", "-n")
    assert told.exit != 0
    assert "backend-unknown" in told.stderr
