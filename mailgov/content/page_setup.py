"""How a document is set: paper of its first page, and the font and size of most of its letters.

Decree 30/2020/NĐ-CP, Annex I, part I. Readers of PDF tell paper and fonts, docx its sizes as well; of other kinds
nothing is known. Never raises: what can't be told is left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pypdfium2

from mailgov.content.extract.docx_setup import read_setup
from mailgov.content.extract.pdf import first_page_mm
from mailgov.content.runs import Run, Unreadable
from mailgov_policies.facts import Page

_KINDS = ("docx", "pdf")


def page_of(kind: str, data: bytes, runs: Sequence[Run]) -> Page | None:
    """The page of a docx or PDF whose text these runs are; None for other kinds."""
    if kind not in _KINDS:
        return None
    page = Page(font=_commonest_font(runs))
    try:
        if kind == "docx":
            setup = read_setup(data)
            return replace(
                page,
                width_mm=setup.width_mm,
                height_mm=setup.height_mm,
                size_pt=setup.commonest_size_pt(),
            )
        width_mm, height_mm = first_page_mm(data)
        return replace(page, width_mm=width_mm, height_mm=height_mm)
    except (Unreadable, pypdfium2.PdfiumError):
        return page


def _commonest_font(runs: Sequence[Run]) -> str:
    letters: Counter[str] = Counter()
    for run in runs:
        letters[run.font] += len(run.text)
    return letters.most_common(1)[0][0] if letters else ""
