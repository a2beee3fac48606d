"""From one IMAP engine to the other: UIDs, UIDVALIDITY, keywords and subscriptions go along.

Both engines keep messages in the same Maildir; beside it each has a book of its own: the embedded
server an SQLite index, Dovecot lists in the folders. Before an engine starts on mailboxes that the
other one kept last, its books are written from the other's. What changes: Dovecot has 26 keywords for a
folder in names of files, so further ones stay behind, and what it has in caches is made anew.

Lists are those of Dovecot 2.2 to 2.4: `dovecot-uidlist` (version 3), `dovecot-keywords`,
`subscriptions` (version 2). No engine may be running meanwhile. Everything blocks on the disk.
"""

import re
import sqlite3
import string
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mailgov.durable import sync_path
from mailgov.imap import names
from mailgov.imap.index import open_index, transaction
from mailgov.logs import logger
from mailgov.mailstore.users import write_whole
from mailgov.migration import maildir

Engine = Literal["dovecot", "embedded"]

MARK = ".engine"  # in the folder of all mail: who kept it last
_UIDLIST, _KEYWORDS, _SUBSCRIPTIONS = "dovecot-uidlist", "dovecot-keywords", "subscriptions"
_HEADER = re.compile(r"3(?= )(?=.* V(?P<validity>\d+))(?=.* N(?P<next>\d+)).*")
_LINE = re.compile(r"(?P<uid>\d+) (?:[A-Z][^ ]* )*:(?P<name>.+)")
_STALE = ("dovecot.index*", "dovecot.list.index*")
_KEYWORD_LETTERS = string.ascii_lowercase
_KEYWORDS_AT_MOST = len(_KEYWORD_LETTERS)

log = logger("mailstore")


@dataclass
class FolderBook:
    """What an engine knows of a folder: UIDs by name of file, and keywords where there are any."""

    uidvalidity: int
    uidnext: int
    uids: dict[str, int] = field(default_factory=dict)
    keywords: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Book:
    """What an engine knows of a mailbox. Folders by their names."""

    folders: dict[str, FolderBook] = field(default_factory=dict)
    subscribed: list[str] = field(default_factory=list)


def follow(data: Path, engine: Engine) -> int:
    """Give the engine that is about to start the books of all mailboxes; how many were carried over.

    Nothing is done where it kept them last. Where nobody knows, those are carried over that only
    the other engine has a book of. Raises OSError and sqlite3.Error.
    """
    mail = data / "mail"
    mail.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = mail / MARK
    last = mark.read_text("ascii").strip() if mark.exists() else ""
    carried = 0
    if last != engine:
        for home in _homes(mail):
            if last or _only_other_knows(home, engine):
                carry_over(home, engine)
                carried += 1
        write_whole(mark, f"{engine}\n")
    if carried:
        log.info("books.carried-over", mailboxes=carried, to=engine)
    return carried


def _homes(mail: Path) -> Iterator[Path]:
    for path in sorted(mail.glob("*/*/Maildir")):
        yield path.parent


def _only_other_knows(home: Path, engine: Engine) -> bool:
    index = (home / "index.db").exists()
    lists = (home / "Maildir" / _UIDLIST).exists()
    return index and not lists if engine == "dovecot" else lists and not index


def carry_over(home: Path, to: Engine) -> None:
    """Write one engine's books of a mailbox from those of the other. May be repeated."""
    if to == "dovecot":
        if (home / "index.db").exists():
            _write_lists(home / "Maildir", _read_index(home / "index.db"))
    else:
        _write_index(home, _read_lists(home / "Maildir"))


# The embedded server's book


def _read_index(file: Path) -> Book:
    book = Book()
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as index:
        for id_, name, validity, uidnext in index.execute(
            "SELECT id, name, uidvalidity, uidnext FROM folder"
        ).fetchall():
            folder = book.folders[name] = FolderBook(validity, uidnext)
            rows = index.execute(
                "SELECT uid, name, keywords FROM message WHERE folder_id = ?", (id_,)
            )
            for uid, file_name, keywords in rows:
                folder.uids[file_name] = uid
                if keywords:
                    folder.keywords[file_name] = tuple(keywords.split())
        book.subscribed = [row[0] for row in index.execute("SELECT name FROM subscription")]
    return book


def _write_index(home: Path, book: Book) -> None:
    with closing(open_index(home / "index.db")) as index, transaction(index):
        for table in ("description", "message", "folder", "subscription"):
            index.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        highest = max((one.uidvalidity for one in book.folders.values()), default=0)
        index.execute("UPDATE last_uidvalidity SET value = max(value, ?)", (highest,))
        for name, folder in book.folders.items():
            cursor = index.execute(
                "INSERT INTO folder (name, uidvalidity, uidnext, recent_from) VALUES (?, ?, ?, ?)",
                (name, folder.uidvalidity, folder.uidnext, folder.uidnext),
            )
            path = home / "Maildir" / names.on_disk(name)
            index.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(cursor.lastrowid, *row) for row in _rows(path, folder)],
            )
        index.executemany(
            "INSERT OR IGNORE INTO subscription VALUES (?)", [(name,) for name in book.subscribed]
        )


def _rows(path: Path, folder: FolderBook) -> Iterator[tuple[int, str, str, str, int, int]]:
    """Rows of messages; keywords leave the names of their files."""
    for file in maildir.files(path):
        name, _, letters = file.name.partition(":2,")
        uid = folder.uids.get(name)
        if uid is None or file.parent.name != "cur":
            continue  # it gets a UID when the engine finds it
        plain = "".join(letter for letter in letters if letter not in _KEYWORD_LETTERS)
        if plain != letters:
            file = file.rename(file.with_name(f"{name}:2,{plain}"))
        status = file.stat()
        words = " ".join(sorted(folder.keywords.get(name, ())))
        yield uid, name, plain, words, int(status.st_mtime), status.st_size


# Dovecot's book


def _read_lists(maildir_path: Path) -> Book:
    book = Book(subscribed=_read_subscriptions(maildir_path / _SUBSCRIPTIONS))
    for path in [maildir_path, *sorted(maildir_path.glob(".*/"))]:
        file = path / _UIDLIST
        if not file.exists():
            continue
        name = "INBOX" if path == maildir_path else names.from_disk(path.name)
        folder = _read_uidlist(file)
        if folder is None:
            log.warning("uidlist.damaged", file=str(file))
            continue  # the folder gets new UIDs under another UIDVALIDITY
        book.folders[name] = folder
        words = _read_keywords(path / _KEYWORDS)
        for message in maildir.files(path):
            unique, _, letters = message.name.partition(":2,")
            found = tuple(words[letter] for letter in letters if letter in words)
            if found:
                folder.keywords[unique] = found
    return book


def _read_uidlist(file: Path) -> FolderBook | None:
    lines = file.read_text("utf-8", "surrogateescape").splitlines()
    header = _HEADER.fullmatch(lines[0]) if lines else None
    if header is None:
        return None
    folder = FolderBook(int(header["validity"]), int(header["next"]))
    for line in lines[1:]:
        if found := _LINE.fullmatch(line):
            folder.uids[found["name"].partition(":2,")[0]] = int(found["uid"])
    # Dovecot may leave an old next UID in the first line.
    folder.uidnext = max(folder.uidnext, max(folder.uids.values(), default=0) + 1)
    return folder


def _read_keywords(file: Path) -> dict[str, str]:
    """Keywords by the letters that stand for them in the names of files."""
    if not file.exists():
        return {}
    words = {}
    for line in file.read_text("utf-8").splitlines():
        number, _, word = line.partition(" ")
        if number.isdigit() and int(number) < _KEYWORDS_AT_MOST and word:
            words[_KEYWORD_LETTERS[int(number)]] = word
    return words


def _read_subscriptions(file: Path) -> list[str]:
    if not file.exists():
        return []
    lines = file.read_text("utf-8").splitlines()
    if lines[:1] == ["V\t2"]:
        return [line.replace("\t", "/") for line in lines[2:] if line]
    return [line.replace(".", "/") for line in lines if line]


def _write_lists(maildir_path: Path, book: Book) -> None:
    for name, folder in book.folders.items():
        path = maildir_path / names.on_disk(name)
        if not path.is_dir():
            continue
        for pattern in _STALE:
            for stale in path.glob(pattern):
                stale.unlink()
        _name_keywords(path, folder)
        lines = [f"3 V{folder.uidvalidity} N{folder.uidnext}"]
        lines += [f"{uid} :{one}" for one, uid in sorted(folder.uids.items(), key=lambda it: it[1])]
        _write(path / _UIDLIST, lines)
        sync_path(path)
    subscribed = [name.replace("/", "\t") for name in sorted(book.subscribed)]
    _write(maildir_path / _SUBSCRIPTIONS, ["V\t2", "", *subscribed])


def _name_keywords(path: Path, folder: FolderBook) -> None:
    """Letters for keywords into the names of files, and what they stand for into the list."""
    used = sorted({word for words in folder.keywords.values() for word in words})
    letter_of = dict(zip(used, _KEYWORD_LETTERS, strict=False))
    if len(used) > _KEYWORDS_AT_MOST:
        log.warning("keywords.left", folder=str(path), count=len(used) - _KEYWORDS_AT_MOST)
    for file in maildir.files(path):
        name, _, letters = file.name.partition(":2,")
        words = folder.keywords.get(name, ())
        plain = {letter for letter in letters if letter not in _KEYWORD_LETTERS}
        wanted = "".join(sorted(plain | {letter_of[word] for word in words if word in letter_of}))
        if wanted != letters and file.parent.name == "cur":
            file.rename(file.with_name(f"{name}:2,{wanted}"))
    _write(path / _KEYWORDS, [f"{number} {word}" for number, word in enumerate(letter_of)])


def _write(file: Path, lines: list[str]) -> None:
    draft = file.with_name(f".{file.name}.new")
    text = "".join(f"{line}\n" for line in lines)
    draft.write_bytes(text.encode("utf-8", "surrogateescape"))
    draft.chmod(0o600)
    sync_path(draft)
    draft.replace(file)
