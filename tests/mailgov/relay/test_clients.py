"""Programs that people use send mail through us: smtplib, swaks, msmtp, curl, mutt."""

import asyncio
import os
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from ...support.relay import (
    APP_PASSWORD,
    HOSTNAME,
    OFFICE,
    OFFICIAL,
    PASSWORD,
    Authority,
    Relay,
    running_relay,
)

SUBJECT = "Giấy mời họp giao ban"
TEXT = "Kính gửi Sở Tài chính,\n.\n..\nTrân trọng.\n"


@dataclass(frozen=True, slots=True)
class House:
    """Where a program finds us."""

    relay: Relay
    folder: Path

    def port(self, listener: str) -> int:
        return int(self.relay.listeners[listener].rpartition(":")[2])

    @property
    def trust(self) -> str:
        """A file with the authority that signed our certificate."""
        file = self.folder / "ca.pem"
        self.relay.authority.write_trust(file)
        return str(file)


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = OFFICIAL, OFFICE, SUBJECT
    message["Date"] = "Mon, 23 Nov 2026 09:00:00 +0700"
    message["Message-ID"] = "<mot@vidu.gov.vn>"
    message.set_content(TEXT, cte="8bit")
    return message


def run(*command: str, text: bytes = b"", folder: Path | None = None) -> str:
    """Run a program; skip by name where it is missing, but not in CI."""
    if shutil.which(command[0]) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{command[0]} is not installed")
        pytest.skip(f"no {command[0]} on this machine")
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder or "/nonexistent"), "LC_ALL": "C.UTF-8"},
    )
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, told
    return told


def by_smtplib(house: House) -> None:
    context = house.relay.authority.client()
    with smtplib.SMTP("127.0.0.1", house.port("submission"), "pc.example") as client:
        client._host = HOSTNAME  # type: ignore[attr-defined]  # the name in the certificate
        client.starttls(context=context)
        client.login(OFFICIAL, PASSWORD)
        client.send_message(letter())


def by_swaks(house: House) -> None:
    told = run(
        "swaks", "--server", f"127.0.0.1:{house.port('submission')}", "--tls", "--auth", "LOGIN",
        "--auth-user", OFFICIAL, "--auth-password", PASSWORD, "--from", OFFICIAL, "--to", OFFICE,
        "--data", "-", "--helo", "pc.example",
        text=letter().as_bytes(policy=policy.SMTP), folder=house.folder,
    )  # fmt: skip
    assert "250 2.0.0 q1 queued" in told


def by_swaks_in_one_go(house: House) -> None:
    run(
        "swaks", "--server", f"127.0.0.1:{house.port('submissions')}", "--tls-on-connect",
        "--auth", "PLAIN", "--auth-user", OFFICIAL, "--auth-password", PASSWORD, "--pipeline",
        "--from", OFFICIAL, "--to", OFFICE, "--data", "-", "--helo", "pc.example",
        text=letter().as_bytes(policy=policy.SMTP), folder=house.folder,
    )  # fmt: skip


def msmtp(house: House, *settings: str) -> None:
    file = house.folder / "msmtprc"
    lines = (
        "account default", "host 127.0.0.1", "tls on", f"tls_trust_file {house.trust}",
        f"tls_host_override {HOSTNAME}", f"from {OFFICIAL}", f"user {OFFICIAL}", *settings,
    )  # fmt: skip
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    run("msmtp", f"--file={file}", OFFICE, text=letter().as_bytes(), folder=house.folder)


def by_msmtp(house: House) -> None:
    port = f"port {house.port('submission')}"
    msmtp(house, port, "tls_starttls on", "auth on", f"password {PASSWORD}")


def by_msmtp_with_an_app_password(house: House) -> None:
    port = f"port {house.port('submissions')}"
    msmtp(house, port, "tls_starttls off", "auth scram-sha-256", f"password {APP_PASSWORD}")


def curl(house: House, scheme: str, listener: str) -> None:
    file = house.folder / "letter.eml"
    file.write_bytes(letter().as_bytes(policy=policy.SMTP))
    port = house.port(listener)
    run(
        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", house.trust,
        "--resolve", f"{HOSTNAME}:{port}:127.0.0.1", f"{scheme}://{HOSTNAME}:{port}/pc.example",
        "--user", f"{OFFICIAL}:{PASSWORD}", "--mail-from", OFFICIAL, "--mail-rcpt", OFFICE,
        "--upload-file", str(file), folder=house.folder,
    )  # fmt: skip


def by_curl(house: House) -> None:
    curl(house, "smtp", "submission")


def by_curl_in_tls(house: House) -> None:
    curl(house, "smtps", "submissions")


def mutt(house: House, password: str) -> None:
    user = OFFICIAL.replace("@", "%40")
    file = house.folder / "muttrc"
    settings = (
        f"set smtp_url='smtps://{user}@127.0.0.1:{house.port('submissions')}/'",
        f"set smtp_pass='{password}'", f"set from='{OFFICIAL}'", "set use_from=yes",
        f"set ssl_ca_certificates_file='{house.trust}'", "set ssl_verify_host=no", "set copy=no",
        "set send_charset='utf-8'", "set envelope_from_address='" + OFFICIAL + "'",
    )  # fmt: skip
    file.write_text("\n".join(settings) + "\n")
    run("mutt", "-F", str(file), "-s", SUBJECT, OFFICE, text=TEXT.encode(), folder=house.folder)


def by_mutt(house: House) -> None:
    mutt(house, PASSWORD)


def by_mutt_with_an_app_password(house: House) -> None:
    """It takes SCRAM by itself where that is offered."""
    mutt(house, APP_PASSWORD)


@pytest.mark.parametrize(
    "program",
    [
        by_smtplib,
        by_swaks,
        by_swaks_in_one_go,
        by_msmtp,
        by_msmtp_with_an_app_password,
        by_curl,
        by_curl_in_tls,
        by_mutt,
        by_mutt_with_an_app_password,
    ],
    ids=lambda program: program.__name__,
)
async def test_a_letter(
    program: Callable[[House], None], tmp_path: Path, authority: Authority
) -> None:
    scram = program.__name__.endswith("app_password")
    async with running_relay(tmp_path, authority, settings={"scram": scram}) as relay:
        await asyncio.to_thread(program, House(relay, tmp_path))
        ((envelope, content),) = relay.intake.received
    assert (str(envelope.mail_from), envelope.direction) == (OFFICIAL, "submission")
    assert [str(recipient.address) for recipient in envelope.recipients] == [OFFICE]
    assert envelope.client.protocol == "ESMTPSA"
    got = message_from_bytes(content, policy=policy.default)
    assert got["Subject"] == SUBJECT
    assert got.get_content().replace("\r\n", "\n").rstrip("\n") == TEXT.rstrip("\n")
