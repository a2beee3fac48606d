"""The list of messages in a folder. Its whole state is in the address."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from mailgov_webmail.compose.drafts import Draft, Drafts
from mailgov_webmail.mailbox import FLAGGED, SEEN, Filter, Folder, Summary
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.places import MessageRef, folder_of, name_of, slug
from mailgov_webmail.visit import Visit, see

PAGE_ROWS = 50
MOST_PAGES = 1_000_000
NOT_TARGETS = ("drafts", "sent")  # what was not written here has no business there
_FILTERS: tuple[Filter, ...] = ("", "unread", "flag")


@dataclass(frozen=True, slots=True)
class Row:
    """A message in a list, ready to be shown."""

    id: str
    link: str
    unread: bool
    flagged: bool
    answered: bool
    person: str  # sender; in folders of own mail the first recipient
    others: int  # further recipients
    subject: str
    at: str
    at_full: str
    has_files: bool
    size: str

    @property
    def token(self) -> str:
        """The message and its state, as the boxes of the list send it."""
        return f"{self.id}-{int(not self.unread)}{int(self.flagged)}"


async def home(visit: Visit) -> Response:
    """The inbox is home."""
    return see("/mail/inbox" if visit.signed_in else "/login")


async def show(visit: Visit) -> Response:
    """One page of a folder."""
    mailbox = visit.mailbox()
    folders = await mailbox.folders()
    folder = folder_of(visit.request.path_params["folder"], folders)
    wanted = visit.query("filter")
    chosen: Filter = next((known for known in _FILTERS if known == wanted), "")
    number = _page_number(visit.query("page"))
    listing = await mailbox.page(folder.name, (number - 1) * PAGE_ROWS, PAGE_ROWS, chosen)
    pages = max(1, -(-listing.total // PAGE_ROWS))
    if number > pages:
        return see(_address(folder, pages, chosen))
    return await framed_page(
        visit,
        "folder.html",
        folders=folders,
        current=folder,
        mailbox=mailbox,
        folder=folder,
        folder_slug=slug(folder),
        title=name_of(folder, visit.words),
        rows=[row(summary, listing.uidvalidity, folder, visit) for summary in listing.rows],
        uidvalidity=listing.uidvalidity,
        total=listing.total,
        first=(number - 1) * PAGE_ROWS + 1,
        number=number,
        pages=pages,
        chosen=chosen,
        address=lambda page, filter: _address(folder, page, filter),  # noqa: A006
        targets=[
            (slug(f), name_of(f, visit.words))
            for f in folders
            if f.name != folder.name and f.role not in NOT_TARGETS
        ],
        drafts=await _drafts(visit) if folder.role == "drafts" and number == 1 else [],
    )


def row(summary: Summary, uidvalidity: int, folder: Folder, visit: Visit) -> Row:
    """A row of this or another list, such as that of a search."""
    outgoing = folder.role in ("sent", "drafts")
    sender = summary.from_name or summary.from_address
    person = (summary.to[0] if summary.to else "") if outgoing else sender
    reference = str(MessageRef(uidvalidity, summary.uid))
    return Row(
        id=reference,
        link=f"/mail/{slug(folder)}/{reference}",
        unread=SEEN not in summary.flags,
        flagged=FLAGGED in summary.flags,
        answered="\\Answered" in summary.flags,
        person=person,
        others=max(0, len(summary.to) - 1) if outgoing else 0,
        subject=summary.subject,
        at=visit.words.brief(summary.received_at),
        at_full=visit.words.moment(summary.received_at),
        has_files=summary.has_files,
        size=visit.words.size(summary.size_bytes),
    )


async def _drafts(visit: Visit) -> list[Draft]:
    drafts = Drafts(visit.services.database, visit.services.clock, visit.account)
    return list(await drafts.open_ones())


def _page_number(text: str) -> int:
    return min(int(text), MOST_PAGES) if text.isascii() and text.isdigit() and int(text[:8]) else 1


def _address(folder: Folder, page: int, filter: str) -> str:  # noqa: A002 - the word of the address bar
    query = {"page": str(page) if page > 1 else "", "filter": filter}
    text = urlencode({key: value for key, value in query.items() if value})
    return f"/mail/{slug(folder)}" + (f"?{text}" if text else "")
