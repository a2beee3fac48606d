"""Signing by a process of its own, over a Unix socket: only that one can read the keys.

A request is two lines and bytes: the domain, selector, algorithm and file as JSON, then how many
bytes follow. The holder signs nothing but signature fields of DKIM and ARC in the name of the key's
own domain and selector, so whoever may ask can't have anything else signed. The answer is a line of
JSON: `{"signature": "<base64>"}`, or `{"code": "…"}`.
"""

import asyncio
import base64
import json
import os
from binascii import Error as NotBase64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailgov.addresses import parse_domain
from mailgov.errors import MailgovError, Unavailable
from mailgov.logs import logger
from mailgov.signing.keyring import KeyRing, SigningKey
from mailgov.signing.keys import parse_selector
from mailgov.signing.tags import NotValid, read_tags

MAX_BYTES = 4 << 20  # a header of the greatest size, in its canonical form, and more
MAX_LINE = 4096
SECONDS = 20.0

_FIELDS = (b"dkim-signature:", b"arc-message-signature:", b"arc-seal:")

log = logger("signing")


class RemoteKeys:
    """A holder of keys at the other end of a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def sign(self, key: SigningKey, data: bytes) -> bytes:
        """The signature.

        Raises Unavailable: `signing-unavailable` when the process does not answer, else what it says.
        """
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
                try:
                    writer.write(_request(key, data))
                    await writer.drain()
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
            if "code" in answer:
                raise Unavailable(str(answer["code"]), file=key.file_name)
            return base64.b64decode(answer["signature"], validate=True)
        except (OSError, TimeoutError, ValueError, KeyError, TypeError, NotBase64) as exc:
            raise Unavailable("signing-unavailable", socket=self._path) from exc


def _request(key: SigningKey, data: bytes) -> bytes:
    head = json.dumps([key.domain, key.selector, key.algorithm, key.file_name, len(data)])
    return head.encode() + b"\n" + data


async def serve_keys(
    ring: KeyRing, path: Path, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Answer at the socket until `stop`; those of the process's group may ask, nobody else."""
    await asyncio.to_thread(_make_room, path)
    old = os.umask(0o117)  # from the first moment: no chmod afterwards
    try:
        server = await asyncio.start_unix_server(
            lambda reader, writer: _answer(ring, reader, writer), path, limit=MAX_LINE
        )
    finally:
        os.umask(old)
    async with server:
        ready()
        await stop.wait()
    await asyncio.to_thread(path.unlink, missing_ok=True)


def _make_room(path: Path) -> None:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of one that was killed


async def _answer(
    ring: KeyRing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            answer = await _signed(ring, reader)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
        log.warning("signing.asker-left", cause=type(exc).__name__)
    finally:
        writer.close()


async def _signed(ring: KeyRing, reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        *texts, size = json.loads(await reader.readline())
        key = _key_of(*texts)
        if not isinstance(size, int) or not 0 < size <= MAX_BYTES:
            raise ValueError(size)
        data = await reader.readexactly(size)
    except (ValueError, TypeError, MailgovError) as exc:
        log.warning("signing.bad-request", cause=type(exc).__name__)
        return {"code": "signing-refused"}
    if not is_signature_field(data, key):
        log.error("signing.refused", domain=key.domain, selector=key.selector)
        return {"code": "signing-refused"}
    try:
        return {"signature": base64.b64encode(await ring.sign(key, data)).decode()}
    except MailgovError as error:
        log.warning("signing.failed", cause=str(error))
        return {"code": error.code}


def _key_of(domain: Any, selector: Any, algorithm: Any, file_name: Any) -> SigningKey:
    """The key that is meant; its file can be no other. Raises ValueError, InputError."""
    if not all(isinstance(text, str) for text in (domain, selector, algorithm, file_name)):
        raise ValueError("not texts")
    key = SigningKey(parse_domain(domain), parse_selector(selector), algorithm, file_name)
    if file_name != f"{key.selector}._domainkey.{key.domain}.pem":
        raise ValueError(file_name)
    return key


def is_signature_field(data: bytes, key: SigningKey) -> bool:
    """Whether the bytes end in a canonical signature field of this domain and selector."""
    last = data.rpartition(b"\r\n")[2]
    if not last.startswith(_FIELDS):
        return False
    try:
        tags = read_tags(last.partition(b":")[2])
    except NotValid:
        return False
    wanted = {"d": key.domain, "s": key.selector, "a": key.tag, "b": ""}
    return all(tags.get(tag) == text.encode() for tag, text in wanted.items())
