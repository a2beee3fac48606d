"""The Authentication-Results field (RFC 8601): what our checks found, for the reader's program.

Values come from strangers' messages: whatever is no plain token is quoted or replaced, so that no
value can start a new result or a new field.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/@-]+")  # and the signs of domains and addresses
_MAX_VALUE_SIGNS = 255


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's result, such as dkim, pass, ((`header.d`, `tinhmau.gov.vn`),)."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def results_field(authserv_id: str, results: Sequence[MethodResult]) -> bytes:
    """The field with its final CRLF; `none` when nothing was checked (RFC 8601, 2.2)."""
    lines = [_result(result) for result in results] or ["none"]
    value = ";\r\n\t".join([_value(authserv_id), *lines])
    return f"Authentication-Results: {value}\r\n".encode()


def _result(result: MethodResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.reason:
        words.append(f"reason={plain_quoted(result.reason)}")
    words += [f"{name}={_value(value)}" for name, value in result.properties if value]
    return " ".join(words)


def _value(text: str) -> str:
    return text if _TOKEN.fullmatch(text) and len(text) <= _MAX_VALUE_SIGNS else plain_quoted(text)


def plain_quoted(text: str, max_signs: int = _MAX_VALUE_SIGNS) -> str:
    """A quoted string of printable ASCII; other letters become question marks."""
    plain = "".join(sign if " " <= sign <= "~" else "?" for sign in text[:max_signs])
    return '"' + re.sub(r'(["\\])', r"\\\1", plain) + '"'
