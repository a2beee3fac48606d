"""Prometheus: counters of this process, on a listener of their own."""

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mailgov.errors import Unavailable
from mailgov.services import Services

REQUEST_LINE_BYTES = 4096
REQUEST_SECONDS = 5.0


async def run(
    services: Services, announce: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Answer `GET /metrics` until `stop`. Raises Unavailable `port-busy`."""
    address = services.config.metrics.listen
    host = address.rpartition(":")[0]
    try:
        listening = await asyncio.to_thread(services.listening.open, "metrics", address)
        server = await asyncio.start_server(_answer, sock=listening, limit=REQUEST_LINE_BYTES)
    except OSError as exc:
        raise Unavailable(
            "port-busy", listener="metrics", address=address, reason=exc.strerror
        ) from exc
    async with server:
        announce("metrics", f"{host}:{server.sockets[0].getsockname()[1]}")
        await stop.wait()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            request = await reader.readuntil(b"\r\n\r\n")
            found = request.startswith((b"GET /metrics ", b"GET /metrics?"))
            body = generate_latest() if found else b"not found\n"
            status = b"200 OK" if found else b"404 Not Found"
            kind = CONTENT_TYPE_LATEST if found else "text/plain"
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (status, kind.encode(), len(body), body)
            )
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # a scraper that does not speak HTTP gets no answer
    finally:
        writer.close()
