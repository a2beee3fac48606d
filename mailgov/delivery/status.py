"""What a failure is called by machines (RFC 3463), and which advice it deserves."""

import re

from mailgov.errors import DeliveryError, DeliveryRefused

EXPIRED = "4.4.7"
"""Delivery time expired."""

DELIVERED = "2.0.0"

# Our own codes: status without its class, and the advice `[notice.todo]` that fits.
_OURS = {
    "attempt-late": ("4.2", "resend"),
    "bare-line-ends": ("6.0", "ask-it"),
    "connection-lost": ("4.2", "resend"),
    "disk-full": ("3.1", "resend"),
    "domain-not-found": ("1.2", "address"),
    "domain-routes-to-us": ("4.6", "ask-it"),
    "domain-takes-no-mail": ("1.10", "address"),
    "domain-without-servers": ("4.4", "ask-recipient"),
    "mailbox-full": ("2.2", "full"),
    "mailbox-unavailable": ("2.0", "ask-it"),
    "mailbox-unknown": ("1.1", "address"),
    "outcome-unknown": ("4.2", "ask-recipient"),
    "peer-lacks-8bitmime": ("6.3", "ask-it"),
    "peer-lacks-requiretls": ("7.30", "ask-it"),  # RFC 8689, 4.2.1
    "peer-lacks-smtputf8": ("6.7", "plain-address"),
    "peer-takes-less": ("3.4", "size"),
    "peer-unreachable": ("4.1", "ask-recipient"),
    "peer-unsafe": ("7.5", "ask-it"),
    "policy-unavailable": ("7.5", "ask-it"),
    "resolver-unavailable": ("4.3", "resend"),
    "smarthost-sign-in": ("7.8", "ask-it"),
}

# What peers say: the detail of their status.
_THEIRS = (
    (re.compile(r"1\.[0-36]|1\.10|2\.1"), "address"),
    (re.compile(r"2\.2"), "full"),
    (re.compile(r"2\.3|3\.4"), "size"),
    (re.compile(r"6\.7"), "plain-address"),
    (re.compile(r"7\.\d+"), "policy"),
)

_ENHANCED = re.compile(r"\d{3} ([245]\.\d{1,3}\.\d{1,3})(?: |$)")
_RULE = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)*)\]")


def status_of(error: DeliveryError) -> str:
    """The status: the peer's own where it gave one, else that of our code."""
    if found := _ENHANCED.match(error.reply):
        return found[1]
    kind = "5" if isinstance(error, DeliveryRefused) else "4"
    return f"{kind}.{_OURS.get(error.code, ('0.0', ''))[0]}"


def advice_for(error: DeliveryError) -> str:
    """The key in `[notice.todo]` of what the sender can do."""
    if error.code in _OURS:
        return _OURS[error.code][1]
    detail = status_of(error).partition(".")[2]
    return next((advice for form, advice in _THEIRS if form.fullmatch(detail)), "ask-recipient")


def rule_named_in(error: DeliveryError) -> str:
    """The rule that a server like ours names in brackets; empty when there is none."""
    found = _RULE.search(error.reply)
    return found[1] if found else ""


def describe(error: DeliveryError) -> str:
    """One line for queue, ledger and machine part: the peer's words, else ours."""
    if error.reply:
        return error.reply
    fields = ", ".join(f"{name} {value}" for name, value in error.fields.items())
    return f"{status_of(error)} [{error.code}] {fields}".rstrip()
