"""What a session may do, command by command: the brain of a session, without its socket.

Refusals that need only the envelope are given here, before a byte of the message is taken: relay,
unknown recipient, sender identity, limits. Everything else is judged at the gate.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mailgov.addresses import Address
from mailgov.errors import NotAllowed, Unavailable
from mailgov.logs import logger
from mailgov.message import Body, Client, Direction, Envelope, Recipient
from mailgov.relay import certificates, replies, scram
from mailgov.relay.auth import BearerToken, Credentials
from mailgov.relay.certificates import ClientCertificate
from mailgov.relay.commands import (
    CommandError,
    MailCommand,
    parse_hello,
    parse_mail,
    parse_rcpt,
)
from mailgov.relay.data import BodyLimits
from mailgov.relay.keywords import keywords
from mailgov.relay.limits import IPAddress, SessionCounters
from mailgov.relay.parts import Listener, Parts
from mailgov.relay.ports import Account, AppPassword, Outcome, Scram
from mailgov.relay.rates import Allotment
from mailgov.relay.recipients import Desk
from mailgov.relay.replies import Reply
from mailgov_policies.verdict import Action

# The gate has its own time limit; this is how long we wait beyond it before we let go.
DECISION_MARGIN_SECONDS = 5.0

# A session lasts an hour; who is suspended meanwhile, or loses a right, must not go on for so long.
ACCOUNT_FRESH_SECONDS = 30.0

log = logger("relay")


class Handler:
    """One session: who is there, and the transaction under way."""

    def __init__(self, parts: Parts, listener: Listener, ip: IPAddress, port: int) -> None:
        self.parts = parts
        self.listener = listener
        self.ip = ip
        self.port = port
        self.trusted = not listener.submission and parts.trusts(ip)
        self.counters = SessionCounters(parts.limits, lambda: parts.stressed)
        self.helo = ""
        self.extended = False
        self.tls = ""  # protocol and cipher; empty in clear
        self.certificate: ClientCertificate | None = None  # the client's, signed as asked
        self.account: Account | None = None
        self._account_read_at = 0.0
        self.screened = not listener.submission and not self.trusted
        self._desk = Desk(parts, self.counters, ip, screened=self.screened)
        self._mail: MailCommand | None = None
        self._allotment: Allotment | None = None  # of the user, for this message
        self._recipients: dict[str, Recipient] = {}  # ours by their key, which has no case
        self._asked: set[Address] = set()
        self._sender_is_ours = False  # asked for trusted hosts only
        self._relays = False  # a recipient is not ours

    def open(self, tls: str) -> None:
        """The session begins."""
        self.tls = tls
        self._desk.open()

    def forget_client(self) -> None:
        """TLS has begun: what was said in clear was said by anyone (RFC 3207, 4.2)."""
        self.helo = ""
        self.extended = False
        self.reset()

    def reset(self) -> None:
        """No transaction is under way."""
        self._mail = None
        self._recipients = {}
        self._asked = set()
        self._sender_is_ours = self._relays = False
        if self._allotment is not None:
            self._allotment.close()
            self._allotment = None

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted."""
        return self._mail is not None

    @property
    def smtputf8(self) -> bool:
        """Whether the client asked for RFC 6531 in this transaction."""
        return self._mail is not None and self._mail.smtputf8

    @property
    def _most_recipients(self) -> int:
        limits = self.parts.limits
        return limits.recipients_official if self.listener.submission else limits.recipients_inbound

    @property
    def _may_relay(self) -> bool:
        return self.account is not None or self.trusted

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Ways to sign in."""
        ways = ["PLAIN", "LOGIN"]
        if self.parts.scram:
            ways.append(scram.NAME)
        if self.parts.tokens is not None:
            ways += ["OAUTHBEARER", "XOAUTH2"]
        if self.certificate is not None:
            ways.append(certificates.NAME)
        return tuple(ways)

    def hello(self, argument: str, *, extended: bool) -> Reply:
        """HELO or EHLO: a new start. Raises CommandError."""
        self.helo = parse_hello(argument)
        self.extended = extended
        self.reset()
        if not extended:
            return replies.hello(self.parts.hostname)
        offered = keywords(
            self.parts.limits.message_bytes,
            self._most_recipients,
            tls=bool(self.tls),
            mechanisms=self.mechanisms if self.listener.submission else (),
        )
        return replies.hello(self.parts.hostname, offered)

    async def mail(self, argument: str) -> Reply:
        """MAIL. Raises CommandError."""
        if not self.helo:
            raise CommandError("hello-first")
        if self.listener.submission and self.account is None:
            raise CommandError("login-first")
        if self._mail is not None:
            raise CommandError("mail-twice")
        command = parse_mail(argument, extended=self.extended)
        if command.require_tls and not self.tls:
            raise CommandError("require-tls-clear")
        size_bytes = command.size_bytes or 0
        if size_bytes > self.parts.limits.message_bytes:
            raise CommandError("message-too-big")  # RFC 1870, 6.1
        await self._require_room(size_bytes)
        await self._refresh_account()
        if foreign := self._sender_not_owned(command.sender):
            return replies.rule_refusal(
                "sender-identity", {"address": foreign}, self.parts.help_base
            )
        if self.trusted and command.sender is not None:
            domain = command.sender.domain
            self._sender_is_ours = await self.parts.directory.is_local_domain(domain)
        if self.account is not None:
            self._allotment = await self.parts.rates.begin(self.account.address)
        self._mail = command
        if command.priority != self._priority():
            return replies.PRIORITY_LOWERED
        return replies.SENDER_OK

    def _priority(self) -> int | None:
        """What was asked for; from strangers nothing above the others (RFC 6710, 5)."""
        asked = self._mail.priority if self._mail else None
        return asked if asked is None or self._may_relay else min(asked, 0)

    async def _require_room(self, size_bytes: int) -> None:
        parts, now = self.parts, self.parts.now()
        if not parts.free_space.allows(size_bytes, parts.large_bodies, now):
            raise CommandError("disk-full")
        if parts.memory.is_full(now):
            raise CommandError("memory-full")
        if await parts.backlog.is_full(now):
            raise CommandError("queue-full")

    async def _refresh_account(self) -> None:
        now = self.parts.now()
        if self.account is None or now - self._account_read_at < ACCOUNT_FRESH_SECONDS:
            return
        account = await self.parts.directory.account(self.account.address)
        if account is None or account.state != "active":
            raise CommandError("login-ended")
        if account.credentials_ended_at != self.account.credentials_ended_at:
            raise CommandError("login-ended")  # it may be the one that opened this session
        self.account, self._account_read_at = account, now

    def _sender_not_owned(self, sender: Address | None) -> str:
        # The null sender is nobody's: read receipts must carry it (RFC 8098, 3), and their
        # originator fields are judged like all others.
        if self.account is None or sender is None or sender.key in self.account.may_send_as:
            return ""
        return str(sender)

    async def rcpt(self, argument: str) -> Reply:
        """RCPT. Raises CommandError, and Unavailable from the directory."""
        if self._mail is None:
            raise CommandError("mail-first")
        command = parse_rcpt(
            argument,
            extended=self.extended,
            smtputf8=self._mail.smtputf8,
            postmaster_domain=self.parts.hostname,
        )
        if command.recipient in self._asked:
            if self.counters.junk_command():
                raise CommandError("too-many-junk-commands")
            return replies.RECIPIENT_OK  # said twice, delivered once
        if len(self._recipients) >= self._most_recipients:
            raise CommandError("too-many-recipients")
        asked = command.recipient
        admitted = await self._desk.admit(asked, self._mail.sender, may_relay=self._may_relay)
        name = admitted.address.key if admitted.is_ours else str(admitted.address)
        if name not in self._recipients:
            if self._allotment is not None:
                self._allotment.add()
            self._relays = self._relays or not admitted.is_ours
            self._recipients[name] = Recipient(admitted.address, command.notify, command.original)
        self._asked.add(asked)
        return replies.RECIPIENT_OK

    def require_recipients(self) -> None:
        """A message may follow. Raises CommandError."""
        if self._mail is None:
            raise CommandError("mail-first")
        if not self._recipients:
            raise CommandError("recipient-first")

    def body_limits(self) -> BodyLimits:
        """What the message may be."""
        limits = self.parts.limits
        return BodyLimits(
            message_bytes=limits.message_bytes,
            drop_after_bytes=limits.drop_after_bytes,
            line_bytes=limits.line_bytes,
            header_bytes=limits.header_bytes,
            header_fields=limits.header_fields,
            field_bytes=limits.field_bytes,
            received_hops=limits.received_hops,
            normalise=self.trusted and self.parts.repair_line_ends,
        )

    async def judge(self, body: Body) -> Reply:
        """Hand the message to the gate and say what became of it.

        Raises what the gate raises. When the client is gone meanwhile, the gate still finishes.
        """
        allotment, self._allotment = self._allotment, None
        task = self.parts.judge(self._received(self._envelope(), body, allotment))
        limit = self.parts.limits.decision_seconds + DECISION_MARGIN_SECONDS
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            task.add_done_callback(_tell_the_log)
            raise
        if not done:
            task.cancel()
            task.add_done_callback(_tell_the_log)
            raise Unavailable("decision-late")
        return replies.outcome_reply(task.result(), self.parts.help_base)

    async def _received(
        self, envelope: Envelope, body: Body, allotment: Allotment | None
    ) -> Outcome:
        stored = True  # in doubt it counts
        try:
            outcome = await self.parts.intake.receive(envelope, body)
            stored = outcome.verdict.action < Action.DEFER
            if stored:
                self.parts.doorkeeper.vouch(self.ip)
            return outcome
        except Unavailable:
            stored = False
            raise
        finally:
            if allotment is not None:
                allotment.close(stored=stored)
            if body.path is not None:  # no copy stays of what was not taken
                await asyncio.to_thread(self.parts.spool.discard, body)

    def _envelope(self) -> Envelope:
        assert self._mail is not None
        return Envelope(
            direction=self._direction(),
            mail_from=self._mail.sender,
            recipients=tuple(self._recipients.values()),
            login=Address.parse(self.account.address) if self.account else None,
            client=Client(
                ip=str(self.ip),
                port=self.port,
                helo=self.helo,
                tls=self.tls,
                protocol=self._protocol(),
            ),
            smtputf8=self._mail.smtputf8,
            body_8bit=self._mail.body_8bit,
            envid=self._mail.envid,
            ret=self._mail.ret,
            require_tls=self._mail.require_tls,
            priority=self._priority(),
        )

    def _direction(self) -> Direction:
        if self.account is not None:
            return "submission"
        # A trusted host speaks for the house when it writes in our name or to the outside; else,
        # like anybody, it only brings in what others wrote.
        speaks_for_us = self.trusted and (self._sender_is_ours or self._relays)
        return "internal" if speaks_for_us else "inbound"

    def _protocol(self) -> str:
        """The name for the Received field: RFC 3848, and RFC 6531, 4.3."""
        if not self.extended:
            return "SMTP"
        base = "UTF8SMTP" if self.smtputf8 else "ESMTP"
        return base + ("S" if self.tls else "") + ("A" if self.account else "")

    def require_login_possible(self) -> None:
        """AUTH may follow. Raises CommandError."""
        if not self.listener.submission:
            raise CommandError("not-offered")
        if not self.tls:
            raise CommandError("tls-first")
        if not self.extended:
            raise CommandError("hello-first")
        if self.account is not None:
            raise CommandError("login-twice")
        if self._mail is not None:
            raise CommandError("login-in-transaction")
        if self.counters.logins_spent:
            raise CommandError("too-many-failed-logins")

    async def login(self, credentials: Credentials) -> Reply:
        """Check a password. Raises CommandError, and Unavailable from the directory."""
        known = self.parts.doorkeeper.knows(self.ip)
        with self._holding_off():
            async with nullcontext() if known else self.parts.strangers_checked:
                account = await self.parts.directory.sign_in(
                    credentials.name, credentials.password, channel="smtp", ip=str(self.ip)
                )
        return self._opened(account)

    async def login_by_token(self, token: BearerToken) -> Reply:
        """Check a token of the identity provider. Raises as `login`."""
        assert self.parts.tokens is not None
        with self._holding_off():
            account = await self.parts.tokens.open(token.name, token.token, ip=str(self.ip))
        return self._opened(account)

    async def login_by_certificate(self, name: str, *, good: bool) -> Account | None:
        """The account of a certificate; None counts as a failure. Raises as `login`."""
        with self._holding_off():
            account = await self.parts.directory.sign_in_by_certificate(
                name, good=good, channel="smtp", ip=str(self.ip)
            )
        if account is None:
            self.counters.failed_login()
        return account

    async def begin_scram(self, name: str) -> Scram:
        """What a client needs to prove a password. Raises as `login`."""
        with self._holding_off():
            return await self.parts.directory.begin_scram(name, channel="smtp", ip=str(self.ip))

    async def end_scram(self, begun: Scram, app: AppPassword | None) -> Account | None:
        """The account that the proved password opens. Raises Unavailable."""
        account = await self.parts.directory.end_scram(begun, app)
        if account is None:
            self.counters.failed_login()
        return account

    @contextmanager
    def _holding_off(self) -> Iterator[None]:
        try:
            yield
        except NotAllowed:
            log.warning("login.held-off", ip=str(self.ip))
            raise CommandError("login-later") from None

    def _opened(self, account: Account | None) -> Reply:
        if account is None:
            self.counters.failed_login()
            raise CommandError("login-wrong")
        self.signed_in(account)
        return replies.SIGNED_IN

    def signed_in(self, account: Account) -> None:
        """The session is this user's from now on. Raises CommandError `too-many-of-user`."""
        if not self.parts.doorkeeper.sign_in(account.address):
            raise CommandError("too-many-of-user")
        self.parts.doorkeeper.vouch(self.ip)
        self.account, self._account_read_at = account, self.parts.now()

    def close(self) -> None:
        """The session has ended."""
        self.reset()
        self._desk.close()
        if self.account is not None:
            self.parts.doorkeeper.sign_out(self.account.address)
            self.account = None


def _tell_the_log(task: "asyncio.Task[Outcome]") -> None:
    """What became of a message whose client did not wait."""
    if task.cancelled():
        log.warning("message.given-up")
    elif error := task.exception():
        log.warning("message.failed-after-hang-up", exc_info=error)
    else:
        log.info("message.judged-after-hang-up", queue_id=task.result().queue_id)
