"""The role `web`: the pages on their listener until told to stop."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from mailgov.errors import Unavailable
from mailgov.listening import Listening
from mailgov.services import Services
from mailgov_webmail.app import create_app
from mailgov_webmail.imap import ImapPool
from mailgov_webmail.security import is_secure

GRACE_SECONDS = 10
MOST_REQUESTS = 500  # at once; more get 503


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Serve pages until `stop`; then let requests under way finish.

    Raises Unavailable `port-busy` or `port-unavailable`.
    """
    listening = await asyncio.to_thread(_listen, services.listening, services.config.web.listen)
    host, port = listening.getsockname()[:2]
    pool = ImapPool(services.config)
    app = create_app(services, pool.mailbox)
    server = _Server(
        uvicorn.Config(
            app,
            access_log=False,
            server_header=False,
            date_header=True,
            lifespan="off",
            log_config=None,
            # Only a proxy on this machine may say who asks, and only where there is one.
            proxy_headers=is_secure(services.config.web),
            forwarded_allow_ips="127.0.0.1,::1",
            limit_concurrency=MOST_REQUESTS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    sending = asyncio.create_task(app.state.parts.postman.run(stop))
    try:
        announce("web", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        await sending
    finally:
        stopping.cancel()
        serving.cancel()
        sending.cancel()
        pool.close()
        listening.close()


class _Server(uvicorn.Server):
    """Signals belong to whoever supervises the roles."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _listen(listening: Listening, address: str) -> socket.socket:
    try:
        return listening.open("web", address)
    except OSError as error:
        code = "port-busy" if error.errno == errno.EADDRINUSE else "port-unavailable"
        raise Unavailable(
            code, listener="web", address=address, reason=error.strerror or ""
        ) from error
