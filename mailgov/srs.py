"""The sender rewriting scheme: bounces of mail that we pass on find their way back through us.

A server that passes mail on may not speak in the name of the sender's domain (RFC 7208, D.2), so the
envelope gets a sender in a domain of its own that holds the one before:

    SRS0=<hash>=<day>=<domain>=<local part>@<domain that passes it on>
    SRS1=<hash>=<first who passed it on>=<the rest of that one's SRS0>@<domain that passes it on>

The day is the number of days since 1970 modulo 1024 in two signs of base32. SRS1 holds what the
first one wrote, so that addresses do not grow with each one who passes the mail on; only the first
knows whether it is too old. The hash is the first 40 bits of HMAC-SHA-256 in base32, over all that
stands behind it without its case, for servers that fold the case of local parts. (Shevek: The Sender
Rewriting Scheme, 2004.) Nobody else reads our hashes, so their form is our own affair.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mailgov.addresses import Address
from mailgov.errors import InputError

DAYS = 21
"""For so long bounces come back; later nobody tries any more (RFC 5321, 4.5.4.1: 4 to 5 days)."""

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_CYCLE = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()
_OURS = re.compile(r"srs([01])=([a-z2-7]{8})=(.+)", re.IGNORECASE | re.DOTALL)
_FRESH = re.compile(r"([a-z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_AGAIN = re.compile(r"([^=]+)=([=+-].+)", re.DOTALL)
_FOREIGN_0 = re.compile(r"srs0([=+-].+)", re.IGNORECASE | re.DOTALL)
_FOREIGN_1 = re.compile(r"srs1[=+-][^=]*=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)


def is_rewritten(address: Address) -> bool:
    """Whether it has the form of an address that somebody rewrote."""
    return address.local[:5].lower() in ("srs0=", "srs1=")


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Rewrites senders and undoes it, with the key of this installation."""

    key: bytes

    def rewrite(self, sender: Address, domain: str, today: date) -> Address:
        """The sender in a domain of ours.

        Raises InputError `sender-not-rewritable` when it would be longer than servers must take
        (RFC 5321, 4.5.3.1.1), and for local parts that need quotes.
        """
        if first := _FOREIGN_0.fullmatch(sender.local):
            held, kind = f"{sender.domain}={first[1]}", 1
        elif later := _FOREIGN_1.fullmatch(sender.local):
            held, kind = f"{later[1]}={later[2]}", 1
        else:
            held, kind = f"{_stamp(today)}={sender.domain}={sender.local}", 0
        text = f"SRS{kind}={self._hash(kind, held, domain)}={held}@{domain}"
        try:
            return Address.parse(text)
        except InputError:
            raise InputError("sender-not-rewritable", address=str(sender)) from None

    def reverse(self, address: Address, today: date) -> Address:
        """Whom a bounce to an address of ours goes to.

        Raises InputError `return-path-forged`, and `return-path-old` after 21 days.
        """
        ours = _OURS.fullmatch(address.local)
        if ours is None:
            raise InputError("return-path-forged", address=str(address))
        kind, hashed, held = int(ours[1]), ours[2].lower(), ours[3]
        if not hmac.compare_digest(hashed, self._hash(kind, held, address.domain)):
            raise InputError("return-path-forged", address=str(address))
        if kind == 1:
            again = _AGAIN.fullmatch(held)
            text = f"SRS0{again[2]}@{again[1]}" if again else ""
        else:
            fresh = _FRESH.fullmatch(held)
            if fresh and _age(fresh[1], today) > DAYS:
                raise InputError("return-path-old", address=str(address), days=DAYS)
            text = f"{fresh[3]}@{fresh[2]}" if fresh else ""
        try:
            return Address.parse(text)
        except InputError:
            raise InputError("return-path-forged", address=str(address)) from None

    def _hash(self, kind: int, held: str, domain: str) -> str:
        digest = hmac.digest(self.key, f"{kind}={held}@{domain}".lower().encode(), "sha256")
        return base64.b32encode(digest[:5]).decode("ascii").lower()


def _stamp(day: date) -> str:
    number = (day - _EPOCH).days % _CYCLE
    return _BASE32[number >> 5] + _BASE32[number & 31]


def _age(stamp: str, today: date) -> int:
    """Days since the stamp; a day ahead, where clocks differ, is none."""
    high, low = (_BASE32.index(sign) for sign in stamp.lower())
    age = ((today - _EPOCH).days - (high << 5 | low)) % _CYCLE
    return 0 if age == _CYCLE - 1 else age
