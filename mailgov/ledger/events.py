"""Every kind of event, typed. Reports count these; nothing else is a source of numbers.

An event says who, what, when and where, never what was written: no subject, no body, no file name.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all kinds share. `agency_code` is the unit whose figures it belongs to."""

    kind: ClassVar[str]

    at: datetime
    message_id: str = ""  # queue id
    mailbox: str = ""  # Address.key
    agency_code: str = ""
    actor: str = ""

    def data(self) -> dict[str, Any]:
        """The fields of this kind alone, ready for JSON."""
        # Nothing is copied: a merger writes a hundred thousand events, and all hold plain values.
        return {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in _COMMON
        }


_COMMON = frozenset({"at", "message_id", "mailbox", "agency_code", "actor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted(Event):
    """A message was taken: 250. `mailbox` is the sender's, if ours."""

    kind: ClassVar[str] = "message.accepted"

    direction: str
    action: str  # pass, tag, warn, hold, quarantine
    codes: list[str] = field(default_factory=list)  # of the findings that decided
    category: str = ""  # e-mail category of the document; empty: ordinary correspondence
    document_type: str = ""
    number: str = ""
    symbol: str = ""
    urgency: str = ""
    recipients: int = 1
    size_bytes: int = 0
    channel: str = "smtp"  # smtp, web; notice for those we write ourselves
    reason: str = ""  # what the writer gave for sending in spite of a warning
    authentication: dict[str, str] = field(default_factory=dict)  # inbound: spf, dkim, dmarc, arc


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused(Event):
    """A message was refused by the policy: 5xx, or 4xx when it could not be judged."""

    kind: ClassVar[str] = "message.refused"

    direction: str
    code: str
    codes: list[str] = field(default_factory=list)  # of the findings that decided
    category: str = ""
    document_type: str = ""
    channel: str = "smtp"
    header_message_id: str = ""
    mail_from: str = ""
    recipients: list[str] = field(default_factory=list)
    deferred: bool = False
    marks: list[str] = field(default_factory=list)  # of a secret; then the event says no more
    content_mac: str = ""  # of a secret: HMAC-SHA-256 of its SHA-256, hexadecimal
    authentication: dict[str, str] = field(default_factory=dict)  # inbound: spf, dkim, dmarc, arc


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAdvised(Event):
    """Another mail server, which keeps the message itself, was told to take or to hold it."""

    kind: ClassVar[str] = "message.advised"

    direction: str
    action: str  # pass, tag, warn, hold, quarantine
    codes: list[str] = field(default_factory=list)  # of the findings that decided
    category: str = ""
    document_type: str = ""
    header_message_id: str = ""
    mail_from: str = ""
    recipients: list[str] = field(default_factory=list)
    size_bytes: int = 0
    channel: str = "milter"
    elsewhere: str = ""  # its own queue id there


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChecked(Event):
    """The live check told a writer of findings before sending."""

    kind: ClassVar[str] = "message.checked"

    draft: str
    codes: list[str] = field(default_factory=list)  # of the findings that decided


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientDelivered(Event):
    """One recipient has the message: in the mailbox, or taken by the next server."""

    kind: ClassVar[str] = "recipient.delivered"

    recipient: str
    local: bool
    reply: str = ""
    seconds: float = 0.0  # since acceptance
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientDeferred(Event):
    """An attempt failed for now."""

    kind: ClassVar[str] = "recipient.deferred"

    recipient: str
    reply: str
    attempt: int
    next_attempt_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientBounced(Event):
    """No further attempt; the sender was told, or there was nobody to tell."""

    kind: ClassVar[str] = "recipient.bounced"

    recipient: str
    reply: str
    attempt: int
    notice: str = ""  # queue id of the notice


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRetried(Event):
    """An administrator made the next attempt due at once."""

    kind: ClassVar[str] = "recipient.retried"

    recipient: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientHeld(Event):
    """An administrator kept the recipient back."""

    kind: ClassVar[str] = "recipient.held"

    recipient: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientReleased(Event):
    """An administrator let a held recipient go."""

    kind: ClassVar[str] = "recipient.released"

    recipient: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRemoved(Event):
    """An administrator took the recipient out of the queue."""

    kind: ClassVar[str] = "recipient.removed"

    recipient: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTold(Event):
    """Somebody was told of a held message or of a refused secret. `mailbox` is theirs."""

    kind: ClassVar[str] = "held.told"

    letter: str  # held, keeper, secret, asked, released, removed, wrong
    notice: str = ""  # queue id of the letter


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAssigned(Event):
    """Somebody else decides on a held message from now on: at first, and whenever it passes up."""

    kind: ClassVar[str] = "held.assigned"

    role: str = ""  # empty: nobody holds one, anywhere above
    desk: str = ""  # agency of those who decide; empty with a role: the whole platform
    until: str = ""  # when it passes on
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReminded(Event):
    """Those who decide on held mail of an agency were told what waits."""

    kind: ClassVar[str] = "held.reminded"

    role: str = ""  # empty: nobody holds one, anywhere above
    messages: int = 0
    overdue: int = 0  # of these, past the first deadline
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRejudged(Event):
    """A held message was judged again by the ruleset in force now, before its release."""

    kind: ClassVar[str] = "message.rejudged"

    action: str
    codes: list[str] = field(default_factory=list)  # of the findings that decided
    ruleset: str = ""
    overruled: bool = False  # released although it would be refused now
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAsked(Event):
    """Somebody whose mail is held asked those who decide to release it."""

    kind: ClassVar[str] = "release.asked"

    recipients: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HitWrong(Event):
    """Somebody reports that a rule struck wrongly. `mailbox` is theirs; the keepers were told."""

    kind: ClassVar[str] = "hit.wrong"

    code: str
    codes: list[str] = field(default_factory=list)
    reason: str = ""
    face: str = ""  # where it was said: cli, compose, message, quarantine, help
    draft: str = ""  # of a finding before sending


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerStale(Event):
    """The malware scanner's signatures are too old, and those who run the platform were told."""

    kind: ClassVar[str] = "scanner.stale"

    made_at: str
    days: int
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCorrupt(Event):
    """The stored bytes are not those that were accepted: set aside, neither delivered nor bounced."""

    kind: ClassVar[str] = "message.corrupt"

    recipients: int = 0  # held from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePoison(Event):
    """Three processes died with the message under way: held until somebody has looked at it."""

    kind: ClassVar[str] = "message.poison"

    recipients: int = 0  # held from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOpened(Event):
    """The owner opened a message: an act of use."""

    kind: ClassVar[str] = "message.opened"

    channel: str = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxCopied(Event):
    """Mail was copied into a mailbox from another server."""

    kind: ClassVar[str] = "mailbox.copied"

    server: str
    user: str
    folders: int = 0
    messages: int = 0
    failed: int = 0
    size_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxExported(Event):
    """All mail of a mailbox was written into files outside of the platform."""

    kind: ClassVar[str] = "mailbox.exported"

    form: str  # mbox, maildir
    messages: int = 0
    size_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailUsed(Event):
    """What the owner did to messages with a mail program, or in lists of the webmail: an act of use.

    One event for a mailbox and some minutes of a day; `at` is the first moment.
    """

    kind: ClassVar[str] = "mail.used"

    channel: str = "imap"
    read: int = 0
    answered: int = 0
    filed: int = 0  # moved or copied to another folder
    removed: int = 0
    drafted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftWritten(Event):
    """The owner wrote a draft: an act of use."""

    kind: ClassVar[str] = "draft.written"

    channel: str = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn(Event):
    """Somebody signed in, or tried to."""

    kind: ClassVar[str] = "sign-in"

    channel: str  # web, smtp, imap
    success: bool
    ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInsHeld(Event):
    """Passwords were guessed too often; written once an hour for each account or network."""

    kind: ClassVar[str] = "sign-ins.held"

    channel: str
    bound: str  # place-minute, place-day, network-minute, account-day
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStep(Event):
    """A step of something that needs two persons."""

    kind: ClassVar[str] = "approval.step"

    approval: str  # its id
    step: str  # asked, approved, denied, withdrawn, used
    what: str  # key-export, bulk-release, open-names
    subject: dict[str, Any] = field(default_factory=dict)
    asked_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryChanged(Event):
    """An agency, domain, key, person or mailbox was added or changed."""

    kind: ClassVar[str] = "directory.changed"

    noun: str  # agency, domain, dkim, person, mailbox, alias, role
    verb: str  # add, edit, suspend, resume, remove
    target: str
    changes: dict[str, list[str]] = field(default_factory=dict)  # field: [old, new]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRemoved(Event):
    """The mail of a recalled mailbox was removed for good, or that has begun."""

    kind: ClassVar[str] = "mailbox.removed"

    receipt: str
    step: str  # begun, done
    files: int = 0
    size_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActPlanned(Event):
    """An act with a day was planned, cancelled, done, or could not be done."""

    kind: ClassVar[str] = "act.planned"

    act: int  # its number
    what: str  # kind of the act, such as mailbox.transfer
    step: str  # planned, cancelled, done, failed
    target: str  # address, or code of an agency
    on: str = ""  # its day
    code: str = ""  # of the error, when it could not be done
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationReloaded(Event):
    """A running server read its configuration again: taken over whole, or refused whole."""

    kind: ClassVar[str] = "configuration.reloaded"

    applied: bool
    code: str = ""  # of the error; the old configuration stays
    sections: list[str] = field(default_factory=list)  # that changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCalled(Event):
    """A program ran a command at the administration interface, or called SCIM; `actor` is its token."""

    kind: ClassVar[str] = "command.called"

    command: str  # such as `mailbox add`, `scim PATCH Users`
    outcome: str  # exit code, or status of HTTP
    run: str = ""
    ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun(Event):
    """Somebody ran a report or opened its rows."""

    kind: ClassVar[str] = "report.run"

    report: str
    period: str
    agency: str = ""
    rows: bool = False
    reason: str = ""


KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        MessageAccepted,
        MessageRefused,
        MessageAdvised,
        MessageChecked,
        RecipientDelivered,
        RecipientDeferred,
        RecipientBounced,
        RecipientRetried,
        RecipientHeld,
        RecipientReleased,
        RecipientRemoved,
        HeldTold,
        HeldAssigned,
        HeldReminded,
        MessageRejudged,
        ReleaseAsked,
        HitWrong,
        ScannerStale,
        MessageCorrupt,
        MessagePoison,
        MessageOpened,
        MailUsed,
        MailboxCopied,
        MailboxExported,
        DraftWritten,
        SignIn,
        SignInsHeld,
        DirectoryChanged,
        ActPlanned,
        MailboxRemoved,
        ConfigurationReloaded,
        CommandCalled,
        ReportRun,
    )
}

# What counts as an act of use of a mailbox by its owner (design of active-use, M02).
ACTS_OF_USE = (MessageAccepted.kind, MessageOpened.kind, MailUsed.kind, DraftWritten.kind)
