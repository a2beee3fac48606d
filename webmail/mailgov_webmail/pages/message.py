"""Reading: the message, its safe body in a frame, its source, its files."""

import asyncio
import io
import re
import zipfile
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import quote

from sqlmodel import Session, col, select
from starlette.responses import HTMLResponse, Response

from mailgov import texts
from mailgov.clock import VIETNAM, local_date
from mailgov.content.declared import declared
from mailgov.db.models import EventRow
from mailgov.errors import InputError, NotFound, Unavailable
from mailgov.ledger import record
from mailgov.ledger.events import MessageOpened
from mailgov.logs import logger
from mailgov_webmail import html_mail, reading
from mailgov_webmail.compose.build import file_name
from mailgov_webmail.compose.documents import label
from mailgov_webmail.compose.letter import URGENCIES
from mailgov_webmail.compose.prefill import answer_count
from mailgov_webmail.explaining import explained_marks
from mailgov_webmail.mailbox import FLAGGED, SEEN, Folder
from mailgov_webmail.pages.folder import NOT_TARGETS
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.places import MessageRef, folder_of, name_of, slug
from mailgov_webmail.reading import Attachment, Reading
from mailgov_webmail.security import FILE_POLICY, MAIL_POLICY
from mailgov_webmail.standing import Standing, standing
from mailgov_webmail.visit import Visit

log = logger("webmail")

ASK_REPLY_ALL_FROM = 20  # people

# Types that a browser may be told; the rest is bytes.
_TOLD_TYPES = re.compile(
    r"application/(?:pdf|zip|msword|rtf|vnd\.(?:openxmlformats-officedocument|oasis\.opendocument|"
    r"ms-(?:excel|powerpoint))[a-z.]*)|image/(?:png|jpeg|gif|webp|tiff)|text/plain"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A message where the address says it is."""

    folders: tuple[Folder, ...]
    folder: Folder
    ref: MessageRef
    data: bytes

    @property
    def path(self) -> str:
        """The address of its page."""
        return f"/mail/{slug(self.folder)}/{self.ref}"

    def read_now(self) -> "Found":
        """The same, its folder with one unread message less."""
        folder = replace(self.folder, unread=max(0, self.folder.unread - 1))
        folders = tuple(folder if one is self.folder else one for one in self.folders)
        return replace(self, folder=folder, folders=folders)


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """What the sender declared of a document, in words."""

    kind: str
    symbol: str
    urgency: str
    due: str


async def show(visit: Visit) -> Response:
    """The page of a message. Opening marks it read, and is an act of use."""
    found = await _found(visit)
    mailbox = visit.mailbox()
    flags = await mailbox.flags(found.folder.name, found.ref.uidvalidity, found.ref.uid)
    try:
        message = await _read(visit, found)
    except InputError as error:
        return await framed_page(
            visit,
            "message_unreadable.html",
            folders=found.folders,
            current=found.folder,
            path=found.path,
            error=error,
        )
    body, blocked = await _body(message)
    seen = standing(message, visit.services.config.site.hostname, visit.services.config.authserv_id)
    if SEEN not in flags and not _is_prefetch(visit) and not visit.account.only_reads:
        await mailbox.set_flags(found.folder.name, [found.ref.uid], add=[SEEN])
        found = found.read_now()
    await _note_opened(visit, seen, message.header.message_id)
    plain = bool(visit.query("text")) or not body
    return await framed_page(
        visit,
        "message.html",
        folders=found.folders,
        current=found.folder,
        folder=found.folder,
        folder_slug=slug(found.folder),
        folder_name=name_of(found.folder, visit.words),
        path=found.path,
        token_of_message=f"{found.ref}-1{int(FLAGGED in flags)}",
        flagged=FLAGGED in flags,
        message=message,
        standing=seen,
        marks=await explained_marks(visit, seen),
        told=bool(visit.query("told")),
        document=_document(message, visit),
        has_html=bool(body),
        plain=plain,
        blocked=blocked,
        frame_height=_height(body) if not plain else 0,
        everyone=answer_count(message, visit.account.may_send_as),
        ask_from=ASK_REPLY_ALL_FROM,
        targets=[
            (slug(f), name_of(f, visit.words))
            for f in found.folders
            if f != found.folder and f.role not in NOT_TARGETS
        ],
    )


async def body(visit: Visit) -> Response:
    """The HTML body as a document of its own, which may only be framed by our page."""
    message = await _read(visit, await _found(visit))
    safe, _ = await _body(message)
    answer = HTMLResponse(html_mail.framed(html_mail.Sanitised(safe), message.language or "vi"))
    answer.headers["Content-Security-Policy"] = MAIL_POLICY
    return answer


async def print_view(visit: Visit) -> Response:
    """The message on paper: everything that a file needs to know of it."""
    message = await _read(visit, await _found(visit))
    return visit.page("print.html", message=message, document=_document(message, visit))


async def raw(visit: Visit) -> Response:
    """The source, byte for byte; with `download=1` as a file."""
    found = await _found(visit)
    headers = {"Content-Security-Policy": FILE_POLICY}
    if visit.query("download"):
        headers["Content-Disposition"] = disposition(f"thu-{found.ref.uid}.eml")
        return Response(found.data, media_type="application/octet-stream", headers=headers)
    return Response(found.data, media_type="text/plain; charset=utf-8", headers=headers)


async def attachment(visit: Visit) -> Response:
    """One file, always as a download."""
    message = await _read(visit, await _found(visit))
    number = visit.request.path_params["part"]
    part = message.part(number)
    if part is None:
        raise NotFound("file-missing")
    name = next(file.name for file in message.files if file.number == number)
    content = await asyncio.to_thread(part.content)
    return _download(content, name, part.media_type)


async def attachments(visit: Visit) -> Response:
    """All files in one archive."""
    message = await _read(visit, await _found(visit))
    if not message.files:
        raise NotFound("file-missing")
    content = await asyncio.to_thread(_zipped, message)
    return _download(content, f"{message.header.subject[:60] or 'tep'}.zip", "application/zip")


def disposition(name: str) -> str:
    """`attachment` with its name for old and new browsers (RFC 6266, 4.1 and appendix D)."""
    shown = file_name(name)
    plain = re.sub(r'[^ -~]|["\\%]', "_", texts.without_marks(shown))
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"


def _download(content: bytes, name: str, media_type: str) -> Response:
    told = media_type if _TOLD_TYPES.fullmatch(media_type) else "application/octet-stream"
    headers = {"Content-Disposition": disposition(name), "Content-Security-Policy": FILE_POLICY}
    return Response(content, media_type=told, headers=headers)


def _zipped(message: Reading) -> bytes:
    stream = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in message.files:
            part = message.part(file.number)
            assert part is not None  # it is in the list
            archive.writestr(_free_name(file, taken), part.content())
    return stream.getvalue()


def _free_name(file: Attachment, taken: set[str]) -> str:
    """The file's name, with its number before it where another file has the same."""
    name = file_name(file.name)
    if name.lower() in taken:
        name = f"{file.number}-{name}"
    taken.add(name.lower())
    return name


async def _found(visit: Visit) -> Found:
    mailbox = visit.mailbox()
    ref = MessageRef.parse(visit.request.path_params["mid"])
    folders = tuple(await mailbox.folders())
    folder = folder_of(visit.request.path_params["folder"], folders)
    data = await mailbox.fetch_raw(folder.name, ref.uidvalidity, ref.uid)
    return Found(folders, folder, ref, data)


async def _read(visit: Visit, found: Found) -> Reading:
    return await asyncio.to_thread(reading.read, found.data, visit.services.config.limits)


async def _body(message: Reading) -> tuple[str, int]:
    """The safe HTML, empty where there is none, and how many remote images are blocked."""
    if not message.html:
        return "", 0

    def work() -> tuple[str, int]:
        try:
            safe = html_mail.sanitise(message.html, message.images())
        except ValueError:
            return "", 0  # its text is shown instead
        return safe.html, safe.blocked

    return await asyncio.to_thread(work)


def _height(body: str) -> int:
    """Pixels for the frame, which can't say itself how high it is: it runs nothing."""
    words = re.sub(r"<[^<>]*>", "", body)
    lines = len(words) / 90 + len(re.findall(r"<(?:p|div|br|tr|li|h\d)\b", body)) * 0.9
    pictures = body.count("<img") * 160
    return max(160, min(1600, int(lines * 25 + pictures + 60)))


def _document(message: Reading, visit: Visit) -> DocumentLine | None:
    """What the sender declared, in the form or by a tag in the subject."""
    found = declared(message.field("mailgov-document"), message.header.subject)
    if found is None:
        return None
    kind = label(found.type, visit.language) or label(found.category, visit.language)
    urgency = texts.without_marks(found.urgency).lower().replace(" ", "-")
    due = date.fromisoformat(found.due) if found.due else None
    return DocumentLine(
        kind,
        found.notation or found.symbol,
        visit.words(f"urgency.{urgency}") if urgency in URGENCIES else "",
        f"{due:%d/%m/%Y}" if due else "",
    )


def _is_prefetch(visit: Visit) -> bool:
    """Whether a browser only guesses that somebody will look."""
    headers = visit.request.headers
    return "prefetch" in headers.get("sec-purpose", "") + headers.get("purpose", "")


async def _note_opened(visit: Visit, seen: Standing, message_id: str) -> None:
    """Write down the act of use: once for a message and day. Trouble with it keeps nobody from reading."""
    if _is_prefetch(visit):
        return
    today = visit.now.astimezone(VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0)
    name = seen.queue_id or f"<{message_id.strip('<>')[:200]}>"

    def work(session: Session) -> None:
        known = session.exec(
            select(EventRow.id).where(
                EventRow.message_id == name,
                EventRow.kind == MessageOpened.kind,
                EventRow.mailbox == visit.account.address,
                col(EventRow.at) >= today,
                col(EventRow.at) < today + timedelta(days=1),
            )
        ).first()
        if known is None:
            record(
                session,
                MessageOpened(
                    at=visit.now,
                    message_id=name,
                    mailbox=visit.account.address,
                    agency_code=visit.account.agency_code,
                    actor=visit.account.address,
                ),
            )

    try:
        await visit.services.database.submit(work)
    except Unavailable:
        log.warning("opened.unrecorded", day=local_date(visit.now).isoformat())
