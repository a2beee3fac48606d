"""Writing: every button saves first, so that nothing typed is ever lost.

Each action is a plain form post. Our script asks two of them for less than a page: `save` for JSON,
`check` for the panel of findings.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from mailgov.clock import VIETNAM
from mailgov.errors import InputError, MailgovError, NotAllowed, NotFound, Unavailable
from mailgov.gate.outcome import Judgement
from mailgov.holding.wrong import Struck
from mailgov_webmail import reading
from mailgov_webmail.compose import findings
from mailgov_webmail.compose.build import file_name
from mailgov_webmail.compose.documents import groups
from mailgov_webmail.compose.drafts import (
    Draft,
    DraftChanged,
    Drafts,
    File,
    Undo,
    is_draft_id,
    new_draft_id,
)
from mailgov_webmail.compose.letter import URGENCIES, Letter, known_document
from mailgov_webmail.compose.prefill import Kind, prefilled
from mailgov_webmail.compose.repair import converted, copy_name, unicode_copy
from mailgov_webmail.compose.sending import Problem, Sender, Sent, keep_copy
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.pages.outbox import outbox_of
from mailgov_webmail.pages.wrong import intervention, note, require_rule
from mailgov_webmail.people import without
from mailgov_webmail.places import Done, MessageRef, folder_of
from mailgov_webmail.reading import Attachment, Reading
from mailgov_webmail.visit import Page, Visit, see

CHECK_SECONDS = 20.0  # longer than any reader may take; then the page says that sending will tell
LATEST = timedelta(days=60)  # from now, to be sent by itself
NOON = 12
_KINDS: dict[str, Kind] = {"reply": "reply", "all": "all", "forward": "forward", "edit": "edit"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A visit to one draft."""

    visit: Visit
    draft_id: str
    drafts: Drafts

    @property
    def sender(self) -> Sender:
        """Whoever writes."""
        return Sender(self.visit.services, self.visit.account, self.drafts, self.visit.client_ip)

    @property
    def path(self) -> str:
        """The address of the draft's page."""
        return f"/compose/{self.draft_id}"


Act = Callable[[Desk], Awaitable[Response]]


async def start(visit: Visit) -> Response:
    """A new letter gets its name; nothing is kept before something was written.

    Raises NotAllowed `mailbox-only-read`.
    """
    if visit.account.only_reads:
        raise NotAllowed("mailbox-only-read", address=visit.account.address)
    query = f"?{visit.request.url.query}" if visit.request.url.query else ""
    return see(f"/compose/{new_draft_id()}{query}")


async def show(visit: Visit) -> Response:
    """The draft as kept, or a new letter as the address asks for it."""
    desk = _desk(visit)
    draft = await desk.drafts.find(desk.draft_id)
    if draft is None:
        letter, files = await _new_letter(visit)
        return await _page(desk, Draft(desk.draft_id, letter), original_files=files)
    if draft.state == "sent":
        return see("/mail/sent")
    if draft.state in ("waiting", "sending"):
        return see("/outbox")
    if draft.state == "discarded":
        raise NotFound("draft-missing")
    if draft.state == "failed":
        return await _checked_page(desk, draft, notice="failed")
    notice = next((name for name in ("kept", "saved", "fixed") if visit.query(name)), "")
    return await _page(desk, draft, notice=notice)


def keeping(act: Act) -> Page:
    """A post whose text must survive it: whatever goes wrong, the page comes back with the letter."""

    async def page(visit: Visit) -> Response:
        desk = _desk(visit)
        try:
            return await act(desk)
        except DraftChanged:
            return await _changed_elsewhere(desk)
        except MailgovError as error:
            if visit.wants_json():
                raise
            draft = await _as_posted(desk)
            return await _page(desk, draft, trouble=error, status=_status(error))

    return page


async def save(desk: Desk) -> Response:
    """Keep what is written."""
    visit = desk.visit
    draft = await _saved(desk)
    if visit.wants_json():
        saved_at = visit.words("compose.saved-at", at=visit.words.brief(visit.now))
        return JSONResponse({"version": draft.version, "saved": saved_at})
    return see(f"{desk.path}?saved=1")


async def attach(desk: Desk) -> Response:
    """Keep the chosen files with the draft."""
    await _saved(desk)
    return see(f"{desk.path}?saved=1#files-title")


async def check(desk: Desk) -> Response:
    """Ask the gate what would become of the letter."""
    if desk.visit.query("part") == "findings":
        return await _findings_only(desk)
    return await _checked_page(desk, await _saved(desk))


async def fix(desk: Desk) -> Response:
    """Carry out the repair that the pressed button names, and look again."""
    wish, _, about = desk.visit.text("fix").partition(":")
    if wish == "erase":
        await desk.drafts.erase(desk.draft_id)
        return _done(desk, Done("erased-draft", 1), "/mail/inbox")
    before = await desk.drafts.find(desk.draft_id)
    draft = await _saved(desk)
    if wish == "undo":
        draft = await _undone(desk, draft, before.undo if before else None)
    else:
        draft = await _repaired(desk, draft, wish, about)
    return await _checked_page(desk, draft, notice="fixed")


async def wrong(desk: Desk) -> Response:
    """Tell the keepers of a rule that its finding is wrong; the letter stays as it is."""
    visit = desk.visit
    number, _, code = visit.text("wrong").partition(":")
    await require_rule(visit, code)
    draft = await _saved(desk)
    by = intervention(visit, visit.text(f"wrong-{number}"))
    struck = Struck(code, visit.account.agency_code, draft=desk.draft_id)
    await visit.services.database.submit(
        lambda session: note(session, visit, struck, by, "compose")
    )
    visit.services.queue.wake()
    return await _checked_page(desk, draft, notice="told")


async def send(desk: Desk) -> Response:
    """Send, or say why not; the letter stays open until the gate has taken it."""
    before = await desk.drafts.find(desk.draft_id)
    if before is not None and before.state in ("waiting", "sending", "sent"):
        return see("/mail/sent" if before.state == "sent" else "/outbox")  # it was pressed twice
    due_at = _due_at(desk.visit)
    draft = await _saved(desk)
    problems = await desk.sender.problems(draft.letter)
    if desk.visit.account.only_reads:
        problems = [Problem("letter", "compose.suspended")]
    if problems:
        return await _page(desk, draft, problems=problems, status=422)
    if not await desk.drafts.claim(desk.draft_id):
        return see("/outbox")
    return await (_send_claimed(desk, draft) if due_at is None else _put_by(desk, draft, due_at))


async def discard(desk: Desk) -> Response:
    """Drop the draft; the notice brings it back."""
    await desk.drafts.discard(desk.draft_id)
    return _done(desk, Done("discard", 1, draft=desk.draft_id), "/mail/drafts")


async def _put_by(desk: Desk, draft: Draft, due_at: datetime) -> Response:
    """Into the outbox, if the letter may leave as it stands."""
    visit = desk.visit
    async with _released_on_trouble(desk):
        objection = await desk.sender.objection(draft)
        if objection is not None:
            return await _refused(desk, draft, objection)
        await outbox_of(visit).put(desk.draft_id, due_at, visit.client_ip)
    visit.parts.postman.wake()
    seconds = round((due_at - visit.now).total_seconds())
    soon = seconds <= visit.services.config.web.undo_seconds
    when = visit.words("outbox.seconds", n=seconds) if soon else visit.words.moment(due_at)
    return _done(desk, Done("queued", 1, to=when, draft=desk.draft_id), "/mail/inbox")


async def _send_claimed(desk: Desk, draft: Draft) -> Response:
    async with _released_on_trouble(desk):
        result = await desk.sender.send(draft, unless_asked=not draft.letter.reason)
    if not isinstance(result, Sent):
        return await _refused(desk, draft, result)
    if not result.outcome.accepted:
        return await _refused(desk, draft, result.outcome)
    copied = await keep_copy(desk.visit.mailbox(), result.message, draft.letter)
    await desk.drafts.sent(desk.draft_id, draft.letter.document)
    verb = "sent" if result.outcome.verdict.delivers else "held"
    return _done(desk, Done(verb if copied else f"{verb}-uncopied", 1), "/mail/inbox")


@asynccontextmanager
async def _released_on_trouble(desk: Desk) -> AsyncIterator[None]:
    """The draft is the writer's again, whatever goes wrong."""
    try:
        yield
    except BaseException:
        await desk.drafts.release(desk.draft_id)
        raise


async def _refused(desk: Desk, draft: Draft, judgement: Judgement) -> Response:
    """The letter comes back with what strikes it."""
    await desk.drafts.release(desk.draft_id)
    summary = findings.summary(judgement, draft, desk.visit.words)
    await desk.drafts.checked(desk.draft_id, summary.codes)
    return await _page(desk, draft, summary=summary, refused=True, status=422)


def _due_at(visit: Visit) -> datetime | None:
    """When the letter shall leave; None: at once. Raises InputError `send-later-not-valid`."""
    if chosen := visit.text("later"):
        try:
            due_at = datetime.fromisoformat(chosen)
        except ValueError:
            raise InputError("send-later-not-valid") from None
        if due_at.tzinfo is None or not visit.now < due_at <= visit.now + LATEST:
            raise InputError("send-later-not-valid")
        return due_at
    seconds = visit.services.config.web.undo_seconds
    return visit.now + timedelta(seconds=seconds) if seconds else None


def later_choices(now: datetime) -> list[tuple[str, datetime]]:
    """When people send later: in an hour, this afternoon, tomorrow morning, on Monday."""
    here = now.astimezone(VIETNAM).replace(second=0, microsecond=0)
    morning = (here + timedelta(days=1)).replace(hour=7, minute=30)
    monday = morning + timedelta(days=-morning.weekday() % 7)
    choices = [("hour", here + timedelta(hours=1))]
    if here.hour < NOON:
        choices.append(("afternoon", here.replace(hour=13, minute=30)))
    choices.append(("tomorrow", morning))
    return [*choices, ("monday", monday)] if monday != morning else choices


async def _findings_only(desk: Desk) -> Response:
    """The panel for our script: the letter as typed, the files as kept; nothing is saved."""
    stored = await desk.drafts.find(desk.draft_id)
    draft = replace(
        stored or Draft(desk.draft_id, Letter()), letter=Letter.from_form(desk.visit.text)
    )
    summary, trouble = await _judged(desk, draft)
    return desk.visit.page(
        "findings.html", summary=summary, trouble=trouble, draft=draft, refused=False
    )


async def _checked_page(desk: Desk, draft: Draft, *, notice: str = "") -> Response:
    summary, trouble = await _judged(desk, draft)
    return await _page(desk, draft, summary=summary, trouble=trouble, notice=notice)


async def _judged(desk: Desk, draft: Draft) -> tuple[findings.Summary | None, MailgovError | None]:
    """What the gate says, or why it can't say anything now."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            judgement = await desk.sender.judge(draft)
    except TimeoutError:
        return None, Unavailable("check-late")
    except Unavailable as error:
        return None, error
    words = desk.visit.words
    summary = findings.summary(judgement, draft, words)
    await desk.drafts.checked(desk.draft_id, summary.codes)
    wrong = [
        findings.wrong_field(problem.target, words(problem.key, about=problem.about), words)
        for problem in await desk.sender.problems(draft.letter)
        if problem.about  # what is merely not filled in yet is told when it is sent
    ]
    return replace(summary, findings=(*wrong, *summary.findings)), None


async def _saved(desk: Desk) -> Draft:
    """Keep the form: text, and the files that came with it."""
    visit = desk.visit
    letter = Letter.from_form(visit.text)
    draft = await desk.drafts.save(desk.draft_id, letter, _version(visit))
    files = [*await _original_files(visit, letter), *await _uploads(visit, "files")]
    if files:
        _require_room(desk, draft, files)
        draft = await desk.drafts.add_files(desk.draft_id, draft.version, files)
    return draft


def _require_room(desk: Desk, draft: Draft, files: Sequence[tuple[str, str, bytes]]) -> None:
    limit = desk.visit.services.config.web.upload_bytes
    if draft.size_bytes + sum(len(content) for _, _, content in files) > limit:
        raise InputError("draft-too-large", limit_mb=limit >> 20)


async def _uploads(visit: Visit, field: str) -> list[tuple[str, str, bytes]]:
    found = []
    for upload in visit.form.getlist(field):
        if isinstance(upload, UploadFile) and upload.filename:
            media_type = (upload.content_type or "application/octet-stream").split(";")[0].strip()
            found.append((file_name(upload.filename), media_type[:150], await upload.read()))
    return found


async def _original_files(visit: Visit, letter: Letter) -> list[tuple[str, str, bytes]]:
    """Files of a message that is handed on, as ticked, when its letter is first kept."""
    numbers = [value for value in visit.form.getlist("keep") if isinstance(value, str)]
    if not numbers or _version(visit) != 0:
        return []
    original = await _source(visit, letter.source.partition(" ")[2])
    found = []
    for file in original.files:
        part = original.part(file.number) if file.number in numbers else None
        if part is not None:
            content = await asyncio.to_thread(part.content)
            found.append((file_name(file.name), file.media_type, content))
    return found


async def _repaired(desk: Desk, draft: Draft, wish: str, about: str) -> Draft:
    """One step of repair, which `undo` takes back."""
    letter, drafts, version = draft.letter, desk.drafts, draft.version
    if wish in ("remove", "replace", "unicode-name", "unicode-file") and about.isdigit():
        return await _file_repaired(desk, draft, wish, int(about))
    if wish == "unicode" and about in ("subject", "body"):
        text = await asyncio.to_thread(converted, getattr(letter, about))
        letter = replace(letter, subject=text) if about == "subject" else replace(letter, body=text)
    elif wish == "document" and known_document(about):
        letter = replace(letter, document=about)
    elif wish == "recipient":
        boxes = {name: without(getattr(letter, name), about) for name in ("to", "cc", "bcc")}
        letter = replace(letter, **boxes)
    else:
        raise InputError("action-unknown", action=wish)
    undo = Undo(draft.letter.subject, draft.letter.body) if wish == "unicode" else None
    return await drafts.save(desk.draft_id, letter, version, undo=undo)


async def _file_repaired(desk: Desk, draft: Draft, wish: str, file_id: int) -> Draft:
    file = next((file for file in draft.files if file.id == file_id), None)
    if file is None:
        raise NotFound("file-missing")
    drafts, version = desk.drafts, draft.version
    if wish == "unicode-name":
        return await drafts.rename_file(desk.draft_id, version, file_id, converted(file.name))
    if wish == "unicode-file":
        return await _copied_to_unicode(desk, draft, file)
    if wish == "replace":
        files = await _uploads(desk.visit, f"replacement-{file_id}")
        if not files:
            return draft  # nothing was chosen to put in its place
        _require_room(desk, draft, files)
        version = (await drafts.add_files(desk.draft_id, version, files)).version
    return await drafts.take_out(desk.draft_id, version, file_id)


async def _copied_to_unicode(desk: Desk, draft: Draft, file: File) -> Draft:
    """The file again in Unicode, beside the original, which the writer takes out."""
    ((_, content),) = await desk.drafts.contents(replace(draft, files=(file,)))
    readers = desk.visit.services.config.readers
    data = await asyncio.to_thread(unicode_copy, file, content, readers)
    if not data:
        return draft
    files = [(copy_name(file.name), file.media_type, data)]
    _require_room(desk, draft, files)
    return await desk.drafts.add_files(desk.draft_id, draft.version, files, as_repair=True)


async def _undone(desk: Desk, draft: Draft, undo: Undo | None) -> Draft:
    """Back to before the last repair; nothing where something was written since."""
    if undo is None:
        return draft
    if undo.added_id:
        return await desk.drafts.take_out(desk.draft_id, draft.version, undo.added_id)
    if undo.file_id:
        return await desk.drafts.put_back(desk.draft_id, draft.version, undo.file_id)
    letter = replace(draft.letter, subject=undo.subject, body=undo.body)
    return await desk.drafts.save(desk.draft_id, letter, draft.version)


async def _new_letter(visit: Visit) -> tuple[Letter, tuple[Attachment, ...]]:
    """What `reply`, `all`, `forward`, `edit` or `to` in the address ask for."""
    for name, kind in _KINDS.items():
        if source := visit.query(name):
            original = await _source(visit, source)
            own = visit.account.may_send_as
            letter = prefilled(kind, original, source, own, visit.words)
            return letter, original.files if kind in ("forward", "edit") else ()
    fields = {"to": visit.query("to"), "subject": visit.query("subject")}
    return Letter.from_form(lambda name: fields.get(name, "")), ()


async def _source(visit: Visit, path: str) -> Reading:
    """The message behind `inbox/1.2`."""
    slug, _, reference = path.partition("/")
    mailbox = visit.mailbox()
    ref = MessageRef.parse(reference)
    folder = folder_of(slug, await mailbox.folders())
    data = await mailbox.fetch_raw(folder.name, ref.uidvalidity, ref.uid)
    return await asyncio.to_thread(reading.read, data, visit.services.config.limits)


def _desk(visit: Visit) -> Desk:
    draft_id = visit.request.path_params["cid"]
    if not is_draft_id(draft_id):
        raise NotFound("draft-missing")
    services = visit.services
    return Desk(visit, draft_id, Drafts(services.database, services.clock, visit.account))


def _version(visit: Visit) -> int:
    text = visit.text("version")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _done(desk: Desk, done: Done, path: str) -> Response:
    signed_in = desk.visit.signed_in
    assert signed_in is not None
    return see(f"{path}?{urlencode({'done': done.sealed(signed_in.csrf, desk.visit.now)})}")


async def _changed_elsewhere(desk: Desk) -> Response:
    """Another tab or device has saved since: show this text, and let the writer decide."""
    if desk.visit.wants_json():
        return JSONResponse({"error": "changed"}, 409)
    stored = await desk.drafts.find(desk.draft_id)
    if stored is None:
        raise NotFound("draft-missing")
    draft = replace(stored, letter=Letter.from_form(desk.visit.text))
    return await _page(desk, draft, notice="changed", status=409)


async def _as_posted(desk: Desk) -> Draft:
    """The letter of the form, with the files that are kept, where they can be looked up."""
    posted = Draft(desk.draft_id, Letter.from_form(desk.visit.text), _version(desk.visit))
    try:
        stored = await desk.drafts.find(desk.draft_id)
    except Unavailable:
        return posted
    if stored is None or stored.letter == posted.letter:
        return stored or posted  # kept before the trouble came: the form goes on from there
    return replace(stored, letter=posted.letter, version=posted.version)


def _status(error: MailgovError) -> int:
    return 503 if isinstance(error, Unavailable) else 422


async def _recent(desk: Desk) -> tuple[str, ...]:
    """The writer's own document types; a page with text must not fail for want of them."""
    try:
        return await desk.drafts.recent_documents()
    except Unavailable:
        return ()


async def _page(
    desk: Desk,
    draft: Draft,
    *,
    summary: findings.Summary | None = None,
    problems: Sequence[Problem] = (),
    trouble: MailgovError | None = None,
    refused: bool = False,
    notice: str = "",
    original_files: Sequence[Attachment] = (),
    status: int = 200,
) -> Response:
    visit = desk.visit
    wrong = {problem.target for problem in problems}
    return await framed_page(
        visit,
        "compose.html",
        status=status,
        draft=draft,
        letter=draft.letter,
        path=desk.path,
        summary=summary,
        problems=problems,
        wrong=wrong,
        trouble=trouble,
        refused=refused,
        notice=notice,
        original_files=original_files,
        documents=groups(visit.language, await _recent(desk)),
        urgencies=URGENCIES,
        content_limit=visit.services.config.limits.content_bytes,
        later=[
            (key, at.isoformat(), visit.words.moment(at)) for key, at in later_choices(visit.now)
        ],
    )
