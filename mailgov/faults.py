"""Named points on the road of a message where tests make the machine fail.

A1 greet, A2 MAIL/RCPT, A3 354, A4 stream, A5 dot, A6 verdict, A7 sign, A8 fsync body, A9 rename,
A10 fsync folder, A11 transaction, A12 durable, A13 250; D1 claim, D2 route, D3 connect to RCPT,
D4 DATA, D5 dot, D6 reply, D7 commit result, D8 remove body, D9 sweep orphans. Of mail copied from
elsewhere: M1 bytes here, M2 file named, M3 folder synced, M4 noted.
In production no handler is set and a point costs one comparison.
"""

from collections.abc import Callable

_handler: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Pass the named point; a test's handler may raise or kill the process here."""
    if _handler is not None:
        _handler(name)


def set_handler(handler: Callable[[str], None] | None) -> None:
    """Install what happens at each point; None for nothing."""
    global _handler  # noqa: PLW0603 - one switch for the process is the point
    _handler = handler
