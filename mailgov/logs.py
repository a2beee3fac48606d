"""Log events, not prose: an event name with ids, never content, never secrets."""

import logging
import sys
from typing import cast

import structlog

from mailgov.config import Log

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def set_up(settings: Log, *, lasting: bool = True) -> None:
    """Write to stderr from the given level on. The SMTP library's log names every command: off.

    `lasting` keeps what each room writes to from its first line on, which servers want for speed;
    a command that ends at once looks anew each time.
    """
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # One list for good: what writes from its first line on goes along with what is set later.
    processors = structlog.get_config()["processors"]
    processors[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=_stderr,
        cache_logger_on_first_use=lasting,
    )
    for noisy in ("mail.log", "aioimaplib", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _stderr(*_: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


def logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """The log of a room of the house, such as `relay`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(room=room))
