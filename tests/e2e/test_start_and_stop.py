"""Starting, stopping, and what is told when something stands in the way."""

import json
import signal
import socket
import stat
from pathlib import Path

from ..support.platform import Platform, command, copy_of, start


def test_ctrl_c_ends_it_cleanly_and_the_second_start_keeps_the_data(
    prepared: Path, tmp_path: Path
) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    first = start(folder, "--no-samples")
    assert first.stop(signal.SIGINT) == 0
    second = start(folder, "--no-samples")
    assert second.ready["logins"] == first.ready["logins"]
    assert second.stop() == 0


def test_the_line_of_json_names_listeners_and_logins(platform: Platform) -> None:
    assert {"mx", "submission", "submissions", "imap", "web", "metrics"} <= set(
        platform.ready["listeners"]
    )
    roles = [login["role"] for login in platform.ready["logins"]]
    assert roles.count("official") >= 2
    assert {"it", "auditor"} <= set(roles)
    domains = {one["address"].partition("@")[2] for one in platform.ready["logins"][:2]}
    assert len(domains) == 2


def test_secrets_of_the_folder_are_the_owners_alone(prepared: Path) -> None:
    secret = [prepared / "logins.json", prepared / "tls/key.pem", *prepared.glob("keys/*")]
    assert len(secret) > 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_sample_messages_are_sent_once_and_each_is_told(prepared: Path, tmp_path: Path) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    platform = start(folder)
    from ..support.platform import eventually

    eventually(lambda: "Đã sẵn sàng" in platform.log.read_text())
    told = platform.log.read_text()
    assert told.count("✓") == 4
    assert told.count("✗") == 6
    for code in (
        "legacy-encoding", "secret-mark", "freemail-outbound", "freemail-inbound-document",
        "sender-identity",
    ):  # fmt: skip
        assert f"[{code}]" in told
    assert platform.stop() == 0
    again = start(folder)
    eventually(lambda: again.log.read_text().count("Đã sẵn sàng") == 2)
    assert again.log.read_text().count("✗") == 6
    assert again.stop() == 0


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("precious")
    done = command("demo", "--data", str(tmp_path), code=6)
    assert "demo-folder-foreign" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_one_process_owns_the_data(platform: Platform) -> None:
    done = command(
        "demo", "--data", str(platform.folder), "--ports", "free", "--lang", "en", code=5
    )
    assert done.stderr.startswith("Error data-in-use")
    assert str(platform.process.pid) in done.stderr


def test_a_busy_port_is_one_clear_line(prepared: Path, tmp_path: Path) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = command(
            "--config", str(folder / "config.toml"), "serve", "--lang", "en", code=9,
            env={"MAILGOV_RELAY__MX": address},
        )  # fmt: skip
    assert done.stderr.startswith("Error port-busy")
    assert address in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_key_file_is_one_clear_line(prepared: Path, tmp_path: Path) -> None:
    folder = copy_of(prepared, tmp_path / "demo")
    (folder / "tls/key.pem").unlink()
    done = command("--config", str(folder / "config.toml"), "serve", "--lang", "en", code=6)
    assert "key.pem" in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_bad_configuration_names_file_key_and_form(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[relay]\nmx = "25"\n')
    done = command("--config", str(config), "serve", "--json", code=6)
    told = json.loads(done.stderr)["error"]
    assert told["code"] == "config-not-valid"
    assert str(config) in told["text"]
    assert "relay.mx" in told["text"]


def test_unknown_agency_and_taken_mailbox_have_their_codes(platform: Platform) -> None:
    config = str(platform.config)
    taken = platform.login("official")["address"]
    done = command(
        "--config", config, "mailbox", "add", "moi@sonoivu.tinhmau.gov.vn", "--name", "Lê Văn Mới",
        "--agency", "H99.77", "--staff-no", "X-1", code=3,
    )  # fmt: skip
    assert "agency-unknown" in done.stderr
    done = command(
        "--config", config, "mailbox", "add", taken, "--name", "Lê Văn Mới",
        "--agency", "H99.02", "--staff-no", "X-1", code=5,
    )  # fmt: skip
    assert "mailbox-taken" in done.stderr
    assert "Nguyễn Văn An" in done.stderr
    done = command("--config", config, "policy", "check", str(platform.folder / "no.eml"), code=6)
    assert "no.eml" in done.stderr
