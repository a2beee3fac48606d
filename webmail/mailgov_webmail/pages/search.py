"""Search over all folders but junk and trash, or where the question says."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from mailgov.clock import local_date
from mailgov_webmail.compose.documents import groups
from mailgov_webmail.mailbox import Folder, Mailbox
from mailgov_webmail.pages.folder import Row, row
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.places import name_of, slug
from mailgov_webmail.question import (
    EVERYWHERE,
    MAX_LETTERS,
    OPERATORS,
    STATES,
    Question,
    filled_in,
    parse,
)
from mailgov_webmail.visit import Visit, see

MOST_RESULTS = 50
_LEFT_OUT = ("junk", "trash")


async def show(visit: Visit) -> Response:
    """The form, and what was found. What the filter form was given is asked with operators."""
    mailbox = visit.mailbox()
    folders = await mailbox.folders()
    names = {name_of(folder, visit.words): slug(folder) for folder in folders}
    text = " ".join(visit.query("q")[:MAX_LETTERS].split())
    chosen = filled_in((name, visit.query(name)) for name in OPERATORS)
    question = parse(f"{text} {chosen}", local_date(visit.now), names)
    if chosen:
        text = question.written(visit.language, names)
        if not question.problems:
            return see(f"/search?{urlencode({'q': text})}")
    found: list[tuple[Row, str]] = []
    more = False
    if question.terms and not question.problems:
        found, more = await _found(visit, mailbox, _places(question, folders), question.criteria())
    return await framed_page(
        visit,
        "search.html",
        folders=folders,
        question=text,
        asked=question,
        beside=question.beside().written(visit.language, names),
        found=found,
        more=more,
        places=[
            *((at, name) for name, at in names.items()),
            (EVERYWHERE, visit.words("search.all")),
        ],
        kinds=groups(visit.language, ()),
        states=list(STATES),
    )


def _places(question: Question, folders: Sequence[Folder]) -> list[Folder]:
    inside = question.value("in")
    if inside == EVERYWHERE:
        return list(folders)
    if inside:
        return [folder for folder in folders if slug(folder) == inside]
    left_out = {t.value for t in question.terms if t.operator == "in" and t.excluded}
    return [f for f in folders if f.role not in _LEFT_OUT and slug(f) not in left_out]


async def _found(
    visit: Visit, mailbox: Mailbox, places: Sequence[Folder], criteria: str
) -> tuple[list[tuple[Row, str]], bool]:
    """The newest messages with the names of their folders, and whether there are more."""
    listings = [(f, await mailbox.search(f.name, criteria, MOST_RESULTS)) for f in places]
    hits = [
        (summary, listing.uidvalidity, folder)
        for folder, listing in listings
        for summary in listing.rows
    ]
    hits.sort(key=lambda hit: hit[0].received_at, reverse=True)
    rows = [
        (row(summary, uidvalidity, folder, visit), name_of(folder, visit.words))
        for summary, uidvalidity, folder in hits[:MOST_RESULTS]
    ]
    return rows, sum(listing.total for _, listing in listings) > len(rows)
