"""The listeners: MX 25, submission 587, submissions 465."""

import asyncio
import ssl
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.errors import ConfigError
from mailgov.listening import Listening
from mailgov.logs import logger
from mailgov.relay import certificates
from mailgov.relay.connection import Connection
from mailgov.relay.entrance import Entrance
from mailgov.relay.limits import Doorkeeper
from mailgov.relay.parts import MX, SUBMISSION, SUBMISSIONS, Listener, Parts
from mailgov.relay.ports import Directory, Intake, Records, Spool, Tokens
from mailgov.relay.rates import SendingRates
from mailgov.relay.resources import (
    Backlog,
    Disk,
    FreeSpace,
    Memory,
    allow_descriptors,
    disk_of,
    resident_bytes,
)
from mailgov.relay.screening import Screening
from mailgov.resolver import Resolver

WRITERS = 4  # threads that write bodies

log = logger("relay")


class RelayServer:
    """All SMTP listeners of a process, on one event loop.

    `measure_disk` and `measure_memory` say what is left of the data disk, and the bytes this process
    holds. With `tokens` of an identity provider, users may sign in by them. `reuse_port` lets several processes share the ports.
    """

    def __init__(
        self,
        *,
        config: Config,
        directory: Directory,
        intake: Intake,
        spool: Spool,
        records: Records,
        resolver: Resolver,
        tokens: Tokens | None = None,
        measure_disk: Callable[[], Disk] | None = None,
        measure_memory: Callable[[], int] = resident_bytes,
        reuse_port: bool = False,
        listening: Listening | None = None,
    ) -> None:
        self._config = config
        self._reuse_port = reuse_port
        self._listening = listening
        self._entrances: list[Entrance] = []
        self._sessions: set[Connection] = set()
        self._tls: ssl.SSLContext
        self._users_tls: ssl.SSLContext  # which may ask for their certificates
        self._executor = ThreadPoolExecutor(WRITERS, "relay-body")
        path = config.data.path
        self._parts = Parts(
            hostname=config.site.hostname,
            greeting=config.relay.greeting,
            help_base=help_base(config),
            limits=config.limits,
            trusted_networks=tuple(config.relay.trusted_networks),
            load_balancers=tuple(config.relay.load_balancers),
            repair_line_ends=config.relay.repair_line_ends,
            directory=directory,
            intake=intake,
            spool=spool,
            doorkeeper=Doorkeeper(config.limits),
            free_space=FreeSpace(measure_disk or (lambda: disk_of(path)), config.limits),
            memory=Memory(measure_memory, config.limits),
            backlog=Backlog(records.backlog, config.limits),
            rates=SendingRates(records, config.limits),
            screening=Screening(config.screening, resolver, records),
            strangers_checked=asyncio.Semaphore(max(1, config.limits.password_checks // 2)),
            scram=config.relay.scram,
            tokens=tokens,
            postmaster=Address.parse(config.relay.postmaster) if config.relay.postmaster else None,
            executor=self._executor,
        )

    async def start(self) -> dict[str, str]:
        """Listen; the bound `host:port` by name of the listener.

        Raises Unavailable `port-busy` or `port-unavailable`, and ConfigError for the certificate;
        then nothing listens.
        """
        config = self._config
        most = config.limits.connections
        if (descriptors := allow_descriptors(most)) < most:
            log.warning("descriptors.short", connections=most, descriptors=descriptors)
        chain, key = config.certificate, config.private_key
        self._tls = await asyncio.to_thread(load_certificate, chain, key)
        self._users_tls = await asyncio.to_thread(
            load_certificate, chain, key, config.relay.client_authorities
        )
        wanted = {
            MX: config.relay.mx,
            SUBMISSION: config.relay.submission,
            SUBMISSIONS: config.relay.submissions,
        }
        try:
            return {
                listener.name: await self._listen(listener, address)
                for listener, address in wanted.items()
            }
        except BaseException:
            await self.stop(0)
            raise

    async def _listen(self, listener: Listener, address: str) -> str:
        tls = self._users_tls if listener.submission else self._tls
        entrance = Entrance(self._parts, listener, tls, self._sessions, self._listening)
        self._entrances.append(entrance)
        return await entrance.open(address, reuse_port=self._reuse_port)

    async def reload_certificate(self) -> None:
        """Serve new sessions with the certificate now on disk.

        Raises ConfigError when it is not usable; then the old one stays.
        """
        await asyncio.to_thread(
            load_certificate, self._config.certificate, self._config.private_key
        )
        for context in (self._tls, self._users_tls):
            context.load_cert_chain(self._config.certificate, self._config.private_key)
        log.info("certificate.reloaded")

    async def stop(self, grace_seconds: float) -> None:
        """Stop listening, let messages under way finish, say 421 to the others."""
        arriving = [task for entrance in self._entrances for task in entrance.arriving]
        for entrance in self._entrances:
            entrance.close()
        self._entrances.clear()
        await asyncio.gather(*arriving, return_exceptions=True)
        for session in list(self._sessions):
            session.retire()
        await self._settled(grace_seconds)
        for task in self._tasks():
            task.cancel()
        await self._settled(1.0)
        await asyncio.to_thread(self._executor.shutdown)

    def _tasks(self) -> set["asyncio.Task[object]"]:
        talking = {session.task for session in self._sessions if session.task is not None}
        return {*talking, *self._parts.judging}

    async def _settled(self, seconds: float) -> None:
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=seconds)


def load_certificate(chain: Path, key: Path, authorities: Collection[Path] = ()) -> ssl.SSLContext:
    """A server context with this certificate: TLS 1.2 or newer (RFC 8996, 9325). Blocks.

    With `authorities` clients are asked for a certificate of theirs. Raises ConfigError
    `certificate-missing`, `certificate-not-valid` or `client-authorities-not-valid`.
    """
    for path in (chain, key):
        if not path.is_file():
            raise ConfigError("certificate-missing", file=path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(chain, key)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise ConfigError("certificate-not-valid", file=chain, reason=exc) from exc
    if authorities:
        certificates.ask_for(context, authorities)
    return context


def help_base(config: Config) -> str:
    """Where refusals point to: the help pages of the webmail, or what is set instead."""
    url = config.site.help_url or config.web.url or f"http://{config.web.listen}"
    return url.rstrip("/")
