"""What can be set, section by section: purpose, unit and default stand beside each field."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from mailgov.working_time import WorkingTime

KiB, MiB = 1 << 10, 1 << 20


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected `host:port`, such as `127.0.0.1:2525` or `[::1]:2525`")
    return text


def _listen_or_none(text: str) -> str:
    return _listen(text) if text else ""


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if text and not (parts.hostname and (parts.scheme == "https" or here)):
        raise ValueError("expected `https://…`")
    return text


def _socket_address(text: str) -> str:
    return text if not text or text.startswith("/") else _listen(text)


Listen = Annotated[str, AfterValidator(_listen)]


def _working_hours(texts: list[str]) -> list[str]:
    WorkingTime.parse(texts)
    return texts


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


Paths = Annotated[list[Path], BeforeValidator(_one_or_more)]


def _account(text: str) -> str:
    account, sign, address = text.partition("=")
    if not (account and sign and address.count("@") == 1):
        raise ValueError("expected `account=address of a mailbox`")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Site(_Section):
    """Who we are."""

    hostname: str = Field(
        "mail.vidu.gov.vn", description="name of this server in HELO, Received and Message-ID"
    )
    organisation: str = Field("", description="name of the operator, shown in pages and notices")
    language: Literal["vi", "en"] = Field("vi", description="first language of pages and notices")
    official_suffixes: list[str] = Field(
        ["gov.vn", "chinhphu.vn"], description="domains below which addresses are official"
    )
    help_url: str = Field(
        "", description="where refusals point to for help; empty: the webmail's own address"
    )
    contact: str = Field("", description="telephone or address of the help desk, shown in notices")
    working_hours: Annotated[list[str], AfterValidator(_working_hours)] = Field(
        ["07:30-11:30", "13:00-17:00"],
        description="hours of a working day in Vietnam; deadlines count nothing else",
    )


class Data(_Section):
    """Where state lives."""

    path: Path = Field(
        Path("data"), description="folder of database, spool, keys and mailboxes; a local disk"
    )


class DatabaseSettings(_Section):
    """Directory, queue and ledger."""

    url: str = Field(
        "",
        description="SQLAlchemy address of a PostgreSQL database (postgresql+psycopg://…); empty: SQLite in the data folder",
    )
    readers: int = Field(8, ge=1, le=64, description="connections for reading")
    writers: int = Field(
        4, ge=1, le=64, description="connections for writing on PostgreSQL; SQLite has one"
    )
    batch: int = Field(64, ge=1, le=1000, description="writes that share one commit, at most")
    batch_wait_ms: float = Field(
        2.0, ge=0, le=10, description="milliseconds to wait for others to share a commit"
    )


class Relay(_Section):
    """SMTP listeners."""

    mx: Listen = Field("0.0.0.0:25", description="listener for mail from other servers")
    submission: Listen = Field("0.0.0.0:587", description="listener for users, STARTTLS")
    submissions: Listen = Field(
        "0.0.0.0:465", description="listener for users, TLS from the first byte"
    )
    certificate: Path | None = Field(
        None, description="PEM chain; default: `tls/cert.pem` in the data folder"
    )
    private_key: Path | None = Field(
        None,
        description="PEM key, readable by the service only; default: `tls/key.pem` in the data folder",
    )
    trusted_networks: list[IPv4Network | IPv6Network] = Field(
        [], description="networks whose hosts may relay without signing in"
    )
    load_balancers: list[IPv4Network | IPv6Network] = Field(
        [],
        description="networks whose connections begin with the PROXY protocol, version 2, and no others",
    )
    repair_line_ends: bool = Field(
        True, description="mend stray CR and LF from hosts of trusted_networks; false: refuse them"
    )
    postmaster: str = Field(
        "",
        description="mailbox that takes mail to postmaster where there is none of that name; empty: none",
    )
    scram: bool = Field(
        False,
        description="offer SCRAM-SHA-256, which takes app passwords only: clients that choose it can't use another",
    )
    client_authorities: Paths = Field(
        [],
        description="PEM files of authorities whose certificates open mailboxes for sending (EXTERNAL); empty: none asked for",
    )
    greeting: str = Field("", description="text after the host name in the banner")


class Screening(_Section):
    """What strangers on the mx port must pass before their mail is looked at. All off by default."""

    greet_pause_seconds: float = Field(
        0,
        ge=0,
        le=60,
        description="wait before the banner; who talks meanwhile is refused; 0: none",
    )
    dnsbl: list[str] = Field(
        [], description="zones that list addresses of spammers; whom one lists is refused"
    )
    greylist: bool = Field(
        False, description="ask unknown senders to come back: mail servers do, many spammers do not"
    )
    greylist_minutes: float = Field(5, gt=0, description="wait before coming back counts")
    greylist_hours: float = Field(48, gt=0, description="wait after which it counts as new")
    greylist_days: float = Field(
        35,
        gt=0,
        description="days for which senders and networks are remembered after their last mail",
    )
    greylist_passes: int = Field(
        5, ge=1, description="senders of a network that came back, after which all of it may pass"
    )


class Limits(_Section):
    """What a peer or a message may cost us. Sizes in bytes, times in seconds."""

    message_bytes: int = Field(35 * MiB, ge=64 * KiB, description="message on the wire")
    content_bytes: int = Field(
        25 * MiB, ge=64 * KiB, description="message that the policy lets pass (rule message-size)"
    )
    drop_after_bytes: int = Field(
        64 * KiB, ge=0, description="bytes beyond message_bytes before the connection is dropped"
    )
    line_bytes: int = Field(64 * KiB, ge=998, description="one line of a message")
    header_bytes: int = Field(256 * KiB, ge=KiB, description="header block of a message")
    header_fields: int = Field(1000, ge=10, description="header fields of a message")
    field_bytes: int = Field(64 * KiB, ge=KiB, description="one header field of a message")
    mime_parts: int = Field(1000, ge=1, description="parts of a message")
    mime_depth: int = Field(30, ge=1, description="depth of parts within parts")
    received_hops: int = Field(100, ge=10, description="Received fields before a loop is assumed")
    recipients_official: int = Field(100, ge=1, description="recipients of one submitted message")
    recipients_inbound: int = Field(
        1000, ge=100, description="recipients of one message from outside"
    )
    group_recipients: int = Field(
        5000, ge=1, description="mailboxes that a group may lead to, groups in it included"
    )
    group_moderated_above: int = Field(
        100,
        ge=0,
        description="a group that leads to more mailboxes is moderated, whatever its mode is",
    )
    recipients_per_hour: int = Field(
        500, ge=1, description="recipients a user may address in an hour"
    )
    recipients_per_day: int = Field(
        2000, ge=1, description="recipients a user may address in a day"
    )
    messages_per_day: int = Field(1000, ge=1, description="messages a user may submit in a day")
    connections: int = Field(2000, ge=10, description="open sessions of the process")
    connections_per_address: int = Field(30, ge=1, description="open sessions of one address")
    connections_per_network: int = Field(90, ge=1, description="open sessions of one /24 or /56")
    connections_per_user: int = Field(20, ge=1, description="open sessions of one user")
    new_connections_per_minute: int = Field(
        300, ge=1, description="new sessions of one address in a minute"
    )
    new_connections_per_minute_network: int = Field(
        900, ge=1, description="new sessions of one /24 or /56 in a minute"
    )
    idle_seconds: float = Field(300, ge=1, description="wait for the next command")
    handshake_seconds: float = Field(30, ge=1, description="time to shake hands for TLS")
    reserved_share: float = Field(
        0.1,
        ge=0,
        le=0.9,
        description="share of `connections` kept for hosts that have brought mail or signed in",
    )
    stressed_share: float = Field(
        0.8, ge=0.1, le=1, description="share of `connections` from which patience is short"
    )
    stressed_idle_seconds: float = Field(
        10,
        ge=1,
        description="wait for the next command while patience is short; then one error ends it",
    )
    memory_bytes: int = Field(
        2048 * MiB,
        ge=256 * MiB,
        description="memory of the process; beyond 80 % no new sessions, beyond 90 % no new mail",
    )
    login_seconds: float = Field(60, ge=1, description="time to sign in on a submission port")
    data_block_seconds: float = Field(180, ge=1, description="wait for the next block of a message")
    data_bytes_per_second: float = Field(
        500, ge=0, description="rate over a minute below which a message is cut off"
    )
    session_seconds: float = Field(3600, ge=60, description="life of a session")
    decision_seconds: float = Field(
        120, ge=5, description="time to judge and store after the final dot"
    )
    errors: int = Field(20, ge=1, description="refused commands in a session")
    junk_commands: int = Field(100, ge=1, description="NOOP, RSET, VRFY, EHLO in a session")
    unknown_recipients: int = Field(10, ge=1, description="unknown recipients in a session")
    failed_logins: int = Field(3, ge=1, description="wrong passwords in a session")
    failed_logins_per_minute: int = Field(
        10, ge=1, description="wrong passwords for one account from one network in a minute"
    )
    failed_logins_per_day: int = Field(
        50, ge=1, description="wrong passwords for one account from one network in a day"
    )
    failed_logins_per_minute_network: int = Field(
        90, ge=1, description="wrong passwords from one network in a minute"
    )
    failed_logins_of_account: int = Field(
        50,
        ge=1,
        description="wrong passwords for one account in a day from networks its owner does not use; then only known networks, known browsers and app passwords open it",
    )
    password_checks: int = Field(4, ge=1, description="password hashes computed at once")
    password_checks_waiting: int = Field(64, ge=1, description="password checks waiting")
    free_bytes: int = Field(
        256 * MiB, ge=0, description="free space on the data disk below which new mail is deferred"
    )
    free_share: float = Field(
        0.05, ge=0, le=0.5, description="the same as a share of the disk; the larger counts"
    )
    free_inodes_share: float = Field(
        0.1, ge=0, le=0.5, description="share of free inodes below which new mail is deferred"
    )
    queue_recipients: int = Field(
        2_000_000, ge=1000, description="recipients in the queue from which new mail is deferred"
    )


class Readers(_Section):
    """Sandboxed processes that open what strangers send."""

    processes: int = Field(0, ge=0, le=64, description="worker processes; 0: one for each core")
    cpu_seconds: float = Field(10, gt=0, description="processor time for one message")
    wall_seconds: float = Field(20, gt=0, description="time for one message")
    memory_bytes: int = Field(
        512 * MiB, ge=128 * MiB, description="address space beyond that of an idle worker"
    )
    cache_messages: int = Field(
        2000, ge=0, description="facts kept by content, so that one annex is read once"
    )


class Scanner(_Section):
    """The malware scanner: ClamAV's clamd. Its StreamMaxLength should be at least max_bytes."""

    clamd: Annotated[str, AfterValidator(_socket_address)] = Field(
        "", description="socket of clamd, `/run/clamav/clamd.ctl` or `host:port`; empty: no scanner"
    )
    seconds: float = Field(60, gt=0, description="time to scan one message; then it is deferred")
    max_bytes: int = Field(
        35 * MiB, ge=64 * KiB, description="larger messages count as not scanned, and are held"
    )
    concurrency: int = Field(10, ge=1, le=1000, description="messages scanned at once")
    when_down: Literal["defer", "hold"] = Field(
        "defer",
        description="what becomes of mail while clamd does not answer: the sender tries again, or it is held for approval",
    )
    signatures_days: float = Field(
        7,
        gt=0,
        description="days after which clamd's signatures are stale, and the operator is told",
    )


class Policy(_Section):
    """The rules in force."""

    ruleset: Path | None = Field(None, description="TOML file over the default pack")
    rulesets: Path | None = Field(
        None, description="folder of agencies' own files over it, named by code: H99.02.toml"
    )
    authserv_id: str = Field(
        "", description="our name in Authentication-Results; empty: site.hostname"
    )
    verify_inbound: bool = Field(True, description="check SPF, DKIM, DMARC and ARC of inbound mail")
    trust_roots: Paths = Field(
        [],
        description="a folder, or a list of PEM files: the only authorities that may vouch for signatures",
    )
    hold_role: Literal["security-officer", "it"] = Field(
        "security-officer", description="role that decides on held mail; where nobody has it: it"
    )
    hold_hours: float = Field(
        8,
        gt=0,
        description="working hours to decide on held mail before it passes to the agency above",
    )


class Authentication(_Section):
    """Checks on mail from outside, and the reports that domains exchange about them."""

    exempt_networks: list[IPv4Network | IPv6Network] = Field(
        [], description="networks of gateways in front of us, whose mail is not checked again"
    )
    spf_seconds: float = Field(15, gt=0, description="all look-ups of one SPF check (RFC 7208)")
    dmarc_override: list[str] = Field(
        [], description="domains in From whose DMARC policy is not applied, only recorded"
    )
    trusted_sealers: list[str] = Field(
        [], description="domains of forwarders whose word is taken (ARC) when DMARC fails"
    )
    send_reports: bool = Field(
        True, description="send the daily DMARC and TLS reports that other domains ask for"
    )
    report_sender: str = Field(
        "",
        description="address that reports come from, in a domain of ours; empty: report_mailbox of the first domain with a key",
    )
    report_mailbox: str = Field(
        "postmaster",
        description="local part, in each domain of ours, where others' reports arrive and are read",
    )
    results_days: int = Field(
        35, ge=3, description="days for which single results are kept after their report"
    )


class Signing(_Section):
    """Signatures on outgoing mail (DKIM)."""

    secret_file: Path | None = Field(
        None,
        description="file outside the data folder that encrypts the private keys; empty: systemd's credential mailgov-signing, if any",
    )
    socket: Path | None = Field(
        None,
        description="socket of `mailgov dkim serve`, which then alone holds the keys; empty: no process of its own",
    )
    rotate_days: int = Field(
        365, ge=0, description="age at which a key is replaced; 0: only when told to"
    )
    publish_days: float = Field(
        2,
        ge=0,
        description="days between making a key and its use, so that DNS shows it everywhere",
    )
    withdraw_days: float = Field(
        30, ge=1, description="days for which the record of a retired key stays published"
    )


class Delivery(_Section):
    """Handing messages on."""

    smarthost: str = Field(
        "", description="`host:port` that takes all outgoing mail; empty: MX of each domain"
    )
    smarthost_tls: Literal["none", "opportunistic", "required", "implicit"] = Field(
        "opportunistic",
        description="towards the smarthost; `implicit`: required, from the first byte (port 465)",
    )
    smarthost_user: str = Field("", description="name to sign in with at the smarthost")
    smarthost_password_file: Path | None = Field(
        None, description="file with the password for it, readable by the service only"
    )
    concurrency: int = Field(200, ge=1, description="messages under way at once")
    per_destination: int = Field(
        20, ge=1, description="messages under way to one destination at once, when all goes well"
    )
    per_destination_start: int = Field(
        5, ge=1, description="the same for a destination of which nothing is known yet"
    )
    probe_seconds: float = Field(
        300, ge=1, description="a destination that seems dead is tried again after this time"
    )
    own_addresses: list[IPv4Address | IPv6Address] = Field(
        [], description="addresses that lead to us from outside; mail is never sent to them"
    )
    enforced_tls: list[str] = Field(
        [],
        description="domains at and below which mail goes out only to servers with a valid certificate",
    )
    mta_sts: bool = Field(True, description="obey the TLS policies that domains publish (MTA-STS)")
    dane: bool = Field(
        True,
        description="obey TLSA records; needs a validating resolver on this machine in `dns.nameservers`",
    )
    tls_authorities: Paths = Field(
        [],
        description="PEM files of authorities that may vouch for servers, besides those of the system",
    )
    lease_seconds: float = Field(
        900, ge=30, description="time after which a claimed recipient is free again"
    )
    attempt_seconds: float = Field(600, ge=10, description="time for one attempt")
    retry_minutes: list[float] = Field(
        [5, 10, 20, 40, 80, 120],
        min_length=1,
        description="waits between attempts; the last repeats, each varies by a fifth",
    )
    delay_notice_hours: float = Field(
        4, gt=0, description="age at which the sender hears of a delay"
    )
    give_up_hours: float = Field(
        120, gt=0, description="age at which the sender gets the message back"
    )
    allow_loopback: bool = Field(
        False, description="deliver to addresses of this machine; for tests and demonstrations"
    )


class Dns(_Section):
    """Resolver."""

    nameservers: list[str] = Field(
        [], description="addresses, optionally `address:port`; empty: those of the system"
    )
    timeout_seconds: float = Field(5, gt=0, description="one look-up, all retries included")


class Mailstore(_Section):
    """Where mailboxes are kept and how they are read."""

    engine: Literal["auto", "dovecot", "embedded"] = Field(
        "auto", description="`auto` takes Dovecot where it is installed"
    )
    imap: Listen = Field("127.0.0.1:1143", description="IMAP listener; TLS unless on loopback")
    dovecot_binary: str = Field("dovecot", description="name or path of the Dovecot program")
    lmtp: Annotated[str, AfterValidator(_socket_address)] = Field(
        "",
        description="deliver to this LMTP server, `/run/dovecot/lmtp` or `host:port`; empty: into the files",
    )
    full_mailbox: Literal["temporary", "permanent"] = Field(
        "temporary",
        description="mail to a full mailbox: `temporary` is tried again (4.2.2), `permanent` goes back (5.2.2)",
    )
    filters: bool = Field(
        False,
        description="people's own filters (Sieve), set over ManageSieve; needs engine `dovecot` with its packages sieve, managesieve and lmtpd",
    )
    managesieve: Listen = Field("127.0.0.1:4190", description="ManageSieve listener, for filters")
    full_text: bool = Field(
        False,
        description="words of messages are indexed for search where dovecot-fts-xapian is installed; finds parts of words from three letters on",
    )

    backends: list[Listen] = Field(
        [],
        description="where proxies find mailboxes, `name:993`; the first has all that are not placed elsewhere",
    )
    backend_authorities: Path = Field(
        Path("/etc/ssl/certs/ca-certificates.crt"),
        description="PEM file of the authorities that may vouch for backends to proxies",
    )
    proxies: list[str] = Field(
        [], description="networks of our proxies, whose word on a client's address Dovecot believes"
    )

    @model_validator(mode="after")
    def _filters_need_dovecot(self) -> Self:
        if self.filters and self.engine != "dovecot":
            raise ValueError("filters = true needs engine = `dovecot`")
        return self


class Web(_Section):
    """Webmail and reports."""

    listen: Listen = Field(
        "127.0.0.1:8080", description="HTTP listener, behind a TLS proxy or on loopback"
    )
    url: str = Field(
        "",
        description="address users type, such as https://mail.vidu.gov.vn; empty: that of the listener",
    )
    allowed_hosts: list[str] = Field(
        [], description="names accepted in Host besides that of `url`; empty adds loopback"
    )
    idle_minutes: float = Field(15, gt=0, description="minutes without use before signing in again")
    admin_idle_minutes: float = Field(
        5, gt=0, description="the same for those who administer agencies or security"
    )
    absolute_hours: float = Field(
        12, gt=0, description="hours after which signing in again is needed"
    )
    upload_bytes: int = Field(40 * MiB, ge=MiB, description="one upload")
    undo_seconds: int = Field(
        10, ge=0, le=120, description="time in which a sent letter can be called back; 0: none"
    )


class AddressBook(_Section):
    """The address book for phones and mail programs (CardDAV), on the listener of the webmail."""

    enabled: bool = Field(True, description="serve it at /dav/, to be read only")
    levels_up: int = Field(
        0,
        ge=0,
        le=10,
        description="levels of the tree above one's own agency at which one's book begins; 0: one's agency and what is below it",
    )
    phones: bool = Field(False, description="show telephone numbers of people")


class Clients(_Section):
    """What mail programs are told: autoconfig, autodiscover, Apple profiles, the page /setup."""

    imap_host: str = Field("", description="name of the IMAP server; empty: that of the site")
    imap_port: int = Field(993, ge=1, le=65535, description="its port, TLS from the first byte")
    smtp_host: str = Field("", description="name of the sending server; empty: that of the site")
    smtp_port: int = Field(465, ge=1, le=65535, description="its port, TLS from the first byte")


class BackupSettings(_Section):
    """Backups of database, queue, keys and mailboxes, made by restic."""

    repository: str = Field(
        "",
        description="folder on another disk, or an address of restic's: sftp:, rest:, s3:; empty: no backups",
    )
    password_file: Path | None = Field(
        None,
        description="file with the password that encrypts them; keep a copy of it elsewhere",
    )
    program: str = Field("restic", description="name or path of restic")
    keep_daily: int = Field(7, ge=1, description="days of which the last backup is kept")
    keep_weekly: int = Field(5, ge=0, description="weeks of which the last backup is kept")
    keep_monthly: int = Field(12, ge=0, description="months of which the last backup is kept")


class SignIn(_Section):
    """How people and their programs sign in."""

    programs: Literal["password", "until-second-factor", "app-password"] = Field(
        "until-second-factor",
        description="what opens SMTP and IMAP besides app passwords: the person's password always, until a second factor is on, or never",
    )
    second_factor_roles: list[
        Literal["operator", "it", "auditor", "security-officer", "key-officer"]
    ] = Field(
        ["operator", "it", "security-officer", "key-officer"],
        description="roles whose holders must have a second factor in the webmail before anything else",
    )
    app_passwords: int = Field(20, ge=1, le=100, description="app passwords of one mailbox")
    known_days: int = Field(
        60, ge=1, description="days for which a network or browser stays known as its owner's"
    )


class Lifecycle(_Section):
    """How long passwords, unused accounts and the mailboxes of leavers last."""

    password_months: int = Field(
        3,
        ge=1,
        description="age of a password at which its holder must change it; with a second factor there is none",
    )
    admin_password_months: int = Field(
        2, ge=1, description="the same for whoever holds a role, with a second factor too"
    )
    password_history: int = Field(3, ge=1, description="last passwords that may not be used again")
    admin_password_history: int = Field(10, ge=1, description="the same for whoever holds a role")
    breached_passwords: Path | None = Field(
        None,
        description="file of passwords known to be breached, one a line; beside a list of our own",
    )
    unused_days: int = Field(
        45,
        ge=7,
        description="days without a sign-in after which an account is locked; mail still arrives",
    )
    warning_days: int = Field(
        7,
        ge=1,
        description="days before a lock or a forced change of password when the holder is told",
    )
    activation_days: int = Field(
        7, ge=1, le=90, description="days for which an activation link is good"
    )
    grace_months: int = Field(
        6,
        ge=0,
        description="months for which the mailbox of a leaver stays before it is only kept; an agency may say otherwise",
    )
    leader_grace_months: int = Field(12, ge=0, description="the same for leaders")
    retention_months: int = Field(
        12,
        ge=0,
        description="months for which mail is kept after that, before it may be removed; an agency may say otherwise",
    )
    quota_warnings: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        [80, 95], description="percent of the quota at which the holder is told, once each"
    )
    review_months: int = Field(
        12, ge=1, description="months after which an agency's accounts are to be gone through again"
    )


class Roles(_Section):
    """Who acts on the command line, and what needs two persons."""

    accounts: list[Annotated[str, AfterValidator(_account)]] = Field(
        [],
        description="accounts of this machine besides root and the owner of the data, each with the mailbox whose roles it acts with, such as `lan=lanpt@vidu.gov.vn`",
    )
    approval_days: int = Field(
        7, ge=1, le=90, description="days after which a request for a second person's yes lapses"
    )
    bulk_release: int = Field(
        20,
        ge=1,
        description="messages that one person may release at once; more need a second one's yes",
    )


class Oidc(_Section):
    """An identity provider (OpenID Connect) by which holders of mailboxes may sign in to the webmail."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        "", description="its address, as it names itself; empty: none"
    )
    client_id: str = Field("", description="what it calls us")
    client_secret_file: Path | None = Field(
        None, description="file with the secret it gave us; empty: none is needed"
    )
    name: str = Field("", description="what people call it, such as `VNeID`")
    match: Literal["email", "staff-number"] = Field(
        "email", description="how its people are found: by a verified address, or the staff number"
    )
    staff_claim: str = Field("employee_number", description="claim with the staff number")
    second_factor: list[str] = Field(
        ["mfa"], description="values of amr or acr that stand for a second factor"
    )


class Milter(_Section):
    """The policy engine for a Postfix or Sendmail that keeps its own mail: `mailgov serve milter`."""

    listen: Annotated[str, AfterValidator(_socket_address)] = Field(
        "127.0.0.1:8891", description="where mail servers ask: `host:port`, or the path of a socket"
    )
    servers: list[IPv4Network | IPv6Network] = Field(
        [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")],
        description="networks whose mail servers may ask; they are believed who signed in to them",
    )
    held: Literal["quarantine", "defer", "reject"] = Field(
        "quarantine",
        description="what the mail server does with mail that the policy holds: keep it in its own hold queue, answer 451, or refuse",
    )
    login_domain: str = Field(
        "",
        description="domain of login names and local addresses without one; empty: site.hostname",
    )
    connections: int = Field(500, ge=1, description="connections of mail servers at once")
    idle_seconds: float = Field(
        1800, ge=10, description="wait for the next command of a mail server"
    )


class Api(_Section):
    """Administration interface for programs and for `mailgov --server`, and SCIM for personnel systems."""

    listen: Annotated[str, AfterValidator(_listen_or_none)] = Field(
        "", description="HTTP listener, TLS unless on loopback; empty: none"
    )
    certificate: Path | None = Field(
        None, description="PEM file with the certificate chain; empty: that of the relay"
    )
    private_key: Path | None = Field(
        None, description="PEM file with the private key; empty: that of the relay"
    )
    token_days: int = Field(366, ge=1, description="days that a token may be in force at most")
    calls_per_minute: int = Field(240, ge=1, description="calls of one token")
    commands: int = Field(4, ge=1, le=64, description="commands that run at once; others wait")
    commands_waiting: int = Field(32, ge=1, description="commands that wait at most")
    command_minutes: float = Field(240, gt=0, description="minutes that one command may take")
    body_bytes: int = Field(MiB, ge=KiB, description="one call without files")
    upload_bytes: int = Field(40 * MiB, ge=MiB, description="the files of one call")
    keep_hours: float = Field(
        24, gt=0, description="hours for which results can be fetched, and repeated calls are known"
    )


class Metrics(_Section):
    """Prometheus."""

    listen: Listen = Field("127.0.0.1:9464", description="HTTP listener of /metrics")


class Log(_Section):
    """What the operator reads; never content, never secrets."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is written"
    )
    format: Literal["console", "json"] = Field(
        "console", description="lines for people or for programs"
    )
