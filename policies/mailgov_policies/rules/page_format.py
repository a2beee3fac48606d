"""Documents are set on A4, in Times New Roman, 13 to 14 points.

Only formal documents of an agency whose reader tells how they are set. Cases: `paper`, `font`,
`size`. Readers tell the size of letters of docx alone.
Basis: docs/basis.md#b19.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, Page
from mailgov_policies.formal import formal_documents
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_A4_MM = (210, 297)
_CLOSE_MM = 5


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:
    """A hit for each document that is set otherwise."""
    for item, _ in formal_documents(facts.content):
        page = item.page
        if page is not None and (case := _fault(page, settings)):
            shown = f"{page.width_mm} x {page.height_mm} mm"
            found = {"paper": shown, "font": page.font, "size_pt": f"{page.size_pt:g}"}
            evidence = attached.evidence(item, **found, case=case)
            yield Hit(RULE.key, attached.place(item), evidence)


def _fault(page: Page, settings: Settings) -> str:
    sides = sorted((page.width_mm, page.height_mm))
    if sides[0] and any(abs(a - b) > _CLOSE_MM for a, b in zip(sides, _A4_MM, strict=True)):
        return "paper"
    if page.font and not _letters(page.font).startswith(
        tuple(_letters(name) for name in settings.names("fonts"))
    ):
        return "font"
    least, most = settings.number("least_pt"), settings.number("most_pt")
    return "size" if page.size_pt and not least <= page.size_pt <= most else ""


def _letters(font: str) -> str:
    """`ABCDEF+TimesNewRomanPS-BoldMT` as `timesnewromanpsboldmt`."""
    return "".join(filter(str.isalnum, font.rpartition("+")[2])).lower()


RULE = Rule(
    key="page-format",
    id="B19",
    version=1,
    check=check,
    evidence=("place", "file", "paper", "font", "size_pt", "case"),
    settings={"fonts": ("Times New Roman",), "least_pt": 13, "most_pt": 14},
    cases=("paper", "font", "size"),
    directions=("submission",),
)
