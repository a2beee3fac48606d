"""`mailgov client`: what people type into a mail program, and what programs find by themselves."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.addresses import Address
    from mailgov.authentication.published import Checked
    from mailgov.client_setup import Servers

app = Noun()

Of = Annotated[str, typer.Argument(help="the mailbox", metavar="ADDRESS")]

# Which records a kind of program asks for; Apple's programs ask for none, they install a profile.
_ASKS = {"thunderbird": "autoconfig.", "outlook": "autodiscover.", "other": "_imaps._tcp."}
_CONNECT_SECONDS = 5.0


@app.command(epilog="mailgov client show nvan@sonoivu.tinhmau.gov.vn")
def show(ctx: typer.Context, address: Of) -> None:
    """Servers, ports and user name to type into a mail program."""
    from mailgov.client_setup import servers

    run = runtime(ctx)
    box = _mailbox(run, address)
    found = servers(run.config)
    rows = [
        {
            "protocol": protocol,
            "host": host,
            "port": port,
            "security": "TLS",
            "user": str(box),
            "setup_url": found.setup_url,
        }
        for protocol, host, port in _endpoints(found)
    ]
    run.emit("client.show/1", rows, tuple(rows[0]))


@app.command(epilog="mailgov client check nvan@sonoivu.tinhmau.gov.vn")
def check(ctx: typer.Context, address: Of) -> None:
    """What Thunderbird, Outlook, Apple's and other programs will find, and whether the servers answer.

    Exit 8 when one of them finds nothing.
    """
    from mailgov.authentication.published import State
    from mailgov.client_setup import servers

    run = runtime(ctx)
    box = _mailbox(run, address)
    found = servers(run.config)
    rows = []
    for client, result in _published(run, box):
        fix = ""
        if result.problem:
            fields = {"name": result.record.name, "line": result.record.zone_line()}
            fix = words.say(run.language, "dns-fix", result.problem, **fields)
        state = "ok" if result.state is State.OK else str(result.state.value)
        rows.append({"client": client, "asks_for": result.record.name, "state": state, "fix": fix})
    rows.append(_apple(run, found))
    rows += [_reached(run, protocol, host, port) for protocol, host, port in _endpoints(found)]
    run.emit("client.check/1", rows, ("client", "asks_for", "state", "fix"))
    if any(row["state"] != "ok" for row in rows):
        raise typer.Exit(Exit.FOUND)


@app.command(epilog="mailgov client profile nvan@sonoivu.tinhmau.gov.vn -o nvan.mobileconfig")
def profile(ctx: typer.Context, address: Of) -> None:
    """Write the profile that iPhone, iPad and Mac install; it holds no password."""
    from mailgov import lookups
    from mailgov.addresses import Address
    from mailgov.client_setup import apple_profile, servers
    from mailgov.errors import InputError

    run = runtime(ctx)
    record = lookups.mailbox(run.lookups, address)
    content = apple_profile(servers(run.config), Address.parse(record["address"]), record["name"])
    if run.output is None or str(run.output) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    try:
        Path(run.output).write_bytes(content)
    except OSError as exc:
        raise InputError("file-unwritable", file=run.output, reason=exc.strerror) from exc
    run.say("written", target=run.output)


def _mailbox(run: Runtime, address: str) -> "Address":
    """The address, of a mailbox that is there. Raises NotFound `mailbox-unknown`."""
    from mailgov import lookups
    from mailgov.addresses import Address

    return Address.parse(lookups.mailbox(run.lookups, address)["address"])


def _endpoints(found: "Servers") -> tuple[tuple[str, str, int], ...]:
    return (
        ("imap", found.imap_host, found.imap_port),
        ("smtp", found.smtp_host, found.smtp_port),
    )


def _published(run: Runtime, box: "Address") -> "list[tuple[str, Checked]]":
    """What DNS has of the records that programs ask for."""
    from mailgov.authentication.published import check_records
    from mailgov.resolver import DnsResolver
    from mailgov.signing.dns_records import records_for

    host = run.config.site.hostname
    wanted = [one for one in records_for(box.domain, host, []) if one.purpose == "client-setup"]
    asked = {
        client: next(one for one in wanted if one.name.startswith(begins))
        for client, begins in _ASKS.items()
    }
    results = asyncio.run(check_records(list(asked.values()), DnsResolver(run.config.dns), host))
    return list(zip(asked, results, strict=True))


def _apple(run: Runtime, found: "Servers") -> dict[str, str]:
    state = "ok" if found.setup_url else "missing"
    fix = "" if found.setup_url else words.say(run.language, "say", "client-no-page")
    return {"client": "apple", "asks_for": found.setup_url, "state": state, "fix": fix}


def _reached(run: Runtime, protocol: str, host: str, port: int) -> dict[str, str]:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as exc:
        fix = words.say(run.language, "say", "client-unreached", reason=exc.strerror or str(exc))
        return {"client": protocol, "asks_for": f"{host}:{port}", "state": "missing", "fix": fix}
    return {"client": protocol, "asks_for": f"{host}:{port}", "state": "ok", "fix": ""}
