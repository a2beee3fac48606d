"""Attachments in the open or common formats that every agency can read.

The kind is that of the bytes. Files inside archives are not judged here: the archive is the
attachment. Kinds that mail itself needs (forwarded mail, invitations, signatures) are `technical`.
Basis: docs/basis.md#b07.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Attachment, Facts
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each attachment in another format."""
    permitted = {*settings.names("allow"), *settings.names("technical")}
    for item in facts.content.attachments:
        if "/" not in item.part and item.state == "read" and item.kind not in permitted:
            yield Hit(
                RULE.key,
                attached.place(item),
                attached.evidence(item, ext=_format(item), case=_case(item, settings)),
            )


def _format(item: Attachment) -> str:
    """What people call the format: the extension, unless the bytes say better."""
    return item.kind if item.kind not in ("", "unknown") else item.extension or "?"


def _case(item: Attachment, settings: Settings) -> str:
    return "old-office" if item.kind in settings.names("old_office") else ""


RULE = Rule(
    key="file-format",
    id="B07",
    version=1,
    check=check,
    evidence=("place", "file", "ext", "case"),
    settings={
        "allow": (
            *("pdf", "docx", "xlsx", "pptx", "odt", "ods", "odp", "text", "csv", "rtf"),
            *("jpg", "png", "tif", "gif", "zip"),
        ),
        "old_office": ("doc", "xls", "ppt"),
        "technical": (
            *("message", "msg", "tnef", "ics", "vcf", "p7s", "p7m", "pgp", "xml", "empty"),
        ),
    },
    cases=("old-office",),
    directions=("submission",),
)
