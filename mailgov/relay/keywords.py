"""What EHLO offers."""

from collections.abc import Sequence


def keywords(
    message_bytes: int, recipients: int, *, tls: bool, mechanisms: Sequence[str]
) -> tuple[str, ...]:
    """The extensions, as they stand in the reply. `mechanisms` are those of a port for users."""
    offered = [
        "PIPELINING",  # RFC 2920
        f"SIZE {message_bytes}",  # RFC 1870
        "8BITMIME",  # RFC 6152
        "SMTPUTF8",  # RFC 6531
        "DSN",  # RFC 3461
        "ENHANCEDSTATUSCODES",  # RFC 2034
        "CHUNKING",  # RFC 3030, without BINARYMIME
        "MT-PRIORITY",  # RFC 6710
        f"LIMITS RCPTMAX={recipients}",  # RFC 9422
    ]
    if not tls:
        return (*offered, "STARTTLS")  # RFC 3207
    offered.append("REQUIRETLS")  # RFC 8689, 2: in TLS only
    if mechanisms:
        offered.append(" ".join(["AUTH", *mechanisms]))  # RFC 4954, and never in clear
    return tuple(offered)
