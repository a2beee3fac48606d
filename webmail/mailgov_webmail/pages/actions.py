"""What can be done to messages: at once, with a way back; only erasing asks first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from mailgov.errors import InputError, NotFound, Unavailable
from mailgov.ledger import record
from mailgov.ledger.events import MailUsed
from mailgov_webmail.compose.drafts import Drafts
from mailgov_webmail.mailbox import FLAGGED, SEEN, Folder, Mailbox, Role
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.pages.outbox import outbox_of
from mailgov_webmail.places import Done, MessageRef, folder_of, name_of, slug
from mailgov_webmail.visit import Visit, see

_TOKEN = re.compile(r"([0-9a-f]{1,8}\.[0-9a-f]{1,8})-([01])([01])")
_FLAG_VERBS: dict[str, tuple[str, bool]] = {
    "read": (SEEN, True),
    "unread": (SEEN, False),
    "flag": (FLAGGED, True),
    "unflag": (FLAGGED, False),
}
# What each verb counts as; all others file. Taking a mark off is no act of use.
_USES = {
    "read": "read",
    "unread": "",
    "flag": "",
    "unflag": "",
    "delete": "removed",
    "erase": "removed",
}
_MOVES: dict[str, Role] = {
    "archive": "archive",
    "junk": "junk",
    "delete": "trash",
    "restore": "inbox",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A message picked in a list, and its flags as the list showed them."""

    ref: MessageRef
    seen: bool
    flagged: bool


async def act(visit: Visit) -> Response:
    """Do what the pressed button says with the chosen messages."""
    mailbox = visit.mailbox()
    folders = await mailbox.folders()
    folder = folder_of(visit.text("folder"), folders)
    verb, chosen = _wish(visit)
    back = _back(visit, folder)
    if not chosen:
        return see(_with(back, "none", "1"))
    uidvalidity = chosen[0].ref.uidvalidity
    if any(one.ref.uidvalidity != uidvalidity for one in chosen):
        raise NotFound("message-missing", folder=folder.name)
    if await mailbox.uidvalidity(folder.name) != uidvalidity:
        raise NotFound("message-missing", folder=folder.name)
    if verb == "erase" and not visit.text("sure"):
        return await _ask(visit, folders, folder, chosen, back)
    done = await _carry_out(visit, mailbox, folders, folder, verb, chosen)
    await _note_use(visit, verb, done.count)
    assert visit.signed_in is not None
    return see(_with(back, "done", done.sealed(visit.signed_in.csrf, visit.now)))


async def _note_use(visit: Visit, verb: str, count: int) -> None:
    """Write down the act of use; trouble with it takes nothing back."""
    field = _USES.get(verb, "filed")
    if not field:
        return
    address = visit.account.address
    counts = {field: count}
    event = MailUsed(
        at=visit.now,
        mailbox=address,
        agency_code=visit.account.agency_code,
        actor=address,
        channel="web",
        read=counts.get("read", 0),
        filed=counts.get("filed", 0),
        removed=counts.get("removed", 0),
    )
    try:
        await visit.services.database.submit(lambda session: record(session, event))
    except Unavailable:
        return  # the messages are where they belong; the figure lacks one


async def undo(visit: Visit) -> Response:
    """Take back what a notice tells of."""
    assert visit.signed_in is not None
    opened = Done.opened(visit.text("done"), visit.signed_in.csrf, visit.now)
    if opened is None:
        raise InputError("undo-not-valid")
    done, _ = opened
    if done.verb == "queued":
        await outbox_of(visit).call_back(done.draft)
        return see(f"/compose/{done.draft}")
    if done.draft:
        drafts = Drafts(visit.services.database, visit.services.clock, visit.account)
        await drafts.restore(done.draft)
        return see(f"/compose/{done.draft}")
    mailbox = visit.mailbox()
    if done.uids and await mailbox.uidvalidity(done.folder) != done.uidvalidity:
        raise NotFound("message-missing", folder=done.folder)
    if done.add or done.remove:
        await mailbox.set_flags(done.folder, done.uids, add=done.add, remove=done.remove)
    if done.back_to:
        await mailbox.move(done.folder, done.uids, done.back_to)
    return see(_with(_local(visit.text("back")) or "/mail/inbox", "undone", "1"))


def _wish(visit: Visit) -> tuple[str, list[Chosen]]:
    """The verb and its messages: those ticked, or the one whose own button was pressed."""
    star = _TOKEN.fullmatch(visit.text("star"))
    if star is not None:
        one = _chosen(star)
        return ("unflag" if one.flagged else "flag"), [one]
    tokens = [value for value in visit.form.getlist("message") if isinstance(value, str)]
    found = [match for token in tokens if (match := _TOKEN.fullmatch(token))]
    return visit.text("do"), [_chosen(match) for match in found]


def _chosen(match: re.Match[str]) -> Chosen:
    return Chosen(MessageRef.parse(match[1]), match[2] == "1", match[3] == "1")


async def _carry_out(
    visit: Visit,
    mailbox: Mailbox,
    folders: Sequence[Folder],
    folder: Folder,
    verb: str,
    chosen: list[Chosen],
) -> Done:
    uids = [one.ref.uid for one in chosen]
    if verb in _FLAG_VERBS:
        return await _flag(mailbox, folder, verb, chosen)
    if verb == "erase":
        await mailbox.delete(folder.name, uids)
        return Done("erase", len(uids))
    if verb in _MOVES:
        to = next((f for f in folders if f.role == _MOVES[verb]), None)
        if to is None:
            raise NotFound("folder-missing", folder=_MOVES[verb])
    elif verb == "move":
        to = folder_of(visit.text("to"), folders)
    else:
        raise InputError("action-unknown", action=verb)
    new_uids = await mailbox.move(folder.name, uids, to.name)
    return Done(
        verb,
        len(uids),
        folder=to.name,
        uidvalidity=await mailbox.uidvalidity(to.name) if new_uids else 0,
        uids=list(new_uids),
        back_to=folder.name,
        to=name_of(to, visit.words),
    )


async def _flag(mailbox: Mailbox, folder: Folder, verb: str, chosen: list[Chosen]) -> Done:
    """Set or clear a flag where it is not so already, so that undo touches only these."""
    flag, wanted = _FLAG_VERBS[verb]
    changed = [
        one.ref.uid for one in chosen if (one.seen if flag == SEEN else one.flagged) is not wanted
    ]
    flags = [flag]
    if changed:
        await mailbox.set_flags(
            folder.name, changed, add=flags if wanted else (), remove=() if wanted else flags
        )
    return Done(
        verb,
        len(chosen),
        folder=folder.name,
        uidvalidity=chosen[0].ref.uidvalidity,
        uids=changed,
        add=() if wanted else flags,
        remove=flags if wanted else (),
    )


async def _ask(
    visit: Visit,
    folders: Sequence[Folder],
    folder: Folder,
    chosen: list[Chosen],
    back: str,
) -> Response:
    return await framed_page(
        visit,
        "erase.html",
        folders=folders,
        current=folder,
        folder_slug=slug(folder),
        messages=[f"{one.ref}-{int(one.seen)}{int(one.flagged)}" for one in chosen],
        back=back,
    )


def _back(visit: Visit, folder: Folder) -> str:
    return _local(visit.text("back")) or f"/mail/{slug(folder)}"


def _local(path: str) -> str:
    """A list of ours to go back to, without old notices; empty when it is none."""
    url = urlsplit(path)
    if url.scheme or url.netloc or not url.path.startswith(("/mail/", "/search")):
        return ""
    kept = [pair for pair in url.query.split("&") if pair and not pair.startswith(_NOTICES)]
    return url.path + (f"?{'&'.join(kept)}" if kept else "")


_NOTICES = ("done=", "none=", "undone=")


def _with(path: str, name: str, value: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode({name: value})}"
