"""Who may be written to in a session, and by whom: relay, unknown names, postmaster, screening."""

import asyncio
from dataclasses import dataclass
from typing import NoReturn

from mailgov.addresses import Address
from mailgov.errors import InputError
from mailgov.relay.commands import CommandError, routes_onward
from mailgov.relay.limits import IPAddress, SessionCounters
from mailgov.relay.parts import Parts
from mailgov.relay.ports import Mailbox


@dataclass(frozen=True, slots=True)
class Admitted:
    """A recipient that may be written to.

    `address` differs from what was asked for postmaster, and where a bounce travels back. `is_ours`:
    an address of ours was asked for.
    """

    address: Address
    is_ours: bool


class Desk:
    """Admits recipients for one session. `screened`: a stranger, who passes block and grey lists."""

    def __init__(
        self, parts: Parts, counters: SessionCounters, ip: IPAddress, *, screened: bool
    ) -> None:
        self._parts = parts
        self._counters = counters
        self._ip = ip
        self._screened = screened
        self._listing: asyncio.Task[str] | None = None

    def open(self) -> None:
        """The session begins: ask the block lists, so that the answer is there when it is needed."""
        if self._screened and self._parts.screening.settings.dnsbl:
            self._listing = asyncio.create_task(self._parts.screening.listed(self._ip))

    def close(self) -> None:
        """The session has ended."""
        if self._listing is not None:
            self._listing.cancel()
            self._listing = None

    async def admit(self, asked: Address, sender: Address | None, *, may_relay: bool) -> Admitted:
        """Whether a message may go there. Raises CommandError, and Unavailable from the directory."""
        address, mailbox = asked, await self._parts.directory.find_mailbox(asked)
        back: Address | None = None
        for_postmaster = asked.local.lower() == "postmaster"
        if mailbox is None and for_postmaster:
            address, mailbox = await self._postmaster(asked)
        if mailbox is not None:
            if mailbox.state == "recalled" and mailbox.contact:
                raise CommandError("mailbox-moved", contact=mailbox.contact)
            if mailbox.state not in ("active", "passing"):
                raise CommandError(f"mailbox-{mailbox.state}")
        elif await self._is_ours(asked.domain):
            back = await self._return_path(asked, sender)
            address = back or self._refuse_unknown(asked)
        elif not may_relay:
            raise CommandError("relay-denied")
        if self._screened and not for_postmaster:  # who is refused by mistake can tell someone
            await self._screen(sender, address)
        return Admitted(address, mailbox is not None or back is not None)

    async def _return_path(self, asked: Address, sender: Address | None) -> Address | None:
        """The sender of mail that we passed on, when a bounce comes back for it."""
        try:
            back = await self._parts.directory.return_path(asked)
        except InputError as exc:
            if exc.code == "return-path-old":
                raise CommandError("return-path-old") from None
            self._refuse_unknown(asked)
        if back is not None and sender is not None:
            raise CommandError("return-path")  # else it would carry any mail to its owner
        return back

    def _refuse_unknown(self, asked: Address) -> NoReturn:
        if routes_onward(asked):
            raise CommandError("relay-denied")
        if self._counters.unknown_recipient():
            raise CommandError("too-many-unknown-recipients")
        raise CommandError("unknown-recipient")

    async def _is_ours(self, domain: str) -> bool:
        # Mail to our own host name must not go out to come back.
        return domain == self._parts.hostname or await self._parts.directory.is_local_domain(domain)

    async def _postmaster(self, asked: Address) -> tuple[Address, Mailbox | None]:
        """RFC 5321, 4.5.1: there is one, under every name of ours."""
        if not await self._is_ours(asked.domain):
            return asked, None
        candidates = []
        if asked.domain == self._parts.hostname:
            labels = asked.domain.split(".")
            parents = [".".join(labels[at:]) for at in range(1, len(labels) - 1)]
            candidates = [Address("postmaster", parent) for parent in parents]
        if self._parts.postmaster is not None:
            candidates.append(self._parts.postmaster)
        for address in candidates:
            mailbox = await self._parts.directory.find_mailbox(address)
            if mailbox is not None:
                return address, mailbox
        return asked, None

    async def _screen(self, sender: Address | None, recipient: Address) -> None:
        screening = self._parts.screening
        if self._listing is not None and (zone := await asyncio.shield(self._listing)):
            raise CommandError("listed", ip=str(self._ip), zone=zone)
        if not await screening.may_pass(self._ip, sender, recipient):
            minutes = f"{screening.settings.greylist_minutes:g}"
            raise CommandError("greylisted", minutes=minutes)
