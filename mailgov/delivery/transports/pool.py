"""Connections kept for a while after their work, and used again for the same destination."""

import asyncio
from collections.abc import Awaitable, Callable

from mailgov.delivery.transports import Answers, Fence, Parcel
from mailgov.delivery.transports.smtp_content import Demands
from mailgov.delivery.transports.smtp_session import SmtpSession, StaleSession
from mailgov.errors import DeliveryError

IDLE_SECONDS = 10.0
"""A connection without work is kept this long."""

MAX_MESSAGES = 50
"""Messages over one connection; then others in front of the same server have their turn."""

MAX_IDLE = 500
"""Connections kept at once; more are closed after their work."""


class Pool:
    """Idle sessions by key: whatever makes one session as good as another."""

    def __init__(self) -> None:
        self._idle: dict[str, list[SmtpSession]] = {}
        self._count = 0

    async def send(
        self,
        key: str,
        connect: Callable[[], Awaitable[SmtpSession]],
        parcel: Parcel,
        wanted: Demands,
        fence: Fence,
    ) -> Answers:
        """Send over a session that is kept, else over a new one; keep it if all ended in order.

        Raises DeliveryError, LeaseLost, and what `connect` raises.
        """
        while session := self._kept(key):
            try:
                return await self._use(key, session, parcel, wanted, fence)
            except StaleSession:
                continue  # nothing was sent; the next one, or a new one
        return await self._use(key, await connect(), parcel, wanted, fence)

    async def _use(
        self, key: str, session: SmtpSession, parcel: Parcel, wanted: Demands, fence: Fence
    ) -> Answers:
        try:
            answers = await session.send(parcel, wanted, fence)
        except DeliveryError:
            await session.close()
            raise
        except BaseException:
            session.abort()
            raise
        if session.is_usable and session.messages < MAX_MESSAGES and self._count < MAX_IDLE:
            session.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(key, []).append(session)
            self._count += 1
        else:
            await session.close()
        return answers

    def _kept(self, key: str) -> SmtpSession | None:
        sessions = self._idle.get(key, [])
        while sessions:
            session = sessions.pop()
            self._count -= 1
            if session.is_usable:
                return session
            session.abort()
        return None

    async def tend(self) -> None:
        """Close sessions that had no work for a while."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        late: list[SmtpSession] = []
        for key, sessions in list(self._idle.items()):
            late += [session for session in sessions if session.idle_since < oldest]
            self._idle[key] = [s for s in sessions if s.idle_since >= oldest]
            if not self._idle[key]:
                del self._idle[key]
        await self._leave(late)

    async def close(self) -> None:
        """Close every session."""
        sessions = [session for kept in self._idle.values() for session in kept]
        self._idle.clear()
        await self._leave(sessions)

    async def _leave(self, sessions: list[SmtpSession]) -> None:
        self._count -= len(sessions)
        await asyncio.gather(*(session.close() for session in sessions))
