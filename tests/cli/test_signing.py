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
    return zone


def test_a_domain_that_publishes_everything(run: Run, folder: Path) -> None:
    run("dkim", "generate", DOMAIN, "--selector", "2026a")
    with published(zone_of(run), folder):
        result = run("dns", "check", DOMAIN, "--json")
    assert result.exit == 0
    assert {row["state"] for row in result.data} == {"ok", "unchecked"}
    assert {row["type"] for row in result.data if row["state"] == "unchecked"} == {"SRV", "CNAME"}


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
    states = {row["name"]: row for row in result.data if row["state"] in ("differs", "missing")}
    assert {name: row["state"] for name, row in states.items()} == {
        DOMAIN: "differs",
        f"_dmarc.{DOMAIN}": "missing",
        f"2026a._domainkey.{DOMAIN}": "differs",
    }
    assert states[DOMAIN]["found"] == ["mail.example.com"]
    assert "thiếu" in table.stdout
    assert "xahoabinh.tinhmau.test" in table.stdout


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
