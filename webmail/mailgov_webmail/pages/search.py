"""Search over all folders but junk and trash, or in one of them."""

from starlette.responses import Response

from mailgov_webmail.mailbox import Folder
from mailgov_webmail.pages.folder import Row, row
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.places import folder_of, name_of, slug
from mailgov_webmail.visit import Visit

MOST_RESULTS = 50
MAX_QUESTION = 200
_LEFT_OUT = ("junk", "trash")


async def show(visit: Visit) -> Response:
    """The form, and what was found."""
    mailbox = visit.mailbox()
    folders = await mailbox.folders()
    question = " ".join(visit.query("q")[:MAX_QUESTION].split())
    inside = visit.query("in")
    places: list[Folder] = [f for f in folders if f.role not in _LEFT_OUT]
    if inside:
        places = [folder_of(inside, folders)]
    found: list[tuple[Row, str]] = []
    more = False
    if question:
        listings = [(f, await mailbox.search(f.name, question, MOST_RESULTS)) for f in places]
        hits = [
            (summary, listing.uidvalidity, folder)
            for folder, listing in listings
            for summary in listing.rows
        ]
        hits.sort(key=lambda hit: hit[0].received_at, reverse=True)
        more = sum(listing.total for _, listing in listings) > min(len(hits), MOST_RESULTS)
        found = [
            (row(summary, uidvalidity, folder, visit), name_of(folder, visit.words))
            for summary, uidvalidity, folder in hits[:MOST_RESULTS]
        ]
    return await framed_page(
        visit,
        "search.html",
        folders=folders,
        question=question,
        inside=inside,
        found=found,
        more=more,
        places=[(slug(f), name_of(f, visit.words)) for f in folders],
    )
