# ruff: noqa: S608 - statements that Dovecot asks; what is put into them is ours, and checked
"""Dovecot as a service of the system, on one machine or many: its files, from our configuration.

Who users are it asks the PostgreSQL that the platform shares. A proxy passes each session on to the
backend where the mailbox lies; the backend checks the password. https://doc.dovecot.org/2.3/
configuration_manual/authentication/proxies/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from mailgov.config import Config
from mailgov.errors import ConfigError
from mailgov.mailstore import language_2_3, master, sharing
from mailgov.mailstore.languages import LANGUAGES
from mailgov.mailstore.plan import Feature, Listener, Places, Plan, Questions, Version
from mailgov.mailstore.reach import is_loopback, split

FOLDER, RUN = Path("/etc/dovecot"), Path("/run/dovecot")
MANAGESIEVE_PORT = 4190  # RFC 5804, 1.8
_UNFIT_PATH = re.compile(r"[:\"'#%\\\s]")  # signs with a meaning in Dovecot's files or in SQL
BACKEND_LMTP_PORT = 24  # RFC 2033, 5, forbids 25


@dataclass(frozen=True, slots=True)
class Owner:
    """The user of the system whose the mail is, and his numbers."""

    name: str
    uid: int
    gid: int


def files(
    config: Config, version: Version, features: frozenset[Feature], owner: Owner, app_key: str,
    *, proxy: bool = False, folder: Path = FOLDER,
) -> Mapping[str, str]:  # fmt: skip
    """Names and contents of the files that belong into `folder`.

    Raises ConfigError `dovecot-needs-postgresql`, `dovecot-needs-backends`, `mailstore-path-not-valid`.
    """
    if proxy and not config.mailstore.backends:
        raise ConfigError("dovecot-needs-backends")
    if _UNFIT_PATH.search(str(config.data.path.absolute())):
        raise ConfigError("mailstore-path-not-valid", path=config.data.path)
    plan = _plan(config, version, features, owner, app_key, proxy=proxy, folder=folder)
    found = {"dovecot.conf": LANGUAGES[version](plan)}
    if version == "2.3" and plan.questions is not None:
        questions = plan.questions
        found["database.conf"] = language_2_3.database_file(plan, questions.password)
        found["database-webmail.conf"] = language_2_3.database_file(plan, questions.master)
        if app_key:
            found["database-apps.conf"] = language_2_3.database_file(plan, questions.app_password)
    if plan.filters and not proxy:
        found["first.sieve"] = sharing.FIRST_FILTER
    return found


def _plan(
    config: Config, version: Version, features: frozenset[Feature], owner: Owner, app_key: str,
    *, proxy: bool, folder: Path,
) -> Plan:  # fmt: skip
    settings = config.mailstore
    imap = split(settings.imap)
    dropped: set[Feature] = set() if settings.full_text else {"xapian"}
    if proxy:
        dropped |= {"sieve", "xapian"}
    lmtp: Listener | None = None
    if settings.lmtp and not settings.lmtp.startswith("/"):
        lmtp = split(settings.lmtp)
    questions = Questions(
        connection=_connection(config),
        master=_master(version, master.key(config.data.path)),
        password=_proxied(config, version) if proxy else _password(config, version),
        app_password=_app_password(version, app_key),
        user=_user(config, version),
        everybody=_EVERYBODY,
    )
    return Plan(
        places=Places(folder, RUN, owner.name, owner.name, owner.uid, owner.gid),
        imap=imap,
        in_clear=is_loopback(imap[0]),
        certificate=config.certificate.absolute(),
        private_key=config.private_key.absolute(),
        connections=config.limits.connections,
        connections_per_user=config.limits.connections_per_user,
        features=features - dropped,
        sieve=(imap[0], MANAGESIEVE_PORT) if "managesieve" in features else None,
        lmtp=lmtp,
        full_mailbox=settings.full_mailbox,
        app_key="" if proxy else app_key,
        questions=questions,
        is_child=False,
        trusted_proxies=tuple(settings.proxies),
        is_proxy=proxy,
        backend_authorities=settings.backend_authorities.absolute() if proxy else None,
    )


def _connection(config: Config) -> str:
    """How PostgreSQL is reached, in the words of its own library (libpq)."""
    url = make_url(config.database.url or "sqlite://")
    if url.get_backend_name() != "postgresql":
        raise ConfigError("dovecot-needs-postgresql")
    given = {
        "host": url.host or url.query.get("host", ""),
        "port": url.port,
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    return " ".join(f"{name}={value}" for name, value in given.items() if value)


_NAME = {"2.3": "%Lu", "2.4": "%{user | lower}"}
_OPEN = (
    "(m.state = 'active' AND m.locked_at IS NULL"
    " OR m.state = 'recalled' AND m.holder_reads AND m.readable_until >= current_date)"
)
_OPEN_TO_WEBMAIL = "m.state = 'suspended'"  # which asks for no password
_EVERYBODY = "SELECT address AS \"user\" FROM mailbox WHERE kind <> 'group' AND removed_at IS NULL"


def _password(config: Config, version: Version) -> str:
    """The newest password in force; one that opens no program is none that could be typed."""
    programs = config.sign_in.programs
    opens = {
        "password": "TRUE",
        "app-password": "FALSE",
        "until-second-factor": (
            "NOT EXISTS (SELECT 1 FROM second_factor f"
            " WHERE f.mailbox_id = m.id AND f.confirmed_at IS NOT NULL)"
        ),
    }[programs]
    return (
        f"SELECT m.address AS \"user\", CASE WHEN c.kind = 'password' AND {opens} AND {_OPEN}"
        " THEN '{ARGON2ID}' || c.hash ELSE '{SHA256}' || repeat('A', 43) || '=' END AS password"
        " FROM mailbox m JOIN credential c ON c.mailbox_id = m.id AND c.revoked_at IS NULL"
        f" WHERE m.address = '{_NAME[version]}' AND ({_OPEN} OR {_OPEN_TO_WEBMAIL})"
        " ORDER BY c.kind = 'password' DESC, c.id DESC LIMIT 1"
    )


def _master(version: Version, key: bytes) -> str:
    """Whether a digest is that of a token which is good by the database's clock, as in `master`."""
    digest = {"2.3": "%{sha256:password}", "2.4": "%{password | sha256 | hexlify}"}[version]
    inner, outer = master.pads(key)
    period = master.PERIOD_SECONDS
    now = "extract(epoch FROM clock_timestamp())"
    first = f"floor(({now} - {period // 2}) / {period})::bigint"
    hmac = (
        f"sha256(decode('{outer}', 'hex') || sha256(decode('{inner}', 'hex')"
        " || convert_to(number::text, 'UTF8')))"
    )
    return (
        f"SELECT '{master.USER}' AS \"user\", NULL AS password, 'y' AS nopassword"
        f" FROM (SELECT {first} + later AS number FROM (VALUES (0), (1)) AS v (later)) AS n"
        f" WHERE '{_NAME[version]}' = '{master.USER}'"
        f" AND '{digest}' = encode(sha256(convert_to(encode({hmac}, 'hex'), 'UTF8')), 'hex')"
    )


def _app_password(version: Version, app_key: str) -> str:
    digest = {
        "2.3": f"%{{sha256;salt={app_key}:password}}",
        "2.4": f'%{{password | sha256(salt="{app_key}") | hexlify}}',
    }[version]
    return (
        "SELECT m.address AS \"user\", NULL AS password, 'y' AS nopassword, c.id AS app"
        " FROM mailbox m JOIN credential c ON c.mailbox_id = m.id AND c.revoked_at IS NULL"
        f" WHERE m.address = '{_NAME[version]}' AND {_OPEN} AND c.kind = 'app'"
        f" AND c.hash = '{digest}' AND 'imap' = ANY (string_to_array(c.scopes, ' '))"
    )


def _user(config: Config, version: Version) -> str:
    """Where the mail lies, and the quota."""
    kept_as = "coalesce(nullif(m.home, ''), m.address)"
    folder = config.data.path.absolute() / "mail"
    return (
        f"SELECT '{folder}/' || split_part({kept_as}, '@', 2) || '/' || split_part({kept_as}, '@', 1)"
        " AS home, '*:storage=' || m.quota_mb || 'M' AS quota_rule,"
        " m.quota_mb || 'M' AS quota_storage_size"
        f" FROM mailbox m WHERE m.address = '{_NAME[version]}'"
        " AND m.kind <> 'group' AND m.removed_at IS NULL"
    )


def _proxied(config: Config, version: Version) -> str:
    """To which backend a session goes; passwords are checked there."""
    protocol = {"2.3": "%s", "2.4": "%{protocol}"}[version]
    cases, first = "", split(config.mailstore.backends[0])
    for backend in config.mailstore.backends:
        host, port = split(backend)
        cases += f" WHEN '{host}' THEN {port}"
    host = f"coalesce(nullif(m.backend, ''), '{first[0]}')"
    return (
        "SELECT m.address AS \"user\", NULL AS password, 'y' AS nopassword, 'y' AS proxy,"
        f" {host} AS host, CASE '{protocol}' WHEN 'lmtp' THEN {BACKEND_LMTP_PORT}"
        f" WHEN 'sieve' THEN {MANAGESIEVE_PORT} ELSE CASE {host}{cases} ELSE {first[1]} END END"
        f" AS port, CASE '{protocol}' WHEN 'imap' THEN 'yes' END AS ssl"
        f" FROM mailbox m WHERE m.address = '{_NAME[version]}' AND m.removed_at IS NULL"
    )
