"""The subject says what the message is about.

An empty subject is pointed out when files or a document go with it, one that says nothing
(`generic`) when a document does, and one that is longer than an abstract may be.
Basis: docs/basis.md#b16.
"""

import re
from collections.abc import Iterator

from mailgov_policies.agency_documents import sent_as_document
from mailgov_policies.facts import Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_BEFORE = re.compile(
    r"^(?:\s*(?:(?:re|fw|fwd|trả lời|chuyển tiếp)\s*:|\[[^\[\]]*\]))+", re.IGNORECASE
)
_AROUND = " .,:;!?-–_*\"'()"


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """At most one hit."""
    subject = facts.content.header.subject
    longest = int(settings.number("longest"))
    case = None
    title = _BEFORE.sub("", subject).strip(_AROUND).lower()
    if not subject.strip():
        case = "" if facts.content.attachments or any(sent_as_document(facts.content)) else None
    elif len(subject) > longest:
        case = "long"
    elif title in settings.names("generic") and any(sent_as_document(facts.content)):
        case = "generic"
    if case is not None:
        yield Hit(RULE.key, "subject", {"place": "subject", "longest": str(longest), "case": case})


RULE = Rule(
    key="subject-line",
    id="B16",
    version=1,
    check=check,
    evidence=("place", "longest", "case"),
    settings={
        "longest": 500,
        "generic": (
            "",
            "báo cáo",
            "công văn",
            "file",
            "giấy mời",
            "gửi",
            "gửi file",
            "gửi tài liệu",
            "gửi văn bản",
            "kính gửi",
            "no subject",
            "quyết định",
            "thông báo",
            "tài liệu",
            "tờ trình",
            "văn bản",
        ),
    },
    cases=("long", "generic"),
    directions=("submission",),
)
