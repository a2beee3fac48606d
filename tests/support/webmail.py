"""The webmail without a network: mailboxes in memory, and a browser that runs no script."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

import lxml.html
from sqlmodel import SQLModel, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mailgov import services as platform
from mailgov.config import Config, load_config
from mailgov.content import read_message
from mailgov.db.models import EventRow
from mailgov.errors import NotFound
from mailgov.imap import mime, search
from mailgov.imap.wire import Scanner, SequenceSet
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov.services import Services
from mailgov_policies import facts
from mailgov_webmail.app import create_app
from mailgov_webmail.mailbox import FLAGGED, SEEN, Filter, Folder, Listing, Quota, Role, Summary

from .directory import AN, NOW, OFFICE, PASSWORD, fill_directory

FOLDERS: tuple[tuple[str, Role], ...] = (
    ("INBOX", "inbox"),
    ("Drafts", "drafts"),
    ("Sent", "sent"),
    ("Archive", "archive"),
    ("Junk", "junk"),
    ("Trash", "trash"),
)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


class ReaderHere:
    """Reads messages in this process; `trouble` is raised instead."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    async def read(self, body: Body) -> facts.Content:
        if self.trouble is not None:
            raise self.trouble
        return read_message(body.read())


@dataclass
class Stored:
    """A message in a folder."""

    data: bytes
    flags: set[str] = field(default_factory=set)
    received_at: datetime = NOW


class Sought:
    """A stored message as search keys see it."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self.flags = frozenset(stored.flags)
        self.received = int(stored.received_at.timestamp())
        self.size = len(stored.data)

    def in_sequence(self, numbers: SequenceSet) -> bool:
        raise NotImplementedError  # pages ask by UID

    def in_uids(self, numbers: SequenceSet) -> bool:
        raise NotImplementedError  # a search never asks for them

    def header(self) -> mime.Fields:
        return mime.parse(self._stored.data).fields

    def content(self) -> bytes:
        return self._stored.data


@dataclass
class MemoryMailbox:
    """One person's mail in memory; `trouble` is raised by whatever is asked next."""

    stored: dict[str, dict[int, Stored]] = field(
        default_factory=lambda: {name: {} for name, _ in FOLDERS}
    )
    roles: dict[str, Role] = field(default_factory=lambda: dict(FOLDERS))
    validity: int = 7
    trouble: Exception | None = None
    space: Quota | None = None
    next_uid: int = 1

    def put(self, data: bytes, folder: str = "INBOX", *flags: str, at: datetime = NOW) -> int:
        uid = self.next_uid
        self.next_uid += 1
        self.stored[folder][uid] = Stored(data, set(flags), at)
        return uid

    def _folder(self, name: str) -> dict[int, Stored]:
        if self.trouble is not None:
            raise self.trouble
        if name not in self.stored:
            raise NotFound("folder-missing", folder=name)
        return self.stored[name]

    async def folders(self) -> Sequence[Folder]:
        return [
            Folder(
                name,
                self.roles.get(name, ""),
                len(messages),
                sum(SEEN not in one.flags for one in messages.values()),
            )
            for name, messages in ((name, self._folder(name)) for name in self.stored)
        ]

    async def page(self, folder: str, offset: int, limit: int, filter: Filter = "") -> Listing:  # noqa: A002
        found = [
            (uid, one)
            for uid, one in sorted(self._folder(folder).items(), reverse=True)
            if filter == ""
            or (filter == "unread" and SEEN not in one.flags)
            or (filter == "flag" and FLAGGED in one.flags)
        ]
        rows = tuple(_summary(uid, one) for uid, one in found[offset : offset + limit])
        return Listing(folder, self.validity, len(found), rows)

    async def search(self, folder: str, criteria: str, limit: int) -> Listing:
        holds = search.parse(Scanner(criteria.encode()))
        found = [
            (uid, one)
            for uid, one in sorted(self._folder(folder).items(), reverse=True)
            if holds(Sought(one))
        ]
        rows = tuple(_summary(uid, one) for uid, one in found[:limit])
        return Listing(folder, self.validity, len(found), rows)

    async def uidvalidity(self, folder: str) -> int:
        self._folder(folder)
        return self.validity

    async def fetch_raw(self, folder: str, uidvalidity: int, uid: int) -> bytes:
        messages = self._folder(folder)
        if uidvalidity != self.validity or uid not in messages:
            raise NotFound("message-missing", folder=folder)
        return messages[uid].data

    async def flags(self, folder: str, uidvalidity: int, uid: int) -> frozenset[str]:
        await self.fetch_raw(folder, uidvalidity, uid)
        return frozenset(self.stored[folder][uid].flags)

    async def set_flags(
        self,
        folder: str,
        uids: Sequence[int],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        for uid in uids:
            if uid in self._folder(folder):
                self.stored[folder][uid].flags |= set(add)
                self.stored[folder][uid].flags -= set(remove)

    async def move(self, folder: str, uids: Sequence[int], to: str) -> Sequence[int]:
        self._folder(to)
        new = []
        for uid in uids:
            one = self._folder(folder).pop(uid, None)
            if one is not None:
                new.append(self.put(one.data, to, *one.flags, at=one.received_at))
        return new

    async def append(self, folder: str, data: bytes, flags: Sequence[str]) -> None:
        self._folder(folder)
        self.put(data, folder, *flags)

    async def delete(self, folder: str, uids: Sequence[int]) -> None:
        for uid in uids:
            self._folder(folder).pop(uid, None)

    async def quota(self) -> Quota | None:
        return self.space


def _parsed(data: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(data, policy=policy.default))


def _summary(uid: int, one: Stored) -> Summary:
    message = _parsed(one.data)
    sender = message["from"].addresses[0] if message["from"] else None
    to = message["to"].addresses if message["to"] else ()
    return Summary(
        uid=uid,
        flags=frozenset(one.flags),
        from_name=sender.display_name if sender else "",
        from_address=sender.addr_spec if sender else "",
        to=tuple(person.display_name or person.addr_spec for person in to),
        subject=str(message["subject"] or ""),
        received_at=one.received_at,
        size_bytes=len(one.data),
        has_files=any(True for _ in message.iter_attachments())
        if message.is_multipart()
        else False,
    )


def letter(
    subject: str = "Giấy mời họp giao ban quý IV",
    text: str = "Kính gửi ông.\n",
    *,
    sender: str = "Trần Thị B <ttb@sotaichinh.tinhmau.test>",
    to: str = AN,
    html: str = "",
    files: Mapping[str, bytes] | None = None,
    header: Mapping[str, str] | None = None,
) -> bytes:
    """A message as it lies in a mailbox."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = "Sat, 21 Nov 2026 08:05:00 +0700"
    message["Message-ID"] = f"<{abs(hash((subject, text, html)))}@sotaichinh.tinhmau.test>"
    for name, value in (header or {}).items():
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for name, content in (files or {}).items():
        message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return message.as_bytes()


@dataclass
class Site:
    """A webmail with An, the office, their mail, and the ledger behind it."""

    services: Services
    clock: Clock
    reader: ReaderHere
    app: Starlette
    mailboxes: dict[str, MemoryMailbox]
    clients: ExitStack = field(default_factory=ExitStack)

    @property
    def mail(self) -> MemoryMailbox:
        """An's mail."""
        return self.mailboxes[AN]

    def events(self, kind: str = "") -> list[EventRow]:
        with self.services.database.read() as session:
            rows = list(session.exec(select(EventRow)))
            session.expunge_all()
        return [row for row in rows if not kind or row.kind == kind]

    def browser(self, *, url: str = "http://localhost") -> "Browser":
        client = self.clients.enter_context(
            TestClient(self.app, base_url=url, follow_redirects=True)
        )
        return Browser(client)

    def signed_in(self, address: str = AN) -> "Browser":
        """Somebody who signed in a moment ago, without the cost of a password."""
        browser = self.browser()
        token = asyncio.run(self.token(address))
        # The domain that the cookie jar gives to a host without dots.
        browser.client.cookies.set("mailgov-session", token, domain="localhost.local", path="/")
        return browser.go("/mail/inbox")

    def send_due(self) -> int:
        """What the outboxes have due leaves now; how many letters were looked at."""
        sent: int = asyncio.run(self.app.state.parts.postman.send_due())
        return sent

    async def token(self, address: str = AN) -> str:
        """What the cookie of a new sign-in holds."""
        account = await self.services.directory.account(address)
        assert account is not None
        token: str = await self.app.state.parts.sessions.start(account, agent="test", ip="")
        return token

    def close(self) -> None:
        self.clients.close()
        self.services.directory.close()
        self.services.database.close()


def make_data(folder: Path) -> None:
    """Database and spool with An and the office, for many sites to begin with."""
    services = platform.build(_config(folder), clock=Clock())
    with services.database.write() as session:
        SQLModel.metadata.create_all(session.connection())
    with services.database.write() as session:
        fill_directory(session)
    services.spool.prepare(services.database)
    services.directory.close()
    services.database.close()


def _config(folder: Path, **sections: Any) -> Config:
    changes: dict[str, dict[str, Any]] = {
        "data": {"path": folder},
        "site": {"official_suffixes": ["gov.vn", "test"], "contact": "0123 456 789"},
        "sign_in": {"second_factor_roles": []},
        "web": {"undo_seconds": 0},  # letters leave at once, unless a test is about their waiting
    }
    for name, keys in sections.items():
        changes[name] = {**changes.get(name, {}), **keys}
    return load_config(None, **changes)


def make_site(folder: Path, **sections: Any) -> Site:
    """A webmail over data made before, with the gate as it is and readers in this process."""
    clock = Clock()
    services = platform.build(_config(folder, **sections), clock=clock)
    reader = ReaderHere()
    services = replace(
        services,
        readers=cast(ReaderPool, reader),
        intake=replace(services.intake, readers=reader),
    )
    mailboxes = {AN: MemoryMailbox(), OFFICE: MemoryMailbox()}
    app = create_app(services, lambda address: mailboxes[address])
    return Site(services, clock, reader, app, mailboxes)


class Browser:
    """Follows links and sends forms as a browser without script does."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.page: Any = None
        self.answer: Any = None
        # What browsers add to forms of our own pages under `Referrer-Policy: no-referrer`.
        self.form_headers = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}

    def go(self, path: str, **headers: str) -> "Browser":
        return self._show(self.client.get(path, headers=headers))

    def _show(self, answer: Any) -> "Browser":
        self.answer = answer
        kind = answer.headers.get("content-type", "")
        self.page = lxml.html.document_fromstring(answer.text) if "html" in kind else None
        return self

    @property
    def status(self) -> int:
        return int(self.answer.status_code)

    @property
    def path(self) -> str:
        return str(self.answer.url.path)

    @property
    def title(self) -> str:
        return str(self.page.findtext("head/title")).strip()

    def text(self, selector: str = "body") -> str:
        """The words of everything that matches."""
        found = self.page.cssselect(selector)
        words = (" ".join(" ".join(one.itertext()).split()) for one in found)
        return " ".join(filter(None, words))

    def all(self, selector: str) -> list[Any]:
        return list(self.page.cssselect(selector))

    def value(self, name: str) -> str:
        """What a field of the page holds."""
        one = self.page.cssselect(f'[name="{name}"]')[0]
        if one.tag == "select":
            return str(one.value or "")
        return _typed(one) if one.tag == "textarea" else str(one.get("value", ""))

    def follow(self, selector: str) -> "Browser":
        return self.go(urljoin(str(self.answer.url), self.all(selector)[0].get("href")))

    def submit(
        self,
        button: str,
        values: Mapping[str, Any] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes, str]]] = (),
        **headers: str,
    ) -> "Browser":
        """Press the button that matches, with these fields of its form filled in."""
        pressed = self.all(button)[0]
        form = next(parent for parent in pressed.iterancestors() if parent.tag == "form")
        for area in form.cssselect("textarea"):
            area.value = _typed(area)
        fields = [(name, value) for name, value in form.form_values() if _is_sent(form, name)]
        filled = dict(values or {})
        fields = [(name, value) for name, value in fields if name not in filled]
        for name, value in filled.items():
            fields += [(name, one) for one in (value if isinstance(value, list) else [value])]
        if pressed.get("name"):
            fields.append((pressed.get("name"), pressed.get("value", "")))
        action = urljoin(str(self.answer.url), pressed.get("formaction") or form.get("action"))
        if form.get("method", "get").lower() == "get":
            return self._show(self.client.get(action, params=dict(fields)))
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        sent = {**self.form_headers, **headers}
        attached: Any = list(files)
        if not attached and form.get("enctype") == "multipart/form-data":
            attached = [("files", ("", b"", "application/octet-stream"))]
        return self._show(self.client.post(action, data=data, files=attached or None, headers=sent))

    def post(self, path: str, data: Mapping[str, str], **headers: str) -> "Browser":
        return self._show(self.client.post(path, data=dict(data), headers=headers))

    def sign_in(self, address: str = AN, password: str = PASSWORD) -> "Browser":
        self.go("/login")
        return self.submit("main form button", {"address": address, "password": password})

    def write(self, **values: Any) -> "Browser":
        """A new letter with these fields, not sent yet."""
        self.go("/compose")
        return self.submit("button[formaction$='/save']", values)


def _typed(area: Any) -> str:
    """The text of a textarea: its first line end is markup (HTML, 13.1.2.5)."""
    return str(area.value or "").removeprefix("\n")


def _is_sent(form: Any, name: str) -> bool:
    return not any(field.get("type") == "file" for field in form.cssselect(f'input[name="{name}"]'))


__all__ = [
    "AN",
    "NOW",
    "OFFICE",
    "PASSWORD",
    "UTC",
    "Browser",
    "Site",
    "letter",
    "make_data",
    "make_site",
]
