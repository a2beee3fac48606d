"""The Received-SPF field (RFC 7208, 9.1): the check and what it went by, for programs and people."""

from mailgov.authentication.spf import SpfResult
from mailgov.signing.results import plain_quoted

_WORDS = {
    "pass": "domain of {sender} designates {ip} as permitted sender",
    "fail": "domain of {sender} does not designate {ip} as permitted sender",
    "softfail": "domain of {sender} hardly designates {ip} as permitted sender",
    "neutral": "{ip} is neither permitted nor denied by domain of {sender}",
    "none": "domain of {sender} does not designate permitted sender hosts",
    "temperror": "record of {sender} can't be looked up",
    "permerror": "record of {sender} is not valid",
}
_NOT_IN_COMMENT = str.maketrans(dict.fromkeys("()\\", "?"))


def received_spf_field(found: SpfResult, receiver: str, ip: str, helo: str) -> bytes:
    """The field with its final CRLF; values of strangers are quoted and reduced to plain ASCII."""
    sender = found.sender or found.domain or "unknown"
    told = f"{receiver}: {_WORDS[found.result].format(sender=sender, ip=ip)}"
    if found.explanation:
        told += f"; it says: {found.explanation}"
    pairs = {
        "receiver": receiver,
        "client-ip": ip,
        "envelope-from": found.sender if found.identity == "mailfrom" else "",
        "helo": helo,
        "identity": found.identity,
        "mechanism": found.mechanism,
        "problem": found.reason if found.result in ("temperror", "permerror") else "",
    }
    lines = [f"{key}={plain_quoted(value)};" for key, value in pairs.items() if value]
    head = f"Received-SPF: {found.result} ({_comment(told)})"
    return ("\r\n\t".join([head, *lines]) + "\r\n").encode("ascii")


def _comment(text: str) -> str:
    """Text that can't end its comment, nor the line."""
    return plain_quoted(text, max_signs=600)[1:-1].translate(_NOT_IN_COMMENT)
