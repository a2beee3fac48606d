"""An unsigned formal document goes on paper, with a PDF scan by mail.

A signature of any kind, and a scan, satisfy the rule; what a signature is worth other rules say. Case
`working-paper`: an office file, which is a draft or a working copy unless a signed or scanned one
goes with it.
Basis: docs/basis.md#b04.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Attachment, Facts
from mailgov_policies.formal import formal_documents
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each formal document that is neither signed nor scanned."""
    issued_too = any(map(_satisfies, facts.content.attachments))
    for item, document in formal_documents(facts.content):
        case = "" if item.kind == "pdf" else "working-paper"
        if not _satisfies(item) and not (case and issued_too):
            evidence = attached.evidence(item, type=document.type, case=case)
            yield Hit(RULE.key, attached.place(item), evidence)


def _satisfies(item: Attachment) -> bool:
    is_scan = item.kind == "pdf" and item.state == "read" and not item.has_text
    return bool(item.signatures) or is_scan


RULE = Rule(
    key="unsigned-needs-scan",
    id="B04",
    version=1,
    check=check,
    evidence=("place", "file", "type", "case"),
    cases=("working-paper",),
)
