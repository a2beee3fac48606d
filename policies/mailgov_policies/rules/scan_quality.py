"""A scanned copy is fit to be read and kept: version of PDF, resolution.

The decree also wants colour and true scale, which the reader does not measure.
Basis: docs/basis.md#b11.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, ScannedPages
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each scan that falls short."""
    for item in facts.content.attachments:
        if item.kind == "pdf" and item.scan is not None:
            case = _fault(item.scan, settings)
            if case:
                found = {"version": item.scan.version, "dpi": str(item.scan.dpi), "case": case}
                yield Hit(RULE.key, attached.place(item), attached.evidence(item, **found))


def _fault(scan: ScannedPages, settings: Settings) -> str:
    if 0 < scan.dpi < settings.number("dpi"):
        return "resolution"
    major, _, minor = scan.version.partition(".")
    is_known = major.isdecimal() and minor.isdecimal() and major != "0"
    return "version" if is_known and (int(major), int(minor)) < (1, 4) else ""


RULE = Rule(
    key="scan-quality",
    id="B11",
    version=1,
    check=check,
    evidence=("place", "file", "version", "dpi", "case"),
    settings={"dpi": 200},
    cases=("resolution", "version"),
    directions=("submission",),
)
