"""The Received field that we put before a message (RFC 5321, 4.4)."""

import re
from datetime import datetime
from email.utils import format_datetime

from mailgov.message import Client, Envelope

# RFC 3848 and RFC 6531, 4.3; HTTP for what was written in the webmail.
_PROTOCOLS = re.compile(r"(?:SMTP|(?:ESMTP|UTF8SMTP)S?A?|HTTPS?)")
_NOT_IN_DOMAIN = re.compile(r"[^A-Za-z0-9.:\[\]_-]")
_NOT_IN_COMMENT = re.compile(r"[^A-Za-z0-9 .:_-]")
_MAX_LETTERS = 255


def received_field(envelope: Envelope, queue_id: str, hostname: str, moment: datetime) -> bytes:
    """The field with its line ends: who gave us the message, how, and when.

    What the client said of itself is reduced to the letters of a domain. `for` is written only
    when there is one recipient, so that nobody learns of the others; the login never is.
    """
    client = envelope.client
    lines = [
        f"Received: from {_from_domain(client)}",
        f"by {hostname} with {_protocol(client)} id {queue_id}",
    ]
    if client.tls:
        lines.append(f"({_NOT_IN_COMMENT.sub('?', client.tls)[:_MAX_LETTERS]})")
    if len(envelope.recipients) == 1 and not envelope.recipients[0].address.needs_smtputf8:
        lines.append(f"for <{envelope.recipients[0].address}>")
    lines[-1] += ";"
    lines.append(format_datetime(moment))
    return "\r\n\t".join(lines).encode("ascii") + b"\r\n"


def _from_domain(client: Client) -> str:
    said = _NOT_IN_DOMAIN.sub("?", client.helo)[:_MAX_LETTERS] or "unknown"
    seen = " ".join(part for part in (_domain(client.name), _literal(client.ip)) if part)
    return f"{said} ({seen})" if seen else said


def _domain(name: str) -> str:
    return _NOT_IN_DOMAIN.sub("?", name)[:_MAX_LETTERS]


def _literal(ip: str) -> str:
    """RFC 5321, 4.1.3."""
    if not ip:
        return ""
    address = _NOT_IN_DOMAIN.sub("?", ip)[:_MAX_LETTERS]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _protocol(client: Client) -> str:
    return client.protocol if _PROTOCOLS.fullmatch(client.protocol) else "SMTP"
