"""`mailgov doctor`: is everything in order, and how is it mended when not."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mailgov.errors import MailgovError
from mailgov.texts import Language
from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from cryptography import x509

    from mailgov.config import Config

app = Noun(single=True)

_RENEW_BEFORE = timedelta(days=14)
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `state` is ok, warn or fail; `key` finds the words under `[doctor]`.

    With `error` the words are that error's.
    """

    check: str
    state: str
    key: str
    about: str = ""
    error: MailgovError | None = None

    def told(self, language: Language) -> tuple[str, str]:
        """What is the matter, and the mend; empty when there is nothing to mend."""
        if self.error is not None:
            return words.tell(self.error, language)
        mend = words.find(language, "doctor", f"{self.key}-mend")
        return words.say(language, "doctor", self.key), mend


@app.command(epilog="mailgov doctor\nmailgov doctor --json")
def doctor(ctx: typer.Context) -> None:
    """Check data folder, database, disk, certificate, keys, DNS, listeners, scanner and plans; exit 8 on a failure."""
    run = runtime(ctx)
    findings = [finding for check in CHECKS for finding in check(run)]
    rows = []
    for finding in findings:
        text, mend = finding.told(run.language)
        rows.append(
            {
                "check": finding.check,
                "state": finding.state,
                "about": finding.about,
                "text": text,
                "mend": mend,
            }
        )
    run.emit("doctor/1", rows, ("check", "state", "about", "text", "mend"))
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(Exit.FOUND)


def _data(run: Runtime) -> Iterator[Finding]:
    folder = run.config.data.path
    if not folder.is_dir():
        yield Finding("data", "fail", "data-missing", str(folder))
        return
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield Finding(
        "data", "ok" if writable else "fail", "data" if writable else "data-locked", str(folder)
    )
    free = shutil.disk_usage(folder).free
    enough = free >= run.config.limits.free_bytes
    about = f"{free >> 20} MiB"
    yield Finding("disk", "ok" if enough else "fail", "disk" if enough else "disk-full", about)


def _database(run: Runtime) -> Iterator[Finding]:
    try:
        yield Finding("database", "ok", "database", run.database.url.get_backend_name())
    except MailgovError as error:
        yield Finding("database", "fail", "database-failed", error=error)


def _certificate(run: Runtime) -> Iterator[Finding]:
    from mailgov.clock import utc_now

    config = run.config
    try:
        certificate = _load_certificate(config.certificate)
    except (OSError, ValueError):
        yield Finding("certificate", "fail", "certificate-unreadable", str(config.certificate))
        return
    yield _validity(certificate, utc_now())
    if not os.access(config.private_key, os.R_OK):
        yield Finding("certificate", "fail", "private-key-unreadable", str(config.private_key))
    elif config.private_key.stat().st_mode & 0o077:
        yield Finding("certificate", "fail", "private-key-exposed", str(config.private_key))


def _load_certificate(path: Path) -> "x509.Certificate":
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes())


def _validity(certificate: "x509.Certificate", now: datetime) -> Finding:
    end = certificate.not_valid_after_utc
    about = end.date().isoformat()
    if end <= now:
        return Finding("certificate", "fail", "certificate-expired", about)
    if end - now < _RENEW_BEFORE:
        return Finding("certificate", "warn", "certificate-ends", about)
    return Finding("certificate", "ok", "certificate", about)


def _signing(run: Runtime) -> Iterator[Finding]:
    from mailgov.directory import listing
    from mailgov.signing.keys import keys_of, load
    from mailgov.signing.secret import read_secret

    if run.config.signing.socket is not None:
        yield from _signer(run)
        return
    try:
        secret = read_secret(run.config.signing, run.config.data.path)
    except MailgovError as error:
        yield Finding("signing", "fail", "signing-failed", error=error)
        return
    try:
        with run.database.read() as session:
            keys = {row["name"]: keys_of(session, row["name"]) for row in listing.domains(session)}
    except MailgovError:
        return  # told by the check of the database
    good = 0
    for domain, of_domain in keys.items():
        active = [key for key in of_domain if key.state == "active"]
        if not active:
            yield Finding("signing", "warn", "signing-none", domain)
        for key in active:
            try:
                load(run.config.data.path / "keys" / key.file_name, secret)
            except MailgovError as error:
                yield Finding("signing", "fail", "signing-failed", key.file_name, error)
            else:
                good += 1
    if good:
        yield Finding("signing", "ok", "signing", str(good))


def _signer(run: Runtime) -> Iterator[Finding]:
    """Keys that another process holds: whether it listens is all that can be seen from here."""
    path = str(run.config.signing.socket)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_CONNECT_SECONDS)
        answers = channel.connect_ex(path) == 0
    key = "signing-socket" if answers else "signing-socket-silent"
    yield Finding("signing", "ok" if answers else "fail", key, path)


def _dns(run: Runtime) -> Iterator[Finding]:
    from mailgov.resolver import DnsResolver

    async def ask() -> None:
        await DnsResolver(run.config.dns).addresses(run.config.site.hostname)

    try:
        asyncio.run(ask())
    except MailgovError:
        yield Finding("dns", "fail", "dns-failed", run.config.site.hostname)
    else:
        yield Finding("dns", "ok", "dns", run.config.site.hostname)


def _listeners(run: Runtime) -> Iterator[Finding]:
    for name, address in _addresses(run.config).items():
        host, _, port = address.rpartition(":")
        if port == "0":
            continue  # picked at the start; `mailgov serve` says which
        here = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        try:
            socket.create_connection((here, int(port)), _CONNECT_SECONDS).close()
        except OSError:
            yield Finding("listener", "fail", "listener-closed", f"{name} {address}")
        else:
            yield Finding("listener", "ok", "listener", f"{name} {address}")


def _scanner(run: Runtime) -> Iterator[Finding]:
    """Whether clamd answers, and whether its signatures are fresh; nothing where none is configured."""
    from mailgov.clock import utc_now
    from mailgov.scanner import ClamdScanner

    settings = run.config.scanner
    if not settings.clamd:
        return
    try:
        made = asyncio.run(ClamdScanner(settings).signatures_of())
    except MailgovError:
        yield Finding("scanner", "fail", "scanner-down", settings.clamd)
        return
    stale = made is not None and utc_now() - made > timedelta(days=settings.signatures_days)
    key = "scanner-stale" if stale else "scanner"
    yield Finding("scanner", "warn" if stale else "ok", key, settings.clamd)


def _plans(run: Runtime) -> Iterator[Finding]:
    """Acts that could not be carried out on their day, and mail that is half removed."""
    from mailgov.lifecycle import planning, removal

    try:
        with run.database.read() as session:
            failed = [(one.id, one.subject) for one in planning.failed(session)]
            unfinished = removal.unfinished(session)
    except MailgovError:
        return  # told by the check of the database
    for number, subject in failed:
        yield Finding("plans", "fail", "plan-failed", f"{number} {subject}")
    for address in unfinished:
        yield Finding("plans", "fail", "removal-unfinished", address)
    if not failed and not unfinished:
        yield Finding("plans", "ok", "plans")


def _addresses(config: "Config") -> dict[str, str]:
    return {
        "mx": config.relay.mx,
        "submission": config.relay.submission,
        "submissions": config.relay.submissions,
        "imap": config.mailstore.imap,
        "web": config.web.listen,
        "metrics": config.metrics.listen,
    }


CHECKS: tuple[Callable[[Runtime], Iterator[Finding]], ...] = (
    _data,
    _database,
    _certificate,
    _signing,
    _dns,
    _listeners,
    _scanner,
    _plans,
)
