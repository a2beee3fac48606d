"""The same platform on PostgreSQL: provisioned by command, a letter goes its way."""

import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ..support import postgres
from ..support.platform import command, eventually

pytestmark = pytest.mark.postgres

PASSWORD = "Cau-go-qua-song-7!"
CONFIG = """\
[database]
url = "{url}"
[relay]
mx = "127.0.0.1:0"
submission = "127.0.0.1:0"
submissions = "127.0.0.1:0"
[mailstore]
engine = "embedded"
imap = "127.0.0.1:0"
[web]
listen = "127.0.0.1:0"
[metrics]
listen = "127.0.0.1:0"
"""


@pytest.fixture
def config(postgres_cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Path]:
    """A province of two on an empty database of its own."""
    postgres_cluster.run("CREATE DATABASE e2e")
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url=postgres_cluster.url("e2e")), encoding="utf-8")

    def run(*args: str) -> None:
        command("--config", str(path), *args)

    run("db", "migrate")
    run("agency", "add", "H99", "--name", "Tỉnh Mẫu", "--level", "province")
    run("domain", "add", "tinhmau.gov.vn", "--agency", "H99")
    run("dkim", "generate", "tinhmau.gov.vn")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    for number, name in enumerate(("an", "binh"), start=1):
        run(
            "mailbox", "add", f"{name}.nv@tinhmau.gov.vn", "--name", "Nguyễn Văn A", "--agency", "H99",
            "--staff-no", f"VC-{number}", "--password-file", str(secret),
        )  # fmt: skip
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "data/tls").mkdir()
    issued.cert_chain_pems[0].write_to_path(tmp_path / "data/tls/cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "data/tls/key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    yield path
    postgres_cluster.run("DROP DATABASE e2e WITH (FORCE)")


def test_a_letter_goes_its_way_on_postgresql(config: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mailgov_cli", "--config", str(config), "serve", "--ready-json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=dict(os.environ),
        )
    with process:
        assert process.stdout is not None
        try:
            listeners = json.loads(process.stdout.readline())["listeners"]
            host, _, port = listeners["submissions"].rpartition(":")
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            with smtplib.SMTP_SSL(host, int(port), timeout=60, context=context) as client:
                client.login("an.nv@tinhmau.gov.vn", PASSWORD)
                client.sendmail(
                    "an.nv@tinhmau.gov.vn",
                    ["binh.nv@tinhmau.gov.vn"],
                    "From: an.nv@tinhmau.gov.vn\r\nTo: binh.nv@tinhmau.gov.vn\r\n"
                    "Subject: Lich hop\r\n\r\nChao anh.\r\n",
                )
            box = tmp_path / "data/mail/tinhmau.gov.vn/binh.nv/Maildir/new"
            delivered = eventually(lambda: list(box.glob("*")))
            assert b"DKIM-Signature" in delivered[0].read_bytes()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    done = command("--config", str(config), "audit", "conserve", "--json")
    assert json.loads(done.stdout)["data"]
