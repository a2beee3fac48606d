"""What is logged once goes along with what is set later."""

from structlog.testing import capture_logs

from mailgov.config import Log
from mailgov.logs import logger, set_up


def test_a_lasting_log_is_heard_after_it_was_set_up_anew() -> None:
    log = logger("room")
    set_up(Log())
    log.info("first")
    set_up(Log(format="json"))
    with capture_logs() as heard:
        log.info("second")
    assert [entry["event"] for entry in heard] == ["second"]
