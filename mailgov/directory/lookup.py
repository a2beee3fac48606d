"""Look-ups that the road of mail makes for every session and message: each a few index probes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlmodel import Session

from mailgov.addresses import Address, is_within
from mailgov.clock import Clock, local_date
from mailgov.config import Limits, SignIn
from mailgov.db import Database
from mailgov.directory import groups, moderation, queries, return_paths
from mailgov.directory.groups import Member
from mailgov.directory.queries import Account, LocalMailbox
from mailgov.directory.sealed import SecretBox
from mailgov.directory.second_step import SecondSteps
from mailgov.directory.sign_in import Attempt, Channel, Scram, SignIns
from mailgov.errors import InputError, Unavailable
from mailgov.message import Envelope
from mailgov.srs import is_rewritten
from mailgov_policies import facts
from mailgov_policies.freemail import is_freemail

_Known = tuple[
    Account | None,
    dict[str, LocalMailbox],
    frozenset[str],
    Account | LocalMailbox | None,
    Mapping[int, moderation.Standing],
]


class Directory:
    """The directory as the relay, the gate and the webmail see it.

    `key_file` holds the key under which secrets of second factors are kept. Every method raises
    Unavailable `database-unavailable` when the database can't serve.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        limits: Limits,
        *,
        official_suffixes: Sequence[str] = ("gov.vn", "chinhphu.vn"),
        settings: SignIn | None = None,
        key_file: Path = Path("second-factor"),
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._suffixes = tuple(official_suffixes)
        self.sign_ins = SignIns(database, clock, limits, settings or SignIn())
        self.second_steps = SecondSteps(database, clock, self.sign_ins, SecretBox(key_file))

    async def sign_in(
        self, name: str, password: str, *, channel: Channel = "web", ip: str = "", browser: str = ""
    ) -> Account | None:
        """The account, when the password opens it on this channel and the mailbox is active.

        Unknown names, suspended mailboxes and wrong passwords take the same time and get the same
        None. Attempts stand in the ledger. In the web an account with a second factor is not signed
        in yet. `browser` is the token that a browser got at an earlier sign-in. Raises NotAllowed
        `sign-in-later` when too much was guessed, Unavailable `too-busy` when too many checks wait
        already.
        """
        attempt = Attempt(name, password, channel, ip, browser)
        key = await self.sign_ins.open(attempt)
        return await self.account(key) if key is not None else None

    async def begin_scram(self, name: str, *, channel: Channel, ip: str) -> Scram:
        """What a client needs to prove an app password by SCRAM-SHA-256. Then `end_scram` must follow.

        Raises NotAllowed `sign-in-later` when too much was guessed.
        """
        return await self.sign_ins.scram(Attempt(name, "", channel, ip))

    async def end_scram(self, scram: Scram, app: queries.AppPassword | None) -> Account | None:
        """The account whose app password was proved; None, with None, for a failure."""
        key = await self.sign_ins.proved(scram, app)
        return await self.account(key) if key is not None else None

    async def sign_in_by_certificate(
        self, name: str, *, good: bool, channel: Channel, ip: str
    ) -> Account | None:
        """The account of a mailbox whose certificate was shown, when it is good and the mailbox active.

        Raises NotAllowed `sign-in-later`.
        """
        key = await self.sign_ins.certified(Attempt(name, "", channel, ip), good=good)
        return await self.account(key) if key is not None else None

    async def account(self, address: str) -> Account | None:
        """The account of a mailbox's own address, in any state; None when there is none."""
        key = _key(address)
        today = local_date(self._clock())
        return await self._database.query(lambda session: queries.account(session, key, today))

    async def is_local_domain(self, domain: str) -> bool:
        """Whether we receive mail for the domain (lower-case A-labels)."""
        found = await self._database.query(lambda session: queries.local_domains(session, [domain]))
        return domain in found

    async def find_mailbox(self, address: Address) -> LocalMailbox | None:
        """The mailbox behind an address or alias, in any state; None when there is none."""
        key = address.key
        today = local_date(self._clock())
        found = await self._database.query(lambda session: queries.mailboxes(session, [key], today))
        return found.get(key)

    async def return_path(self, address: Address) -> Address | None:
        """Whom a bounce to an address goes to that stands for a sender elsewhere; None for all others.

        Raises InputError `return-path-forged`, `return-path-old`.
        """
        if not is_rewritten(address):
            return None
        today = local_date(self._clock())
        return await self._database.query(
            lambda session: return_paths.return_path(session, address, today)
        )

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        """What session and directory say about a message, for the rules."""
        today = local_date(self._clock())
        sender = envelope.mail_from.key if envelope.mail_from else ""
        keys = [recipient.address.key for recipient in envelope.recipients]
        domains = {key.rpartition("@")[2] for key in (*keys, sender) if key}

        def read(session: Session) -> _Known:
            login = queries.account(session, envelope.login.key, today) if envelope.login else None
            found = queries.mailboxes(session, [*keys, sender], today)
            # Who writes from outside in our name is not believed.
            sending = login or (found.get(sender) if envelope.direction == "internal" else None)
            sender_id = sending.mailbox_id if sending else None
            written_to = [found[key] for key in keys if key in found]
            standings = moderation.standings(session, written_to, sender_id, self._limits, today)
            return login, found, queries.local_domains(session, domains), sending, standings

        login, mailboxes, ours, sending, standings = await self._database.query(read)
        free = frozenset(domain for domain in domains if is_freemail(domain))
        return facts.Envelope(
            direction=envelope.direction,
            mail_from=sender,
            recipients=tuple(
                _recipient_facts(key, mailboxes.get(key), ours, free, self._suffixes, standings)
                for key in keys
            ),
            login=login.address if login else "",
            may_send_as=login.may_send_as if login else (),
            on_behalf_of=login.on_behalf_of if login else (),
            sender_local=sender.rpartition("@")[2] in ours,
            agency=sending.agency_code if sending else "",
            forwarded_by=envelope.forwarded_by.key if envelope.forwarded_by else "",
            local_domains=tuple(sorted(ours)),
            official_suffixes=self._suffixes,
            freemail_domains=tuple(sorted(free)),
            authentication=authentication,
            client_ip=envelope.client.ip,
            helo=envelope.client.helo,
            max_content_bytes=self._limits.content_bytes,
        )

    async def members(self, group_ids: Sequence[int]) -> Sequence[Member]:
        """Every mailbox that groups lead to, each once.

        Raises Unavailable `group-not-expanded` when they are too large or too deep: mail waits until
        somebody has mended them.
        """
        most = self._limits.group_recipients
        try:
            return await self._database.query(
                lambda session: groups.members(session, group_ids, most)
            )
        except InputError as error:
            raise Unavailable("group-not-expanded", why=str(error)) from error

    def close(self) -> None:
        """End the threads that check passwords."""
        self.sign_ins.close()


def _key(address: str) -> str:
    """The form in which addresses are kept; empty when it is not an address."""
    try:
        return Address.parse(address).key
    except InputError:
        return ""


def _recipient_facts(
    key: str,
    mailbox: LocalMailbox | None,
    ours: frozenset[str],
    free: frozenset[str],
    suffixes: tuple[str, ...],
    standings: Mapping[int, moderation.Standing],
) -> facts.RecipientFacts:
    domain = key.rpartition("@")[2]
    group = standings.get(mailbox.mailbox_id) if mailbox else None
    return facts.RecipientFacts(
        address=key,
        domain=domain,
        mailbox_id=mailbox.mailbox_id if mailbox else None,
        local=mailbox is not None,
        official=domain in ours or is_within(domain, suffixes),
        freemail=domain in free,
        kind=mailbox.kind if mailbox else "",
        agency=mailbox.agency_code if mailbox else "",
        interagency_only=mailbox is not None and mailbox.interagency_only,
        group_mode=group.mode if group else "",
        group_size=group.size if group else 0,
        may_post=group is None or group.may_post,
    )
