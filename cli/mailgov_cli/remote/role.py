"""The role `api`: the administration interface and SCIM on their listener until told to stop."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mailgov.config import Config
from mailgov.directory.bearer_door import BearerDoor
from mailgov.errors import ConfigError, Unavailable
from mailgov.scim import Scim
from mailgov.services import Services
from mailgov_cli.remote.api import Api
from mailgov_cli.remote.runs import Runs

GRACE_SECONDS = 5
MOST_REQUESTS = 500  # at once; more get 503


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Answer programs until `stop`; commands under way are interrupted, and say where to go on.

    Raises ConfigError `api-certificate`, Unavailable `port-busy` or `port-unavailable`.
    """
    config = services.config
    if not config.api.listen:
        announce("", "")
        await stop.wait()
        return
    certificate = _certificate(config)
    listening = await asyncio.to_thread(_listen, services)
    host, port = listening.getsockname()[:2]
    runs = Runs(services.database, services.clock, config)
    await runs.open()
    door = BearerDoor(services.database, services.clock, config)
    scim = Scim(services.database, services.clock, config, door)
    server = _Server(
        uvicorn.Config(
            _application(services, door, runs, scim),
            access_log=False,
            server_header=False,
            lifespan="off",
            log_config=None,
            # A proxy on this machine may say who asks, and whether it was asked over TLS.
            proxy_headers=certificate is None,
            forwarded_allow_ips="127.0.0.1,::1",
            limit_concurrency=MOST_REQUESTS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=certificate[0] if certificate else None,
            ssl_keyfile=certificate[1] if certificate else None,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    try:
        announce("api", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await runs.close()
        server.should_exit = True
        await serving
        await asyncio.to_thread(scim.close)
    finally:
        stopping.cancel()
        serving.cancel()
        listening.close()


def _application(services: Services, door: BearerDoor, runs: Runs, scim: Scim) -> Starlette:
    """Both interfaces behind one door."""
    return Starlette(
        routes=[
            Mount("/api/v1", routes=Api(services, door, runs).routes()),
            Mount("/scim/v2", app=scim.app()),
        ]
    )


def _certificate(config: Config) -> tuple[Path, Path] | None:
    """Chain and key for TLS; None on loopback. Raises ConfigError `api-certificate`."""
    host = config.api.listen.rpartition(":")[0].strip("[]")
    own = config.api.certificate is not None
    if not own and _is_loopback(host):
        return None
    chain = config.api.certificate or config.certificate
    key = config.api.private_key or config.private_key
    if not (chain.is_file() and key.is_file()):
        raise ConfigError("api-certificate")
    return chain, key


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(services: Services) -> socket.socket:
    address = services.config.api.listen
    try:
        return services.listening.open("api", address)
    except OSError as error:
        code = "port-busy" if error.errno == errno.EADDRINUSE else "port-unavailable"
        raise Unavailable(
            code, listener="api", address=address, reason=error.strerror or ""
        ) from error


class _Server(uvicorn.Server):
    """Signals belong to whoever supervises the roles."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
