"""Everything built from the configuration, once. Faces and servers start here; nothing else wires."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from mailgov.authentication import InboundAuthentication
from mailgov.authentication.passing_on import arc_set
from mailgov.clock import Clock, utc_now
from mailgov.config import Config
from mailgov.db import Database
from mailgov.db.migrate import require_current
from mailgov.directory import Directory
from mailgov.errors import ConfigError, Conflict
from mailgov.intake import Intake
from mailgov.listening import Listening
from mailgov.queue import Queue, Spool
from mailgov.readers import ReaderPool
from mailgov.resolver import DnsResolver, Resolver
from mailgov.rulesets import AgencyRulesets, read_ruleset
from mailgov.scanner import ClamdScanner
from mailgov.signing import Signer, key_holder
from mailgov.trust_roots import read_trust_roots
from mailgov_policies import Ruleset


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running platform."""

    config: Config
    clock: Clock
    database: Database
    directory: Directory
    readers: ReaderPool
    ruleset: Ruleset
    signer: Signer
    spool: Spool
    queue: Queue
    resolver: Resolver
    intake: Intake
    rules: AgencyRulesets
    listening: Listening = field(default_factory=Listening)


def open_database(config: Config) -> Database:
    """The database of this configuration, not yet used."""
    settings = config.database
    return Database(
        config.database_url,
        readers=settings.readers,
        writers=settings.writers,
        batch=settings.batch,
        batch_wait_ms=settings.batch_wait_ms,
    )


def build(
    config: Config,
    *,
    clock: Clock = utc_now,
    resolver: Resolver | None = None,
    old: Services | None = None,
) -> Services:
    """Wire the parts. Nothing is opened or started yet; `running` does that.

    `old` are those that a reload replaces: database and listening sockets are taken over.
    """
    database = old.database if old else open_database(config)
    if resolver is None and old is not None and old.config.dns == config.dns:
        resolver = old.resolver
    resolver = resolver or DnsResolver(config.dns)
    directory = Directory(
        database,
        clock,
        config.limits,
        official_suffixes=config.site.official_suffixes,
        settings=config.sign_in,
        key_file=config.data.path / "keys" / "second-factor",
    )
    readers = ReaderPool(
        config.readers, config.limits, trust_roots=read_trust_roots(config.policy.trust_roots)
    )
    spool = Spool(config.data.path / "spool")
    queue = Queue(database, spool, config.delivery, clock)
    signer = Signer(database, key_holder(config), clock)
    ruleset = read_ruleset(config.policy.ruleset)
    rules = AgencyRulesets(ruleset, config.policy.rulesets, database)
    rules.check()
    intake = Intake(
        config=config,
        clock=clock,
        database=database,
        directory=directory,
        readers=readers,
        authenticator=InboundAuthentication(
            config.authserv_id,
            resolver,
            clock,
            enabled=config.policy.verify_inbound,
            spf_seconds=config.authentication.spf_seconds,
            overridden=tuple(config.authentication.dmarc_override),
            trusted_sealers=tuple(config.authentication.trusted_sealers),
            exempt=tuple(config.authentication.exempt_networks),
        ),
        rules=rules,
        signer=signer,
        spool=spool,
        queue=queue,
        scanner=ClamdScanner(config.scanner) if config.scanner.clamd else None,
        seal=partial(arc_set, signer, resolver, clock, config.authserv_id),
    )
    return Services(
        config,
        clock,
        database,
        directory,
        readers,
        ruleset,
        signer,
        spool,
        queue,
        resolver,
        intake,
        rules,
        old.listening if old else Listening(),
    )


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[Services]:
    """The parts, started: schema checked, spool matched with the database, readers warm.

    Raises ConfigError `data-missing`, Conflict `data-in-use`, Unavailable `schema-outdated`, and
    what the parts say when they can't start.
    """
    with _owned(services):
        async with _started(services):
            yield services


@contextmanager
def _owned(services: Services) -> Iterator[None]:
    """On SQLite one process owns the data; a second one must not start beside it."""
    if not services.database.is_sqlite:
        yield
        return
    folder = services.config.data.path
    if not folder.is_dir():
        raise ConfigError("data-missing", folder=folder)
    with (folder / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip()
            raise Conflict("data-in-use", folder=folder, pid=owner) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@asynccontextmanager
async def _started(services: Services) -> AsyncIterator[None]:
    require_current(services.database)
    services.spool.prepare(services.database)
    await services.readers.start()
    try:
        yield
    finally:
        await services.readers.close()
        services.database.close()
