"""The one gate: a message in, an outcome out.

    session → body → facts → verdict → signature → queue → delivery → ledger → report

SMTP submission, the MX port and the webmail hand their messages to `receive`; the webmail's live
check stops after `check`. When `receive` returns an accepted outcome, the message is on stable
storage: only then may anyone say 250.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol

from sqlmodel import Session

from mailgov import absence, correspondence, faults, forwarding
from mailgov.authentication import NOT_CHECKED, Authenticated
from mailgov.authentication.contribution import Contribution
from mailgov.authentication.reports.arriving import may_bring_report, read_arriving
from mailgov.authentication.reports.received import Report, keep_report
from mailgov.clock import Clock, local_date
from mailgov.config import Config
from mailgov.content.header_block import HeaderBlock
from mailgov.db import Database
from mailgov.db.models import MessageRow
from mailgov.directory import forwards
from mailgov.directory.forwards import Spread, WayOut
from mailgov.directory.groups import Member
from mailgov.errors import Conflict, OutcomeUnknown, Unavailable
from mailgov.gate import fields, records
from mailgov.gate.outcome import Channel, Judgement, Outcome
from mailgov.holding.refused_secrets import is_secret, stripped
from mailgov.holding.telling import tell_held, tell_secret
from mailgov.ledger import record
from mailgov.ledger.events import MessageAdvised, MessageRefused
from mailgov.logs import logger
from mailgov.message import Body, Envelope, new_queue_id
from mailgov.message_trace import received_field
from mailgov.queue import NewMessage, Queue, Spool, enqueue
from mailgov.queue.spool import is_intact
from mailgov.scanner import NO_SCANNER, Scan
from mailgov_policies import Action, Facts, Verdict, facts

LOOK_UP_SECONDS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Pauses between looks for a message whose commit got no answer."""

log = logger("intake")


class DirectoryFacts(Protocol):
    """What the gate asks of the directory."""

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        """Who the sender and the recipients are. Raises Unavailable."""

    async def members(self, group_ids: Sequence[int]) -> Sequence[Member]:
        """Every mailbox that groups of ours lead to. Raises Unavailable."""


class Reader(Protocol):
    """What the gate asks of the reader processes."""

    async def read(self, body: Body) -> facts.Content:
        """What the bytes say; unscannable at worst. Raises Unavailable when no reader can serve."""


class Scanning(Protocol):
    """What the gate asks of the malware scanner."""

    async def scan(self, body: Body) -> Scan:
        """What it found. Raises Unavailable when it can't look."""


class Authenticator(Protocol):
    """What the gate asks of the checks on inbound mail."""

    async def check(
        self, envelope: Envelope, header: bytes, body: Body, authors: Sequence[str]
    ) -> Authenticated:
        """Whether the message comes from where its From field says. Raises Unavailable."""


class Signing(Protocol):
    """What the gate asks of DKIM."""

    async def sign(self, header: bytes, body: Body, domain: str) -> bytes | None:
        """A DKIM-Signature field to prepend; None when the domain has no key."""


class Judge(Protocol):
    """What the gate asks of the rulesets."""

    async def judge(self, facts: Facts, on: date) -> Verdict:
        """The verdict by the rules of those concerned. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The gate, with everything it needs. `rules` are those of the agencies."""

    config: Config
    clock: Clock
    database: Database
    directory: DirectoryFacts
    readers: Reader
    authenticator: Authenticator
    rules: Judge
    signer: Signing
    spool: Spool
    queue: Queue
    scanner: Scanning | None = None  # none is configured
    seal: forwarding.Sealing | None = None  # of what is passed on

    async def receive(
        self, envelope: Envelope, body: Body, *, channel: Channel = "smtp", reason: str = ""
    ) -> Outcome:
        """Take a message: judge, sign, store; all or nothing.

        `reason` is what the writer gave for sending in spite of a warning. Raises Unavailable for
        any trouble of our own, the time limit included. Then nothing was kept, unless the commit
        was already under way: the sender tries again, and a recipient may get the message twice.
        """
        now = self.clock()
        queue_id = new_queue_id(now)
        given = body
        try:
            async with asyncio.timeout(self.config.limits.decision_seconds):
                body, header = await self._cleaned(envelope, given)
                content, scan = await self._examined(body)
                authenticated = await self._authenticated(envelope, header, body, content)
                judgement = await self._judged(
                    envelope, content, authenticated.results, scan, queue_id
                )
                faults.point("A6")
                outcome = Outcome(judgement.facts, judgement.verdict, queue_id)
                if outcome.accepted:
                    prefix = await self._prefix(outcome, envelope, header, body, authenticated, now)
                    part = authenticated.contribution
                    await self._store(outcome, envelope, body, prefix, now, channel, reason, part)
                else:
                    part = authenticated.contribution
                    await self._refused(outcome, envelope, given, now, channel, part)
        except TimeoutError:
            raise Unavailable("decision-late", queue_id=queue_id) from None
        finally:
            if body is not given:  # the caller looks after what it gave
                await asyncio.to_thread(self.spool.discard, body)
        log.info(
            "message.judged",
            queue_id=queue_id,
            action=outcome.verdict.action.label,
            code=outcome.verdict.code,
            direction=envelope.direction,
            size_bytes=body.size_bytes,
        )
        return outcome

    async def advise(self, envelope: Envelope, body: Body, *, elsewhere: str = "") -> Outcome:
        """What another mail server should do with a message that it keeps itself.

        The same road as `receive`, but for signature and queue; the ledger notes the verdict, with
        its queue id there. Raises Unavailable for any trouble of our own, the time limit included.
        """
        now = self.clock()
        queue_id = new_queue_id(now)
        given = body
        try:
            async with asyncio.timeout(self.config.limits.decision_seconds):
                body, header = await self._cleaned(envelope, given)
                content, scan = await self._examined(body)
                authenticated = await self._authenticated(envelope, header, body, content)
                judgement = await self._judged(
                    envelope, content, authenticated.results, scan, queue_id
                )
                outcome = Outcome(judgement.facts, judgement.verdict, queue_id)
                part = authenticated.contribution
                if outcome.accepted:
                    event = records.advised(outcome, envelope, body, now, elsewhere)
                    await self._note(outcome, event, now, part)
                else:
                    await self._refused(outcome, envelope, given, now, "milter", part)
        except TimeoutError:
            raise Unavailable("decision-late", queue_id=queue_id) from None
        finally:
            if body is not given:
                await asyncio.to_thread(self.spool.discard, body)
        return outcome

    async def _note(
        self, outcome: Outcome, event: MessageAdvised, now: datetime, part: Contribution | None
    ) -> None:
        def work(session: Session) -> None:
            taken = correspondence.taken(outcome.facts.content, outcome.queue_id, now)
            session.add_all(taken)
            record(session, event)
            records.contribute(session, part, outcome, now)

        await self.database.submit(work)

    async def check(self, envelope: Envelope, body: Body) -> Judgement:
        """What would become of a message, before it is sent. Raises Unavailable."""
        content, scan = await self._examined(body)
        return await self._judged(envelope, content, facts.Authentication(), scan)

    async def rejudge(self, queue_id: str) -> Judgement:
        """What the rules in force now say of a message that we hold. Nothing is changed.

        Raises NotFound `queue-id-unknown`, Conflict `message-corrupt` or `message-gone`, Unavailable.
        """
        row, envelope = await self.database.query(lambda session: records.stored(session, queue_id))
        body = self.spool.open(row)
        if not await asyncio.to_thread(is_intact, body):
            raise Conflict("message-corrupt", queue_id=queue_id)
        header = await asyncio.to_thread(fields.read_header, body, self.config.limits.header_bytes)
        content, scan = await self._examined(body)
        authenticated = await self._authenticated(envelope, header, body, content)
        return await self._judged(envelope, content, authenticated.results, scan, queue_id)

    async def _examined(self, body: Body) -> tuple[facts.Content, Scan]:
        """What reader and scanner say of the bytes; both look at once."""
        if self.scanner is None:
            return await self.readers.read(body), NO_SCANNER
        scanning = asyncio.create_task(self.scanner.scan(body))
        try:
            return await self.readers.read(body), await scanning
        finally:
            scanning.cancel()
            await asyncio.gather(scanning, return_exceptions=True)

    async def _judged(
        self,
        envelope: Envelope,
        content: facts.Content,
        authentication: facts.Authentication,
        scan: Scan,
        queue_id: str = "",
        agency: str = "",
    ) -> Judgement:
        known = await self.directory.envelope_facts(envelope, authentication)
        known = replace(
            known,
            agency=agency or known.agency,
            max_content_bytes=self.config.limits.content_bytes,
            scan=scan.result,
            malware=scan.names,
        )
        if correspondence.is_asked(known, content):
            asked, now = known, self.clock()
            known = await self.database.query(
                lambda session: correspondence.recalled(session, asked, content, now, queue_id)
            )
        found = Facts(known, content)
        verdict = await self.rules.judge(found, local_date(self.clock()))
        return Judgement(found, verdict)

    async def _cleaned(self, envelope: Envelope, body: Body) -> tuple[Body, HeaderBlock]:
        """The body without fields that only we may write, or that must not travel."""
        header = await asyncio.to_thread(fields.read_header, body, self.config.limits.header_bytes)
        unwanted = fields.unwanted_fields(header, envelope, self.config.authserv_id)
        if not unwanted:
            return body, header
        kept = header.without(unwanted)
        cleaned = await asyncio.to_thread(fields.with_header, self.spool, body, header, kept)
        return cleaned, kept

    async def _authenticated(
        self, envelope: Envelope, header: HeaderBlock, body: Body, content: facts.Content
    ) -> Authenticated:
        if envelope.direction != "inbound":
            return NOT_CHECKED
        authors = [person.domain for person in content.header.from_]
        return await self.authenticator.check(envelope, header.raw, body, authors)

    async def _prefix(
        self,
        outcome: Outcome,
        envelope: Envelope,
        header: HeaderBlock,
        body: Body,
        authenticated: Authenticated,
        now: datetime,
    ) -> bytes:
        """The fields that go before the received bytes, newest first."""
        hostname = self.config.site.hostname
        received = received_field(envelope, outcome.queue_id, hostname, now)
        if envelope.direction == "inbound":
            # Results stand above the Received of whoever checked (RFC 8601, 4; RFC 7208, 9.1).
            return authenticated.field + received + fields.policy_field(outcome.verdict)
        added = fields.missing_fields(header, outcome.queue_id, hostname, now)
        author = next(iter(outcome.facts.content.header.from_), None)  # none in a held, unread one
        domain = author.domain if author else outcome.facts.envelope.login.rpartition("@")[2]
        signature = await self.signer.sign(added + header.raw, body, domain)
        if signature is None and any(not r.local for r in outcome.facts.envelope.recipients):
            # Unsigned mail in our name would be refused or mistrusted elsewhere.
            raise Unavailable("signing-key-absent", domain=domain)
        faults.point("A7")
        return (signature or b"") + received + fields.policy_field(outcome.verdict) + added

    async def _store(
        self,
        outcome: Outcome,
        envelope: Envelope,
        body: Body,
        prefix: bytes,
        now: datetime,
        channel: Channel,
        reason: str,
        part: Contribution | None,
    ) -> None:
        """Bytes first, then rows and event in one transaction; durable when this returns."""
        reports = await self._reports(outcome, envelope, body)
        members = await self._members(outcome)
        new = records.new_message(outcome, envelope, body, prefix, now, members)
        spread = await self._spread(new)
        new = replace(new, recipients=forwarding.within(new.recipients, spread))
        event = records.accepted(outcome, envelope, new, now, channel, reason)
        # What reads the body comes first: keeping it moves its file.
        answers = await self._answers(outcome, envelope, body, now)
        onward = await self._onward(outcome, new, spread.ways_out, now)
        spool_name = await asyncio.to_thread(self.spool.keep, body, outcome.queue_id)
        new = replace(new, spool_name=spool_name)

        def work(session: Session) -> None:
            faults.point("A11")
            enqueue(session, new)
            for answer in answers:
                absence.record(session, answer)
            for one in onward:
                forwarding.record(session, self.config, new.queue_id, one, now)
            session.add_all(correspondence.taken(outcome.facts.content, new.queue_id, now))
            record(session, event)
            records.contribute(session, part, outcome, now)
            for report in reports:
                keep_report(
                    session,
                    report,
                    now,
                    organisation=records.author(outcome),
                    message_id=new.queue_id,
                )
            if not outcome.verdict.delivers:
                subject = outcome.facts.content.header.subject
                tell_held(session, self.config, new, event.codes, subject)

        try:
            await self.database.submit(work)
        except OutcomeUnknown:
            if not await self._was_stored(outcome.queue_id):
                raise
        faults.point("A12")
        self.queue.wake()

    async def _answers(
        self, outcome: Outcome, envelope: Envelope, body: Body, now: datetime
    ) -> list[absence.Answer]:
        """Answers of those who are away; what is held was not received yet."""
        if not outcome.verdict.delivers:
            return []
        known, content = outcome.facts.envelope, outcome.facts.content
        limit = self.config.limits.header_bytes
        asked = absence.Asked(envelope, known, content, lambda: fields.read_header(body, limit))
        return await absence.answers(asked, self.database, self.signer, self.config, now)

    async def _spread(self, new: NewMessage) -> Spread:
        """Where the forwards of those who get the message lead."""
        ids = {one.mailbox_id for one in new.recipients if one.mailbox_id is not None}
        if not ids:
            return Spread()
        today = local_date(new.accepted_at)
        return await self.database.query(lambda session: forwards.spread(session, ids, today))

    async def _onward(
        self, outcome: Outcome, new: NewMessage, ways: Sequence[WayOut], now: datetime
    ) -> list[forwarding.PassedOn]:
        """What goes outside by forwards; what is held was not received yet."""
        if not ways or not outcome.verdict.delivers:
            return []
        content, known = outcome.facts.content, outcome.facts.envelope
        scan = Scan(known.scan, known.malware)

        async def judge(envelope: Envelope, way: WayOut, queue_id: str) -> Judgement:
            found = known.authentication
            return await self._judged(envelope, content, found, scan, queue_id, way.agency_code)

        limit = self.config.limits.header_bytes
        original = forwarding.Original(
            new, lambda: fields.read_header(new.body, limit), known.sender_local
        )
        parts = forwarding.Parts(self.config, self.database, self.spool, self.seal, judge)
        return await forwarding.outside(parts, original, ways, now)

    async def _members(self, outcome: Outcome) -> Mapping[int, Sequence[Member]]:
        """Those whom each group among the recipients leads to, by its mailbox id."""
        groups = {r.mailbox_id for r in outcome.facts.envelope.recipients if r.kind == "group"}
        known = [one for one in groups if one is not None]
        return {one: await self.directory.members([one]) for one in known}

    async def _was_stored(self, queue_id: str) -> bool:
        """Whether a message is there whose commit got no answer; ask until somebody answers.

        Raises Unavailable when nobody does: then nobody may say 250.
        """
        for pause in LOOK_UP_SECONDS:
            await asyncio.sleep(pause)
            try:
                return await self.database.query(
                    lambda session: session.get(MessageRow, queue_id) is not None
                )
            except Unavailable as exc:
                trouble = exc
                log.warning("outcome.unknown", queue_id=queue_id, why=str(exc))
        raise trouble

    async def _reports(self, outcome: Outcome, envelope: Envelope, body: Body) -> Sequence[Report]:
        """What others report of our domains, when the message brings that to our mailbox for it."""
        found = outcome.facts.envelope.authentication
        settings = self.config.authentication
        if not outcome.verdict.delivers or not may_bring_report(settings, envelope, found):
            return ()
        return await asyncio.to_thread(read_arriving, body)

    async def _refused(
        self,
        outcome: Outcome,
        envelope: Envelope,
        body: Body,
        now: datetime,
        channel: Channel,
        part: Contribution | None,
    ) -> None:
        """A refusal leaves an event and nothing else: no copy of what may be a secret (rule B06)."""
        document = outcome.facts.content.document
        event = MessageRefused(
            at=now,
            message_id=outcome.queue_id,
            mailbox=outcome.facts.envelope.login,
            agency_code=records.agency(outcome),
            actor=outcome.facts.envelope.login or outcome.facts.envelope.mail_from,
            direction=envelope.direction,
            code=outcome.verdict.code,
            codes=records.deciding_codes(outcome.verdict),
            category=document.category if document else "",
            document_type=document.type if document else "",
            channel=channel,
            header_message_id=outcome.facts.content.header.message_id,
            mail_from=outcome.facts.envelope.mail_from,
            recipients=[recipient.address for recipient in outcome.facts.envelope.recipients],
            deferred=outcome.verdict.action is Action.DEFER,
            authentication=records.authentication(outcome),
        )

        def work(session: Session) -> None:
            records.contribute(session, part, outcome, now)
            if not is_secret(outcome.verdict):
                record(session, event)
                if not event.deferred:
                    session.add(records.refusal(outcome, event))
                return
            kept = stripped(session, event, outcome.verdict, body.sha256)
            record(session, kept)
            tell_secret(session, self.config, kept)

        await self.database.submit(work)
        self.queue.wake()
