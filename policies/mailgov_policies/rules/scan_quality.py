"""A scanned copy is fit to be read and kept: version of PDF, resolution, colour, true scale.

The scale is true when the page is no larger than A3 and no smaller than A6; scanners that lose
the resolution make pages of half a metre and more. Colours are asked only of pictures that have none.
Basis: docs/basis.md#b11.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, ScannedPages
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_A6_MM, _A3_MM = (105, 148), (297, 420)
_CLOSE_MM = 10


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each scan that falls short."""
    for item in facts.content.attachments:
        if item.kind == "pdf" and item.scan is not None:
            case = _fault(item.scan, settings)
            if case:
                found = {"version": item.scan.version, "dpi": str(item.scan.dpi), "case": case}
                yield Hit(RULE.key, attached.place(item), attached.evidence(item, **found))


def _fault(scan: ScannedPages, settings: Settings) -> str:
    if not _is_true_to_scale(scan):
        return "scale"
    if 0 < scan.dpi < settings.number("dpi"):
        return "resolution"
    major, _, minor = scan.version.partition(".")
    is_known = major.isdecimal() and minor.isdecimal() and major != "0"
    if is_known and (int(major), int(minor)) < (1, 4):
        return "version"
    return "colour" if scan.grey else ""


def _is_true_to_scale(scan: ScannedPages) -> bool:
    short, long = sorted((scan.width_mm, scan.height_mm))
    return not short or (short >= _A6_MM[0] - _CLOSE_MM and long <= _A3_MM[1] + _CLOSE_MM)


RULE = Rule(
    key="scan-quality",
    id="B11",
    version=2,
    check=check,
    evidence=("place", "file", "version", "dpi", "case"),
    settings={"dpi": 200},
    cases=("resolution", "version", "scale", "colour"),
    directions=("submission",),
)
