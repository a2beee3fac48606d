"""From a draft through the gate: judged while it is written, and taken or refused when it is sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlmodel import select

from mailgov.addresses import Address
from mailgov.db.models import MessageRow
from mailgov.directory import Account
from mailgov.errors import MailgovError
from mailgov.gate.outcome import Judgement, Outcome
from mailgov.logs import logger
from mailgov.message import Body, Client, Envelope
from mailgov.message import Recipient as EnvelopeRecipient
from mailgov.relay.records import Records
from mailgov.services import Services
from mailgov_policies import Action
from mailgov_webmail.compose.build import Attached, Message, build
from mailgov_webmail.compose.drafts import Draft, Drafts
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.mailbox import ANSWERED, FORWARDED, SEEN, Folder, Mailbox
from mailgov_webmail.people import Recipient
from mailgov_webmail.places import MessageRef, folder_of

log = logger("webmail")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a letter can't be sent yet, apart from any rule. `target` is the field."""

    target: str
    key: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever writes, with what sending needs."""

    services: Services
    account: Account
    drafts: Drafts
    client_ip: str

    async def problems(self, letter: Letter) -> list[Problem]:
        """What is missing or wrong in the fields; empty when the gate may be asked."""
        boxes = letter.recipients()
        found = [
            Problem(name, "compose.not-an-address", wrong)
            for name, typed in boxes.items()
            for wrong in typed.wrong
        ]
        people = {
            person.address.key: (name, person.address)
            for name, typed in boxes.items()
            for person in typed.recipients
        }
        if not people and not found:
            found.append(Problem("to", "compose.no-recipient"))
        most = self.services.config.limits.recipients_official
        if len(people) > most:
            found.append(Problem("to", "compose.too-many", str(most)))
            return found
        found += await self._beyond_rates(len(people))
        for name, address in people.values():
            if await self._is_nobody(address):
                found.append(Problem(name, "compose.nobody", str(address)))
        if letter.sender and letter.sender not in self.account.may_send_as:
            found.append(Problem("from", "compose.not-yours", letter.sender))
        return found

    async def _beyond_rates(self, recipients: int) -> list[Problem]:
        """What the account has sent of late counts together, here and through mail programs."""
        services = self.services
        limits = services.config.limits
        records = Records(services.database, services.clock, services.config.screening)
        sent = await records.sent(self.account.address)
        for count, most, key in (
            (
                sent.recipients_hour + recipients,
                limits.recipients_per_hour,
                "compose.too-many-this-hour",
            ),
            (
                sent.recipients_day + recipients,
                limits.recipients_per_day,
                "compose.too-many-this-day",
            ),
            (sent.messages_day + 1, limits.messages_per_day, "compose.too-many-messages"),
        ):
            if count > most:
                return [Problem("to", key, str(most))]
        return []

    async def _is_nobody(self, address: Address) -> bool:
        """Whether the address is in a domain of ours and leads to no mailbox."""
        directory = self.services.directory
        return (
            await directory.is_local_domain(address.domain)
            and await directory.find_mailbox(address) is None
        )

    async def judge(self, draft: Draft) -> Judgement:
        """What would become of the letter as it stands. Raises Unavailable."""
        envelope, message = await self._message(draft)
        async with self._body(message) as body:
            return await self.services.intake.check(envelope, body)

    async def objection(self, draft: Draft) -> Judgement | None:
        """Why the letter may not leave as it stands; None when it may. Raises Unavailable."""
        judgement = await self.judge(draft)
        refused = judgement.verdict.action >= Action.DEFER
        unexplained = needs_reason(judgement) and not draft.letter.reason
        return judgement if refused or unexplained else None

    async def send(self, draft: Draft, *, unless_asked: bool) -> "Judgement | Sent":
        """Hand the letter to the gate.

        With `unless_asked`, a verdict that needs the writer's reason comes back as it is and nothing
        is sent. Raises Unavailable; then nothing was sent either.
        """
        envelope, message = await self._message(draft)
        async with self._body(message) as body:
            if unless_asked:
                judgement = await self.services.intake.check(envelope, body)
                if needs_reason(judgement):
                    return judgement
            outcome = await self.services.intake.receive(
                envelope, body, channel="web", reason=draft.letter.reason
            )
        return Sent(outcome, message)

    async def taken(self, draft: Draft) -> Message | None:
        """The message that a letter became, when the gate has taken it as it stands."""
        _, message = await self._message(draft)
        name = f"<{self._message_id(draft)}>"
        query = select(MessageRow.id).where(MessageRow.message_id == name).limit(1)
        found = await self.services.database.query(lambda session: session.exec(query).first())
        return message if found is not None else None

    def _message_id(self, draft: Draft) -> str:
        return f"{draft.id}.{draft.version}@{self.services.config.site.hostname}"

    async def _message(self, draft: Draft) -> tuple[Envelope, Message]:
        letter = draft.letter.normal()
        sender = await self._sender(letter)
        files = [
            Attached(file.name, file.media_type, content)
            for file, content in await self.drafts.contents(draft)
        ]
        message = await asyncio.to_thread(
            build,
            letter,
            sender,
            files,
            message_id=self._message_id(draft),
            at=self.services.clock(),
        )
        return self._envelope(sender.address, message), message

    async def _sender(self, letter: Letter) -> Recipient:
        """The address that the letter comes from, with the name of its mailbox."""
        address = letter.sender or self.account.address
        if address == self.account.address:
            return Recipient(Address.parse(address), self.account.display_name)
        other = await self.services.directory.account(address)
        name = other.display_name if other is not None else self.account.display_name
        return Recipient(Address.parse(address), name)

    def _envelope(self, sender: Address, message: Message) -> Envelope:
        return Envelope(
            direction="submission",
            mail_from=sender,
            recipients=tuple(EnvelopeRecipient(address) for address in message.recipients),
            login=Address.parse(self.account.address),
            client=Client(ip=self.client_ip, protocol="HTTP"),
            smtputf8=any(a.needs_smtputf8 for a in (sender, *message.recipients)),
        )

    @asynccontextmanager
    async def _body(self, message: Message) -> AsyncIterator[Body]:
        """The bytes where the gate wants them; what the gate did not keep is gone afterwards."""
        spool = self.services.spool

        def write() -> Body:
            writer = spool.writer()
            try:
                writer.write(message.data)
                return writer.finish()
            except BaseException:
                writer.abandon()
                raise

        body = await asyncio.to_thread(write)
        try:
            yield body
        finally:
            await asyncio.to_thread(spool.discard, body)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the gate did with a letter, and the message that it was."""

    outcome: Outcome
    message: Message


def needs_reason(judgement: Judgement) -> bool:
    """Whether the writer must say why it is sent all the same."""
    action = judgement.verdict.action
    return Action.PASS < action < Action.DEFER


async def keep_copy(mailbox: Mailbox, message: Message, letter: Letter) -> bool:
    """Put the copy into the folder of sent mail and mark what was answered; False when it could not be.

    The letter is on its way already, so trouble here is told and undoes nothing.
    """
    try:
        folders = await mailbox.folders()
        folder = next((f for f in folders if f.role == "sent"), None)
        if folder is None:
            return False
        await mailbox.append(folder.name, message.copy, [SEEN])
    except MailgovError as error:
        log.warning("copy.unsaved", code=error.code)
        return False
    await _mark_source(mailbox, folders, letter.source)
    return True


async def _mark_source(mailbox: Mailbox, folders: Sequence[Folder], source: str) -> None:
    """Flag the message that was answered or handed on."""
    kind, _, path = source.partition(" ")
    flag = {"reply": ANSWERED, "forward": FORWARDED}.get(kind)
    slug, _, reference = path.partition("/")
    if flag is None:
        return
    try:
        folder = folder_of(slug, folders)
        ref = MessageRef.parse(reference)
        if await mailbox.uidvalidity(folder.name) == ref.uidvalidity:
            await mailbox.set_flags(folder.name, [ref.uid], add=[flag])
    except MailgovError as error:
        log.info("source.unmarked", code=error.code)
