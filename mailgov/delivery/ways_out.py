"""Which transport takes what, by the configuration."""

from pathlib import Path

from mailgov.clock import Clock
from mailgov.config import Config
from mailgov.db import Database
from mailgov.delivery.mta_sts import HttpsFetch, PolicyTrouble, StsPolicies
from mailgov.delivery.tls_policy import TlsPolicies
from mailgov.delivery.tls_results import AppliedPolicy, Observed, TlsResults
from mailgov.delivery.transports import Transport
from mailgov.delivery.transports.lmtp import LmtpTransport
from mailgov.delivery.transports.maildir import MaildirTransport
from mailgov.delivery.transports.smtp import SmtpTransport
from mailgov.delivery.transports.smtp_session import Login
from mailgov.errors import ConfigError
from mailgov.queue import MAILBOX
from mailgov.resolver import Resolver


def transports(
    config: Config, resolver: Resolver, database: Database, clock: Clock
) -> dict[str, Transport]:
    """The transports by destination, `""` for all others.

    Raises ConfigError `smarthost-password-unreadable`. Reads a file: call it before the event loop
    has work.
    """
    settings = config.delivery
    results = TlsResults(database, clock)

    def fetch_failed(domain: str, trouble: PolicyTrouble) -> None:
        results.note(Observed(AppliedPolicy(domain, "sts"), trouble.kind, reason=str(trouble)))

    fetch = HttpsFetch(resolver, settings.tls_authorities, allow_loopback=settings.allow_loopback)
    sts = StsPolicies(resolver, database, clock, fetch, fetch_failed)
    policies = TlsPolicies(settings, resolver, sts if settings.mta_sts else None, results)
    remote = SmtpTransport(
        settings,
        config.site.hostname,
        resolver,
        policies=policies,
        results=results,
        login=_login(settings.smarthost_user, settings.smarthost_password_file),
    )
    local: Transport = MaildirTransport(config.data.path, config.mailstore.full_mailbox)
    if config.mailstore.filters:
        local = LmtpTransport(
            str(config.data.path / "dovecot" / "run" / "lmtp"), config.site.hostname
        )
    elif config.mailstore.lmtp:
        local = LmtpTransport(config.mailstore.lmtp, config.site.hostname)
    return {MAILBOX: local, "": remote}


def _login(user: str, file: Path | None) -> Login | None:
    if not user:
        return None
    try:
        password = file.read_text("utf-8").rstrip("\r\n") if file is not None else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("smarthost-password-unreadable", file=file, reason=exc) from exc
    if not password:
        raise ConfigError("smarthost-password-unreadable", file=file or "-", reason="empty")
    return Login(user, password)
