"""The listener for mail servers: a port of this machine, or a socket file."""

import asyncio
import contextlib
from ipaddress import ip_address
from pathlib import Path

from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.errors import Unavailable
from mailgov.intake import Intake
from mailgov.logs import logger
from mailgov.milter.ports import Directory
from mailgov.milter.session import Session
from mailgov.milter.wire import ProtocolError
from mailgov.queue import Spool

_SOCKET_MODE = 0o660

log = logger("milter")


class MilterServer:
    """All connections of mail servers."""

    def __init__(
        self, config: Config, clock: Clock, intake: Intake, directory: Directory, spool: Spool
    ) -> None:
        self._parts = (config, clock, intake, directory, spool)
        self._settings = config.milter
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; the bound `host:port`, or the path. Raises Unavailable `port-busy`."""
        address = self._settings.listen
        try:
            if address.startswith("/"):
                return await self._listen_on_file(Path(address))
            host, _, port = address.rpartition(":")
            self._server = await asyncio.start_server(self._serve, host.strip("[]"), int(port))
        except OSError as exc:
            raise Unavailable(
                "port-busy", listener="milter", address=address, reason=exc.strerror
            ) from exc
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def _listen_on_file(self, path: Path) -> str:
        await asyncio.to_thread(path.unlink, missing_ok=True)  # of a run that was killed
        self._server = await asyncio.start_unix_server(self._serve, path)
        await asyncio.to_thread(path.chmod, _SOCKET_MODE)
        return str(path)

    async def stop(self, grace_seconds: float) -> None:
        """Stop listening; let messages under way be answered, then hang up."""
        if self._server is not None:
            self._server.close()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=grace_seconds)
        for task in list(self._sessions):
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._sessions) >= self._settings.connections or not self._may_come(writer):
            log.warning("milter.turned-away", open=len(self._sessions))
            writer.close()  # the server falls back on its own default, a temporary failure
            return
        task = asyncio.create_task(self._session(reader, writer))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    def _may_come(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        if not isinstance(peer, tuple):
            return True  # a socket file: its mode says who may
        ip = ip_address(peer[0])
        return any(ip in network for network in self._settings.servers)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Session(*self._parts).run(reader, writer)
        except ProtocolError as exc:
            log.warning("milter.not-understood", cause=str(exc))
        except TimeoutError:
            log.info("milter.idle")
        except ConnectionError as exc:
            log.info("milter.lost", cause=str(exc))
        except Exception:
            log.exception("milter.session-failed")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
