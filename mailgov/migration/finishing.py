"""What files can't say is told to our own IMAP server: keywords, and folders subscribed to."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from mailgov.config import Config
from mailgov.errors import NotFound, Unavailable
from mailgov.imap_client import Connection
from mailgov.imap_client.answers import folder_name, uid_sets
from mailgov.mailstore.own_client import connect
from mailgov.migration.journal import Journal

_GUID = re.compile(rb"\* \d+ FETCH \((?=.*\bUID (\d+))(?=.*X-GUID \"?([^\s\")]+))", re.IGNORECASE)


async def finish(config: Config, address: str, journal: Journal, subscribed: Iterable[str]) -> bool:
    """Set the keywords that wait in the journal, and subscribe to folders.

    False when our IMAP server can't be reached now: the next run does it.
    """
    waiting = journal.waiting_keywords()
    folders = list(subscribed)
    if not waiting and not folders:
        return True
    try:
        connection = await connect(config, address)
    except Unavailable:
        return not waiting
    try:
        for folder in folders:
            await connection.command("SUBSCRIBE", folder_name(folder))
        for folder, keywords in waiting.items():
            await _set(connection, folder, keywords)
            journal.keywords_set(keywords)
    except Unavailable:
        return False
    finally:
        connection.close()
    return True


async def _set(connection: Connection, folder: str, keywords: Mapping[str, str]) -> None:
    """Keywords of the files of one folder; those moved or removed meanwhile are passed over."""
    try:
        await connection.select(folder)
    except NotFound:
        return
    answer = await connection.command("UID FETCH", "1:*", "(UID X-GUID)")
    by_words: dict[str, list[int]] = defaultdict(list)
    for unit in answer.units:
        found = _GUID.match(unit[0])
        words = keywords.get(found[2].decode("utf-8", "replace")) if found else None
        if found and words:
            by_words[words].append(int(found[1]))
    for words, uids in by_words.items():
        for uid_set in uid_sets(uids):
            await connection.command("UID STORE", uid_set, "+FLAGS.SILENT", f"({words})")
