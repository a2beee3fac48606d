"""Look-ups that the road of mail makes for every session and message: each a few index probes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.access import Role
from mailgov.addresses import Address, is_within
from mailgov.clock import Clock, local_date
from mailgov.config import Limits
from mailgov.db import Database
from mailgov.db.models import Agency, Alias, Credential, Delegation, Domain, Mailbox, RoleGrant
from mailgov.directory.credentials import PasswordChecks
from mailgov.errors import InputError
from mailgov.ledger.events import SignIn
from mailgov.message import Envelope
from mailgov_policies import facts
from mailgov_policies.freemail import is_freemail

# How often a successful sign-in is written beside the password. Every mail program signs in again
# and again; a write for each would make reading cost as much as sending.
_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in, and what they may do."""

    mailbox_id: int
    address: str
    display_name: str
    kind: str
    agency_code: str
    agency_name: str
    state: str
    may_send_as: tuple[str, ...]  # own address first, then aliases, then delegated mailboxes
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class LocalMailbox:
    """A mailbox of ours that mail is addressed to."""

    mailbox_id: int
    address: str  # its own address, also when an alias was asked for
    kind: str
    agency_code: str
    state: str
    interagency_only: bool
    quota_mb: int


@dataclass(frozen=True, slots=True)
class _Login:
    mailbox_id: int
    state: str
    credential_id: int | None
    stored: str | None
    use_noted: bool


class Directory:
    """The directory as the relay, the gate and the webmail see it.

    Every method raises Unavailable `database-unavailable` when the database can't serve.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        limits: Limits,
        *,
        official_suffixes: Sequence[str] = ("gov.vn", "chinhphu.vn"),
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._suffixes = tuple(official_suffixes)
        self._checks = PasswordChecks(limits.password_checks, limits.password_checks_waiting)

    async def authenticate(self, address: str, password: str) -> Account | None:
        """The account, when the password is right and the mailbox active.

        Unknown names, suspended mailboxes and wrong passwords take the same time and get the same
        None. Raises Unavailable `too-busy` when too many checks wait already.
        """
        key = _key(address)
        now = self._clock()

        def find(session: Session) -> _Login | None:
            return _login(session, key, now - _USE_NOTED_EVERY)

        login = await self._database.query(find) if key else None
        usable = login if login is not None and login.state == "active" else None
        if not await self._checks.check(usable.stored if usable else None, password):
            return None
        assert usable is not None
        if not usable.use_noted:
            await self._note_use(usable)
        return await self.account(key)

    async def _note_use(self, login: _Login) -> None:
        now = self._clock()

        def note(session: Session) -> None:
            credential = session.get_one(Credential, login.credential_id)
            credential.last_used_at = now
            mailbox = session.get_one(Mailbox, login.mailbox_id)
            mailbox.activated_at = mailbox.activated_at or now

        await self._database.submit(note)

    async def record_sign_in(
        self, address: str, *, channel: str, success: bool, ip: str = ""
    ) -> None:
        """Write a sign-in, or an attempt, into the ledger. `channel` is web, smtp or imap."""
        key = _key(address)
        now = self._clock()

        def write(session: Session) -> None:
            code = session.exec(
                select(Agency.code)
                .join(Mailbox, col(Mailbox.agency_id) == Agency.id)
                .where(Mailbox.address == key)
            ).first()
            # What was typed as a name may be a password: names that are not ours are not kept.
            mailbox = key if code is not None else ""
            ledger.record(
                session,
                SignIn(
                    at=now,
                    mailbox=mailbox,
                    actor=mailbox,
                    agency_code=code or "",
                    channel=channel,
                    success=success,
                    ip=ip,
                ),
            )

        await self._database.submit(write)

    async def account(self, address: str) -> Account | None:
        """The account of a mailbox's own address, in any state; None when there is none."""
        key = _key(address)
        today = local_date(self._clock())
        return await self._database.query(lambda session: read_account(session, key, today))

    async def is_local_domain(self, domain: str) -> bool:
        """Whether we receive mail for the domain (lower-case A-labels)."""
        found = await self._database.query(
            lambda session: session.exec(select(Domain.id).where(Domain.name == domain)).first()
        )
        return found is not None

    async def find_mailbox(self, address: Address) -> LocalMailbox | None:
        """The mailbox behind an address or alias, in any state; None when there is none."""
        key = address.key
        today = local_date(self._clock())
        found = await self._database.query(lambda session: _mailboxes(session, [key], today))
        return found.get(key)

    async def envelope_facts(
        self, envelope: Envelope, authentication: facts.Authentication
    ) -> facts.Envelope:
        """What session and directory say about a message, for the rules."""
        today = local_date(self._clock())
        login = await self.account(envelope.login.key) if envelope.login else None
        sender = envelope.mail_from.key if envelope.mail_from else ""
        keys = [recipient.address.key for recipient in envelope.recipients]
        domains = {key.rpartition("@")[2] for key in (*keys, sender) if key}
        mailboxes, ours = await self._database.query(
            lambda session: (
                _mailboxes(session, [*keys, sender], today),
                _local_among(session, domains),
            )
        )
        free = frozenset(domain for domain in domains if is_freemail(domain))
        sending = login or mailboxes.get(sender)
        return facts.Envelope(
            direction=envelope.direction,
            mail_from=sender,
            recipients=tuple(
                _recipient_facts(key, mailboxes.get(key), ours, free, self._suffixes)
                for key in keys
            ),
            login=login.address if login else "",
            may_send_as=login.may_send_as if login else (),
            sender_local=sender.rpartition("@")[2] in ours,
            agency=sending.agency_code if sending else "",
            local_domains=tuple(sorted(ours)),
            official_suffixes=self._suffixes,
            freemail_domains=tuple(sorted(free)),
            authentication=authentication,
            client_ip=envelope.client.ip,
            helo=envelope.client.helo,
            max_content_bytes=self._limits.content_bytes,
        )

    def close(self) -> None:
        """End the threads that check passwords."""
        self._checks.close()


def _key(address: str) -> str:
    """The form in which addresses are kept; empty when it is not an address."""
    try:
        return Address.parse(address).key
    except InputError:
        return ""


def _login(session: Session, key: str, noted_since: datetime) -> _Login | None:
    row = session.exec(
        select(Mailbox, Credential)
        .join(
            Credential,
            (col(Credential.mailbox_id) == col(Mailbox.id))
            & (col(Credential.kind) == "password")
            & col(Credential.revoked_at).is_(None),
            isouter=True,
        )
        .where(Mailbox.address == key)
        .order_by(col(Credential.id).desc())
    ).first()
    if row is None:
        return None
    mailbox, credential = row
    assert mailbox.id is not None
    if credential is None:
        return _Login(mailbox.id, mailbox.state, None, None, use_noted=True)
    noted = (
        mailbox.activated_at is not None
        and credential.last_used_at is not None
        and credential.last_used_at > noted_since
    )
    return _Login(mailbox.id, mailbox.state, credential.id, credential.hash, use_noted=noted)


def read_account(session: Session, key: str, today: date) -> Account | None:
    """The account of a mailbox's own address; None when there is none."""
    row = session.exec(
        select(Mailbox, Agency)
        .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
        .where(Mailbox.address == key)
    ).first()
    if row is None:
        return None
    mailbox, agency = row
    assert mailbox.id is not None
    return Account(
        mailbox_id=mailbox.id,
        address=mailbox.address,
        display_name=mailbox.display_name,
        kind=mailbox.kind,
        agency_code=agency.code,
        agency_name=agency.name_vi,
        state=mailbox.state,
        may_send_as=(
            mailbox.address,
            *_aliases(session, mailbox.id, today),
            *_delegated(session, mailbox.id, today),
        ),
        roles=_roles(session, mailbox.id, today),
    )


def _aliases(session: Session, mailbox_id: int, today: date) -> Iterable[str]:
    return session.exec(
        select(Alias.address)
        .where(Alias.mailbox_id == mailbox_id, _in_force(Alias.valid_until, today))
        .order_by(Alias.address)
    ).all()


def _delegated(session: Session, holder_id: int, today: date) -> Iterable[str]:
    return session.exec(
        select(Mailbox.address)
        .join(Delegation, col(Delegation.mailbox_id) == col(Mailbox.id))
        .where(
            Delegation.holder_id == holder_id,
            Delegation.rights == "send-as",
            Mailbox.state == "active",
            _in_force(Delegation.until, today),
        )
        .order_by(Mailbox.address)
    ).all()


def _roles(session: Session, mailbox_id: int, today: date) -> tuple[Role, ...]:
    rows = session.exec(
        select(RoleGrant.role, Agency.code)
        .join(Agency, col(RoleGrant.agency_id) == col(Agency.id), isouter=True)
        .where(RoleGrant.mailbox_id == mailbox_id, _in_force(RoleGrant.until, today))
        .order_by(col(RoleGrant.id))
    )
    return tuple(Role(role, code or "") for role, code in rows)


def _in_force(until: date | None, today: date) -> ColumnElement[bool]:
    """SQL: the last day, if there is one, has not passed."""
    column = col(until)
    return or_(column.is_(None), column >= today)


def _mailboxes(session: Session, keys: Iterable[str], today: date) -> dict[str, LocalMailbox]:
    """Our mailboxes among these addresses and aliases: two look-ups by unique index."""
    wanted = {key for key in keys if key}
    mailbox_of = select(Mailbox, Agency.code).join(Agency, col(Mailbox.agency_id) == col(Agency.id))
    found = {
        mailbox.address: _local(mailbox, code)
        for mailbox, code in session.exec(mailbox_of.where(col(Mailbox.address).in_(wanted)))
    }
    if rest := wanted - found.keys():
        aliases = session.exec(
            select(Alias.address, Mailbox, Agency.code)
            .join(Mailbox, col(Alias.mailbox_id) == col(Mailbox.id))
            .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
            .where(col(Alias.address).in_(rest), _in_force(Alias.valid_until, today))
        )
        found |= {alias: _local(mailbox, code) for alias, mailbox, code in aliases}
    return found


def _local(mailbox: Mailbox, agency_code: str) -> LocalMailbox:
    assert mailbox.id is not None
    return LocalMailbox(
        mailbox_id=mailbox.id,
        address=mailbox.address,
        kind=mailbox.kind,
        agency_code=agency_code,
        state=mailbox.state,
        interagency_only=mailbox.interagency_only,
        quota_mb=mailbox.quota_mb,
    )


def _local_among(session: Session, domains: set[str]) -> frozenset[str]:
    return frozenset(session.exec(select(Domain.name).where(col(Domain.name).in_(domains))))


def _recipient_facts(
    key: str,
    mailbox: LocalMailbox | None,
    ours: frozenset[str],
    free: frozenset[str],
    suffixes: tuple[str, ...],
) -> facts.RecipientFacts:
    domain = key.rpartition("@")[2]
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
    )
