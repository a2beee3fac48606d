"""MAIL and RCPT, read strictly: RFC 5321 (4.1.2), RFC 1870, 3461, 4954, 6152, 6531, 6710, 8689.

One parser for both ports. What has two readings, or one that serves only to sneak a route past
us, is refused. Delivery status parameters are kept letter by letter for the next server.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailgov.addresses import Address
from mailgov.errors import InputError

_FROM = re.compile(r"FROM: *(?=<)", re.IGNORECASE)
_TO = re.compile(r"TO: *(?=<)", re.IGNORECASE)
_PATH = re.compile(r'<((?:[^<>"\\]|"(?:[^"\\]|\\.)*")*)>( .*|)')
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[!-<>-~\u0080-\U0010FFFF]+")  # RFC 5321, 4.1.2: esmtp-value
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461, 4
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870, 3
_PRIORITY = re.compile(r"-?[1-9]|0")  # RFC 6710, 4
_CHUNK = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)
_HELLO = re.compile(r"[!-~]{1,255}")
_MAX_ENVID = 100  # RFC 3461, 5.4
_MAX_ORCPT = 500  # RFC 3461, 5.4
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class CommandError(Exception):
    """A command that can't be obeyed. `key` names its reply, `fields` fill the places in it."""

    def __init__(self, key: str, **fields: str) -> None:
        super().__init__(key)
        self.key = key
        self.fields = fields


@dataclass(frozen=True, slots=True)
class MailCommand:
    """MAIL. `sender` None is the null sender; `size_bytes` None when it was not declared."""

    sender: Address | None
    size_bytes: int | None = None
    body_8bit: bool = False
    smtputf8: bool = False
    ret: str = ""  # RFC 3461, 4.3: FULL, HDRS
    envid: str = ""  # RFC 3461, 4.4, as given
    require_tls: bool = False  # RFC 8689
    priority: int | None = None  # RFC 6710, -9 to 9; None when it was not said


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """RCPT with its delivery status wishes."""

    recipient: Address
    notify: frozenset[str] = frozenset()  # RFC 3461, 4.1
    original: str = ""  # ORCPT, RFC 3461, 4.2, as given


def parse_hello(argument: str) -> str:
    """The name in EHLO or HELO: printable ASCII without spaces. It proves nothing anyway.

    Raises CommandError `hello-syntax`.
    """
    if not _HELLO.fullmatch(argument):
        raise CommandError("hello-syntax")
    return argument


def parse_mail(argument: str, *, extended: bool) -> MailCommand:
    """The argument of MAIL, `FROM:<…>` with parameters; none after HELO.

    Raises CommandError `sender-syntax`, `parameter-syntax`, `parameter-unknown`, `binary-mime` or
    `needs-smtputf8`.
    """
    mailbox, rest = _path(_FROM, argument, "sender-syntax")
    values: dict[str, str] = {}
    for keyword, value in _parameters(rest, extended=extended):
        if keyword not in _MAIL_PARAMETERS:
            raise CommandError("parameter-unknown")
        if keyword == "BODY" and value.upper() == "BINARYMIME":
            raise CommandError("binary-mime")  # RFC 3030, 3: not offered, so not to be asked for
        if not _MAIL_PARAMETERS[keyword](value):
            raise CommandError("parameter-syntax")
        values[keyword] = value
    smtputf8 = "SMTPUTF8" in values
    _require_smtputf8(argument, declared=smtputf8)
    return MailCommand(
        sender=_address(mailbox, "sender-syntax") if mailbox else None,
        size_bytes=int(values["SIZE"]) if "SIZE" in values else None,
        body_8bit=values.get("BODY", "").upper() == "8BITMIME",
        smtputf8=smtputf8,
        ret=values.get("RET", "").upper(),
        envid=values.get("ENVID", ""),
        require_tls="REQUIRETLS" in values,
        priority=int(values["MT-PRIORITY"]) if "MT-PRIORITY" in values else None,
    )


def parse_rcpt(
    argument: str, *, extended: bool, smtputf8: bool, postmaster_domain: str
) -> RcptCommand:
    """The argument of RCPT, `TO:<…>` with parameters; none after HELO.

    `<Postmaster>` without a domain is ours to take (RFC 5321, 4.5.1). Raises CommandError
    `recipient-syntax`, `parameter-syntax`, `parameter-unknown` or `needs-smtputf8`.
    """
    mailbox, rest = _path(_TO, argument, "recipient-syntax")
    _require_smtputf8(argument, declared=smtputf8)
    if mailbox.lower() == "postmaster":
        mailbox = f"{mailbox}@{postmaster_domain}"
    notify: frozenset[str] = frozenset()
    original = ""
    for keyword, value in _parameters(rest, extended=extended):
        if keyword == "NOTIFY":
            notify = _notify(value)
        elif keyword == "ORCPT":
            original = _original(value, smtputf8=smtputf8)
        else:
            raise CommandError("parameter-unknown")
    return RcptCommand(_address(mailbox, "recipient-syntax"), notify, original)


def parse_chunk(argument: str) -> tuple[int, bool]:
    """The argument of BDAT: octets, and whether they are the last (RFC 3030, 2).

    Raises CommandError `chunk-syntax`.
    """
    match = _CHUNK.fullmatch(argument)
    if match is None:
        raise CommandError("chunk-syntax")
    return int(match[1]), match[2] is not None


def routes_onward(recipient: Address) -> bool:
    """Whether the local part names another host in one of the old ways.

    `user%host`, `host!user` and `"user@host"` asked the server to relay; no mailbox of ours is
    called so, and nobody but a prober writes them to us.
    """
    return any(sign in recipient.local for sign in "%!@")


def _path(keyword: re.Pattern[str], argument: str, key: str) -> tuple[str, str]:
    start = keyword.match(argument)
    found = _PATH.fullmatch(argument, start.end()) if start else None
    if found is None:
        raise CommandError(key)
    return found[1], found[2]


def _address(text: str, key: str) -> Address:
    # Source routes, `<@a,@b:user@c>`, fail here like any other bad address: RFC 5321, 4.1.1.3
    # lets a server refuse them.
    try:
        return Address.parse(text)
    except InputError:
        raise CommandError(key) from None


def _require_smtputf8(argument: str, *, declared: bool) -> None:
    if not declared and not argument.isascii():
        raise CommandError("needs-smtputf8")  # RFC 6531, 3.4


def _parameters(text: str, *, extended: bool) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for parameter in filter(None, text.split(" ")):
        name, equals, value = parameter.partition("=")
        keyword = name.upper()
        if not extended:
            raise CommandError("parameter-unknown")
        if (
            not _KEYWORD.fullmatch(name)
            or (equals and not _VALUE.fullmatch(value))
            or keyword in seen
        ):
            raise CommandError("parameter-syntax")
        seen.add(keyword)
        yield keyword, value


_MAIL_PARAMETERS: dict[str, Callable[[str], bool]] = {
    "SIZE": lambda value: _SIZE.fullmatch(value) is not None,
    "BODY": lambda value: value.upper() in ("7BIT", "8BITMIME"),
    "SMTPUTF8": lambda value: not value,
    "RET": lambda value: value.upper() in ("FULL", "HDRS"),
    "ENVID": lambda value: len(value) <= _MAX_ENVID and _XTEXT.fullmatch(value) is not None,
    "REQUIRETLS": lambda value: not value,
    "MT-PRIORITY": lambda value: _PRIORITY.fullmatch(value) is not None,
    # RFC 4954, 5: we trust nobody's word on who wrote a message, so it is read and dropped.
    "AUTH": lambda value: value == "<>" or _XTEXT.fullmatch(value) is not None,
}


def _notify(value: str) -> frozenset[str]:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return frozenset(words)
    if len(set(words)) < len(words) or not _NOTIFY.issuperset(words):
        raise CommandError("parameter-syntax")
    return frozenset(words)


def _original(value: str, *, smtputf8: bool) -> str:
    kind, _, address = value.partition(";")
    # RFC 6533, 3: the type utf-8 carries the letters themselves when the session may.
    fits = bool(address) if smtputf8 and kind.lower() == "utf-8" else _XTEXT.fullmatch(address)
    if len(value.encode()) > _MAX_ORCPT or not _ADDRESS_TYPE.fullmatch(kind) or not fits:
        raise CommandError("parameter-syntax")
    return value
