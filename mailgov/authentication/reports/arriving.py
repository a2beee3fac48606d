"""Reports that arrive by mail: whether a message brings one, and from whom."""

from mailgov.authentication.reports.received import Report, read_mail
from mailgov.config import Authentication
from mailgov.errors import InputError
from mailgov.logs import logger
from mailgov.message import Body, Envelope
from mailgov_policies import facts

log = logger("reports")


def may_bring_report(
    settings: Authentication, envelope: Envelope, results: facts.Authentication
) -> bool:
    """Whether a message goes to our report mailbox, from an author whose domain vouches for it.

    Anybody could send figures in another's name; such mail is delivered and read by people only.
    """
    wanted = settings.report_mailbox.lower()
    to_us = any(one.address.local.lower() == wanted for one in envelope.recipients)
    proven = results.dmarc == "pass" or results.dkim == "pass"
    return envelope.direction == "inbound" and to_us and proven


def read_arriving(body: Body) -> list[Report]:
    """The reports in a message; none when it holds no valid one. Blocks; raises nothing."""
    try:
        return read_mail(body.read())
    except InputError as error:
        log.warning("report.unreadable", cause=str(error))
        return []
