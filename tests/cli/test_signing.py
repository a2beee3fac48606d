"""`mailgov dns check` and `dkim activate` against a resolver."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.dns import StubServer, serving
from .conftest import Run

DOMAIN = "sonoivu.tinhmau.test"


@contextmanager
def published(zone: dict[tuple[str, str], list[str]], folder: Path) -> Iterator[None]:
    """Serve the zone while commands run, and let the configuration ask there."""
    server, ready, stop = StubServer(zone), threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(server):
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    config = folder / "config.toml"
    text = config.read_text()
    config.write_text(text.replace('127.0.0.1:9"]', f'{server.address}"]').replace("= 0.2", "= 5"))
    try:
        yield
    finally:
        config.write_text(text)
        stop.set()
        thread.join()


def zone_of(run: Run, name: str = DOMAIN) -> dict[tuple[str, str], list[str]]:
    """All records that the domain should publish."""
    zone: dict[tuple[str, str], list[str]] = {}
    for record in run("dns", "records", name, "--json").data:
        value = record["zone_line"].split(f" IN {record['type']} ")[1]
        zone.setdefault((record["name"], record["type"]), []).append(value)
    zone["mail.tinhmau.test", "A"] = ["192.0.2.5"]
    zone["5.2.0.192.in-addr.arpa", "PTR"] = ["mail.tinhmau.test."]
    return zone


def test_a_domain_that_publishes_everything(run: Run, folder: Path) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "2026a")
    with published(zone_of(run), folder):
        result = run("dns", "check", DOMAIN, "--json")
    assert result.exit == 0
    assert {row["state"] for row in result.data} == {"ok"}
    assert {row["fix"] for row in result.data} == {""}
    assert {row["purpose"] for row in result.data} == {
        "mx", "spf", "dkim", "dmarc", "mta-sts", "tls-rpt", "bimi", "client-setup", "ptr"
    }  # fmt: skip


def test_what_is_missing_or_differs(run: Run, folder: Path) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "2026a")
    zone = zone_of(run)
    zone[DOMAIN, "MX"] = ["10 mail.example.com."]
    del zone[f"_dmarc.{DOMAIN}", "TXT"]
    zone[f"2026a._domainkey.{DOMAIN}", "TXT"] = ['"v=DKIM1; k=rsa; p=AAAA"']
    with published(zone, folder):
        result = run("dns", "check", DOMAIN, "--json")
        table = run("dns", "check", "--all", "--format", "table")
    assert result.exit == table.exit == 8
    faults = [row for row in result.data if row["state"] in ("differs", "missing")]
    assert [(row["purpose"], row["state"], row["problem"]) for row in faults] == [
        ("mx", "differs", "differs"),
        ("spf", "differs", "spf-without-us"),  # it permits the exchangers, and those are others
        ("dkim", "differs", "differs"),
        ("dmarc", "missing", "missing"),
    ]
    states = {row["name"]: row for row in reversed(faults)}
    assert states[DOMAIN]["found"] == ["10 mail.example.com"]
    assert states[DOMAIN]["fix"] == f"sửa thành: {DOMAIN}. IN MX 10 mail.tinhmau.test."
    missing = states[f"_dmarc.{DOMAIN}"]["fix"]
    assert missing.startswith(f'thêm vào vùng DNS: _dmarc.{DOMAIN}. IN TXT "v=DMARC1; p=reject')
    assert "thiếu" in table.stdout
    # The server's own records stand once, whatever the number of its domains.
    assert table.stdout.count("_25._tcp") + table.stdout.count("192.0.2.5: mail.tinhmau.test") == 1
    assert "xahoabinh.tinhmau.test" in table.stdout


def test_a_resolver_that_does_not_answer_is_no_fault_of_the_zone(run: Run, folder: Path) -> None:
    result = run("dns", "check", DOMAIN, "--json")
    assert result.exit == 9
    assert {row["state"] for row in result.data} == {"unanswered"}


def test_a_key_signs_only_when_dns_shows_it(run: Run, folder: Path) -> None:
    for selector in ("2026a", "2026b"):
        assert run("dkim", "generate", DOMAIN, "--selector", selector).exit == 0
    assert run("dkim", "generate", DOMAIN, "--selector", "e1", "--type", "ed25519").exit == 0
    zone = zone_of(run)
    hidden = zone.pop((f"2026b._domainkey.{DOMAIN}", "TXT"))
    with published(zone, folder):
        refused = run("dkim", "activate", DOMAIN, "2026b", "--lang", "en")
        assert refused.exit == 8
        assert "is not in DNS as it must be" in refused.stderr
        assert "missing" in refused.stdout
    zone[f"2026b._domainkey.{DOMAIN}", "TXT"] = hidden
    with published(zone, folder):
        assert run("dkim", "activate", DOMAIN, "2026b", "-n").exit == 0
        assert states(run) == {"2026a": "active", "2026b": "pending", "e1": "pending"}
        done = run("dkim", "activate", DOMAIN, "2026b", "--reason", "thay khóa", "--json")
        assert done.exit == 0
        assert done.data[0]["changes"] == [
            {"field": f"2026a._domainkey.{DOMAIN}", "old": "active", "new": "retired"},
            {"field": f"2026b._domainkey.{DOMAIN}", "old": "pending", "new": "active"},
        ]
        assert states(run) == {"2026a": "retired", "2026b": "active", "e1": "pending"}
        again = run("dkim", "activate", DOMAIN, "2026b", "--lang", "en")
        assert "already so" in again.stderr
        assert run("dkim", "activate", DOMAIN, "e1").exit == 0
        assert states(run) == {"2026a": "retired", "2026b": "active", "e1": "active"}


def states(run: Run) -> dict[str, str]:
    return {row["selector"]: row["state"] for row in run("dkim", "list", DOMAIN, "--json").data}


@pytest.mark.parametrize("dry", [True, False])
def test_private_halves_are_files_for_the_owner_alone(run: Run, folder: Path, dry: bool) -> None:
    result = run("dkim", "generate", DOMAIN, "--selector", "2026a", *(["-n"] if dry else []))
    assert "PRIVATE" not in result.stdout + result.stderr
    files = list((folder / "data" / "keys").glob("*"))
    assert [path.stat().st_mode & 0o777 for path in files] == ([] if dry else [0o600])


def test_doctor_sees_keys_that_cannot_sign(run: Run, folder: Path) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "2026a")
    key = next((folder / "data" / "keys").iterdir())

    def finding() -> str:
        rows = run("doctor", "--json").data
        return next(str(row["state"]) for row in rows if row["about"] in (key.name, "1"))

    assert finding() == "ok"
    key.chmod(0o644)
    assert finding() == "fail"
    key.unlink()
    assert finding() == "fail"


def test_a_rotation_says_what_happens_when(run: Run, folder: Path) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "old")
    planned = run("dkim", "rotate", DOMAIN, "-n", "--json")
    assert [row["step"] for row in planned.data] == []  # a pair is made when it counts
    done = run("dkim", "rotate", DOMAIN, "--json", "--reason", "một năm")
    assert done.exit == 0
    steps = [row["step"] for row in done.data]
    assert steps == ["publish", "publish", "activate", "activate", "retire", "withdraw"]
    assert done.data[-1]["target"] == f"old._domainkey.{DOMAIN}"
    again = run("dkim", "rotate", DOMAIN, "--json")
    assert [row["target"] for row in again.data] == [row["target"] for row in done.data]
    rows = run("dkim", "list", DOMAIN, "--json").data
    assert [(row["algorithm"], row["state"], row["next_step"]) for row in rows] == [
        ("rsa2048", "pending", "activate"),
        ("ed25519", "pending", "activate"),
        ("rsa2048", "active", ""),
    ]
    assert run("dkim", "list", "--older-than", "1d", "--json").data == []


def test_a_key_is_retired_with_a_day_for_its_record(run: Run, folder: Path) -> None:
    for selector, kind in (("a", "rsa2048"), ("b", "ed25519")):
        run("dkim", "generate", DOMAIN, "--selector", selector, "--type", kind)
    last = run("dkim", "retire", DOMAIN, "a", "--lang", "en")
    assert (last.exit, "only key that signs" in last.stderr) == (5, True)
    done = run("dkim", "retire", DOMAIN, "b", "--json")
    assert done.exit == 0
    fields = {row["field"]: row for row in done.data[0]["changes"]}
    assert fields[f"b._domainkey.{DOMAIN}"]["new"] == "retired"
    assert fields["withdraw_at"]["new"]
    assert "already so" in run("dkim", "retire", DOMAIN, "b", "--lang", "en").stderr
    assert run("dkim", "retire", DOMAIN, "none").exit == 3


def test_keys_are_encrypted_with_a_secret_that_is_made_for_it(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "a", "--type", "ed25519")
    assert run("dkim", "protect", "--lang", "en").exit == 6
    secret = tmp_path / "etc" / "signing.secret"
    config = folder / "config.toml"
    config.write_text(f'{config.read_text()}\n[signing]\nsecret_file = "{secret}"\n')
    assert run("dkim", "protect", "-n").exit == 0
    assert not secret.exists()
    done = run("dkim", "protect", "--json")
    assert [row["changed"] for row in done.data] == [True]
    assert [row["changed"] for row in run("dkim", "protect", "--json").data] == [False]
    run("dkim", "generate", DOMAIN, "--selector", "b", "--type", "ed25519")
    for path in (folder / "data" / "keys").iterdir():
        assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert {row["state"] for row in run("doctor", "--json").data if row["check"] == "signing"} == {
        "ok", "warn"
    }  # fmt: skip


def test_signing_for_others_needs_a_socket(run: Run, folder: Path) -> None:
    refused = run("dkim", "serve", "--lang", "en")
    assert (refused.exit, "no socket is set" in refused.stderr) == (6, True)
