"""What may be said of where a message comes from. Every word rests on evidence of our own relay.

Fields in our name are trusted because the gate strips them from whatever comes in.
"""

import re
from dataclasses import dataclass
from typing import Literal

from mailgov_policies.rules import RULES_BY_KEY
from mailgov_webmail.reading import Reading

_AUTHENTICATED = re.compile(r"\bwith (?:UTF8)?E?SMTPS?A\b|\bwith (?:HTTPS?|WEB)\b", re.IGNORECASE)
_QUEUE_ID = re.compile(r"\bid ([0-9a-hjkmnp-tv-z]{20})\b")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_RESULT = re.compile(r";\s*(spf|dkim|dmarc)=([a-z]+)")
_REASON = re.compile(r"\breason=([a-z0-9-]+)")


@dataclass(frozen=True, slots=True)
class Standing:
    """What our relay saw. `marks` are codes of rules that the message is marked with."""

    inside: bool = False  # written by somebody signed in to this system
    authentic: bool = False  # the sender's domain stands for it
    checked: bool = False  # there is a result at all
    marks: tuple[str, ...] = ()
    queue_id: str = ""

    @property
    def word(self) -> Literal["inside", "authentic", "unauthentic", "unknown"]:
        """The one thing to say."""
        if self.inside:
            return "inside"
        if self.authentic:
            return "authentic"
        return "unauthentic" if self.checked else "unknown"


def standing(reading: Reading, hostname: str, authserv_id: str) -> Standing:
    """Read the trace that our relay left on top of the message."""
    received = reading.field("received")
    ours = f"by {hostname}" in received
    results = dict(_RESULT.findall(_results(reading, authserv_id)))
    queue_id = _QUEUE_ID.search(received) if ours else None
    reason = _REASON.search(reading.field("x-mailgov-policy"))
    return Standing(
        inside=ours and _AUTHENTICATED.search(received) is not None,
        authentic=results.get("dmarc") == "pass",
        checked=bool(results),
        marks=(reason[1],) if reason and reason[1] in RULES_BY_KEY else (),
        queue_id=queue_id[1] if queue_id else "",
    )


def _results(reading: Reading, authserv_id: str) -> str:
    """RFC 8601, 5: only results under our own name count.

    What is quoted there was said by the sender; so nothing is decoded, and quoted strings go.
    """
    for item in reading.root.fields.all("authentication-results"):
        text = _QUOTED.sub("", item.value.decode("ascii", "replace"))
        if text.split(";")[0].split()[:1] == [authserv_id]:
            return text
    return ""
