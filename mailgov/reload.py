"""A new configuration, or a new certificate, while we run: whole or not at all.

Everything that can fail is done before anything is given up: the file is read, every part is built
from it, the certificate is loaded, new addresses are bound, readers are started.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from mailgov.config import Config
from mailgov.errors import ConfigError, MailgovError, Unavailable
from mailgov.ledger import record
from mailgov.ledger.events import ConfigurationReloaded
from mailgov.logs import logger
from mailgov.relay.server import load_certificate
from mailgov.services import Services, build

NEEDS_RESTART = ("data", "database")
"""Sections that a running process can't change: they say what it owns."""

_READ_BY = {"mailstore": frozenset({"mailstore", "site", "relay", "limits", "sign_in", "log"})}
"""Roles that need not begin anew unless one of these sections changed, or the certificate."""

log = logger("serve")


def listeners(config: Config, roles: Iterable[str]) -> list[tuple[str, str]]:
    """Names and addresses where these roles listen on sockets that are kept over a reload."""
    relay, web, metrics = config.relay, config.web, config.metrics
    known = {
        "relay": [
            ("mx", relay.mx),
            ("submission", relay.submission),
            ("submissions", relay.submissions),
        ],
        "web": [("web", web.listen)],
        "metrics": [("metrics", metrics.listen)],
        "api": [("api", config.api.listen)] if config.api.listen else [],
    }
    return [one for role in roles for one in known.get(role, [])]


async def prepare(old: Services, reread: Callable[[], Config], roles: Iterable[str]) -> Services:
    """The parts by the configuration as it is now, ready to take over; `old` is not touched.

    Raises what is wrong with it: ConfigError, Unavailable `port-busy` and the like.
    """
    config = await asyncio.to_thread(reread)
    for section in NEEDS_RESTART:
        if getattr(config, section) != getattr(old.config, section):
            raise ConfigError("reload-needs-restart", section=section)
    await asyncio.to_thread(
        load_certificate, config.certificate, config.private_key, config.relay.client_authorities
    )
    new = await asyncio.to_thread(build, config, clock=old.clock, old=old)
    try:
        for name, address in listeners(config, roles):
            try:
                (await asyncio.to_thread(new.listening.open, name, address)).close()
            except OSError as exc:
                raise Unavailable(
                    "port-busy", listener=name, address=address, reason=exc.strerror
                ) from exc
        await new.readers.start()
    except BaseException:
        new.listening.keep_only(listeners(old.config, roles))
        raise
    return new


def changed_sections(old: Config, new: Config) -> list[str]:
    """Sections that differ."""
    return [name for name in Config.model_fields if getattr(old, name) != getattr(new, name)]


def certificate_print(config: Config) -> bytes:
    """What changes with certificate and key; empty when there are none. Blocks."""
    try:
        files = (config.certificate.read_bytes(), config.private_key.read_bytes())
    except OSError:
        return b""
    return hashlib.sha256(b"\0".join(files)).digest()


def untouched(changed: Collection[str], *, same_certificate: bool) -> list[str]:
    """Roles that a change does not concern: they go on, with all their sessions."""
    if not same_certificate:
        return []
    return [role for role, sections in _READ_BY.items() if sections.isdisjoint(changed)]


async def note(services: Services, error: MailgovError | None, changed: list[str]) -> None:
    """Write down in log and ledger what became of a reload; trouble with that stops nobody."""
    told: dict[str, Any] = {"changed": changed}
    if error is None:
        log.info("configuration.reloaded", **told)
    else:
        log.error("configuration.refused", code=error.code, why=str(error))
    event = ConfigurationReloaded(
        at=services.clock(),
        actor="serve",
        applied=error is None,
        code=error.code if error else "",
        sections=changed,
    )
    try:
        await services.database.submit(lambda session: record(session, event))
    except Unavailable as exc:
        log.warning("ledger.unavailable", why=str(exc))


class Status:
    """What others may know of this process: a locked file `serve/<pid>.json` in the data folder.

    A full disk must not keep a server from serving: then the file is missing or behind.
    """

    def __init__(self, data: Path, roles: Sequence[str]) -> None:
        self._path = data / "serve" / f"{os.getpid()}.json"
        self._file: TextIO | None = None
        self._known: dict[str, Any] = {"pid": os.getpid(), "roles": list(roles), "reloads": 0}

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as exc:
            log.warning("status.not-written", reason=exc.strerror)
        else:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._path.unlink(missing_ok=True)
        if self._file is not None:
            with suppress(OSError):  # what could not be written before
                self._file.close()

    def told(self, error: MailgovError | None) -> None:
        """Say what became of a reload."""
        self._known["reloads"] += 1
        self._known["code"] = error.code if error else ""
        self._known["fields"] = {k: str(v) for k, v in error.fields.items()} if error else {}
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(json.dumps(self._known) + "\n")
            self._file.flush()
        except OSError as exc:
            log.warning("status.not-written", reason=exc.strerror)


def running(data: Path) -> Iterator[dict[str, Any]]:
    """What the server processes say that live on this data folder."""
    for path in sorted((data / "serve").glob("*.json")):
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # it lives
                if (line := file.read()).endswith("\n"):
                    yield json.loads(line)
            else:
                path.unlink(missing_ok=True)


def ask(data: Path, seconds: float) -> list[dict[str, Any]]:
    """Let every server process on this data folder reload; what each says to it.

    Those that say nothing within `seconds` are missing from the answer.
    """
    before = {one["pid"]: one["reloads"] for one in running(data)}
    for pid in before:
        os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + seconds
    while True:
        told = [one for one in running(data) if one["reloads"] > before.get(one["pid"], 0)]
        if len(told) >= len(before) or time.monotonic() > deadline:
            return told
        time.sleep(0.05)
