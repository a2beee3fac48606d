"""The same command line, here and at a server: the same words, the same files, the same end."""

import contextlib
import io
import socket
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailgov_cli.app import main
from mailgov_cli.remote import api, client

from .conftest import Run, Site, serving

CASES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("same.toml").read_text("utf-8")
)["case"]

# The second row has no agency: it is left out, and comes back in a workbook.
STAFF = """\
staff_no,full_name,agency_code,title
VC-21,Đỗ Văn Giang,H99.05,Chuyên viên
VC-22,Hồ Thị Hạnh,H99.99,
"""


def test_commands_do_the_same_at_a_server(
    site: Site,
    local_site: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = ("--server", site.url, "--token-file", str(site.token_file("operator")))
    here = ("--config", str(local_site / "config.toml"))
    for case in CASES:
        told = []
        for name, options in (("here", here), ("there", there)):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            elsewhere = tmp_path / "elsewhere"
            elsewhere.mkdir(exist_ok=True)
            for place in (folder, elsewhere):
                (place / "moi.csv").write_text(STAFF)
            monkeypatch.chdir(folder)
            args = [one.replace("{elsewhere}", str(elsewhere)) for one in case["args"]]
            result = run(*args, *options, stdin=case.get("stdin", ""))
            files = [(folder / file).read_bytes() for file in case.get("files", [])]
            told.append((result.stdout, result.stderr, result.exit, files))
        assert told[0] == told[1], case["args"]
    assert {file.name for file in (tmp_path / "here").iterdir()} == {
        file.name for file in (tmp_path / "there").iterdir()
    }


def test_a_server_that_cannot_be_reached_is_named(run: Run, site: Site) -> None:
    token = str(site.token_file("operator"))
    result = run(
        "agency", "list", "--server", "http://127.0.0.1:9", "--token-file", token, "--json"
    )
    assert result.exit == 9
    assert result.error["code"] == "remote-unreachable"
    assert result.error["fields"]["url"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "url", ["http://mail.tinhmau.gov.vn", "ftp://127.0.0.1", "https://a:b@c.test", "mail.test"]
)
def test_a_token_is_never_sent_in_clear(run: Run, site: Site, url: str) -> None:
    token = str(site.token_file("operator"))
    result = run("agency", "list", "--server", url, "--token-file", token, "--json")
    assert (result.exit, result.error["code"]) == (6, "remote-url")


def test_a_token_that_others_can_read_is_not_used(run: Run, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "open.token"
    file.write_text(site.tokens["operator"])
    file.chmod(0o640)
    result = run("agency", "list", "--server", site.url, "--token-file", str(file), "--json")
    assert (result.exit, result.error["code"]) == (4, "token-file-open")
    file.chmod(0o600)
    assert run("agency", "list", "--server", site.url, "--token-file", str(file)).exit == 0


def test_server_and_token_may_be_settings(
    run: Run, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings" / "mailgov"
    settings.mkdir(parents=True)
    token = site.token_file("operator")
    (settings / "config.toml").write_text(
        f'[remote]\nserver = "{site.url}"\ntoken_file = "{token}"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert run("agency", "list", "--json").data[0]["code"] == "H99"
    monkeypatch.setenv("MAILGOV_SERVER", "http://127.0.0.1:9")
    assert run("agency", "list").exit == 9
    (settings / "config.toml").write_text("[remote]\nserver = 5\n")
    result = run("agency", "list", "--json")
    assert (result.exit, result.error["code"]) == (6, "remote-settings")


def test_what_belongs_to_the_server_is_not_called(run: Run, site: Site) -> None:
    there = ("--server", site.url, "--token-file", str(site.token_file("operator")))
    result = run("db", "migrate", *there, "--json")
    assert (result.exit, result.error["code"]) == (3, "api-not-offered")


def test_a_certificate_of_nobody_is_not_believed(
    run: Run,
    local_site: Path,
    tmp_path: Path,
) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key, roots = (tmp_path / name for name in ("chain.pem", "key.pem", "roots.pem"))
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(roots))
    token = str(local_site / "operator.token")
    settings = tmp_path / "settings" / "mailgov"
    settings.mkdir(parents=True)
    with serving(local_site, "https", listen="127.0.0.1:0", certificate=chain, private_key=key) as (
        url,
        _,
    ):
        there = ("--server", url, "--token-file", token, "--json")
        result = run("agency", "list", *there)
        assert (result.exit, result.error["code"]) == (1, "remote-certificate")
        (settings / "config.toml").write_text(f'[remote]\nauthorities = "{roots}"\n')
        assert run("agency", "list", *there).data[0]["code"] == "H99"


# What happens on the way ------------------------------------------------------------------------


class Wire:
    """A way to the server that breaks after so many bytes of the first answer."""

    def __init__(self, url: str, most: int) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._most = most
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._live, daemon=True).start()

    def _live(self) -> None:
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            theirs = socket.create_connection(self._target)
            most = self._most if self.connections == 1 else 1 << 30
            threading.Thread(target=_pass_on, args=(ours, theirs, 1 << 30), daemon=True).start()
            threading.Thread(target=_pass_on, args=(theirs, ours, most), daemon=True).start()

    def close(self) -> None:
        """Take no more calls."""
        self._listening.close()


def _pass_on(source: socket.socket, target: socket.socket, most: int) -> None:
    try:
        while most > 0 and (piece := source.recv(min(most, 4096))):
            target.sendall(piece)
            most -= len(piece)
    except OSError:
        pass
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()


@pytest.mark.parametrize("most", [0, 150, 330])
def test_a_broken_connection_is_taken_up_where_it_broke(site: Site, run: Run, most: int) -> None:
    token = ("--token-file", str(site.token_file("operator")))
    straight = run("agency", "tree", "--server", site.url, *token)
    wire = Wire(site.url, most)
    try:
        broken = run("agency", "tree", "--server", wire.url, *token)
    finally:
        wire.close()
    assert wire.connections > 1
    assert broken == straight


class Typed(io.TextIOWrapper):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 10)])
def test_what_the_server_would_ask_is_asked_here(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    code: int,
) -> None:
    there = ("--server", site.url, "--token-file", str(site.token_file("operator")), "--lang", "en")
    address = f"hoi{code}@tinhmau.test"
    assert main(["group", "add", address, "--agency", "H99", *there]) == 0
    monkeypatch.setattr("sys.stdin", Typed(io.BytesIO(answer.encode())))
    assert main(["group", "remove", address, "--reason", "x", *there]) == code
    assert "[y/N]" in capsys.readouterr().err


def test_a_password_is_asked_for_here_and_never_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ("--server", site.url, "--token-file", str(site.token_file("operator")))
    monkeypatch.setattr("sys.stdin", Typed(io.BytesIO()))
    monkeypatch.setattr("typer.prompt", lambda *_args, **_options: "Bien Dong 3 ngon song!")
    assert main(["mailbox", "password", "vanthu@sonoivu.tinhmau.test", *there]) == 0
    told = capsys.readouterr()
    assert "Bien Dong" not in told.out + told.err


def test_another_version_is_named(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    there = ("--server", site.url, "--token-file", str(site.token_file("operator")), "--json")
    offered = api.routes()
    monkeypatch.setattr(
        api, "routes", lambda: {k: v for k, v in offered.items() if k != "agency/list"}
    )
    monkeypatch.setattr(api, "commands", dict)
    assert run("agency", "list", *there).error["code"] == "api-route-unknown"
    monkeypatch.setattr(client, "version", lambda _name: "9.9.9")
    result = run("agency", "list", *there)
    assert (result.exit, result.error["code"]) == (1, "remote-version")
    assert result.error["fields"]["ours"] == "9.9.9"
