"""What a caller sends, read within bounds, and made into a command line and the files it names."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from mailgov.access import Authority
from mailgov.config import Api, Config
from mailgov.errors import InputError
from mailgov.texts import Language
from mailgov_cli.remote.names import safe
from mailgov_cli.remote.tree import Command, command_line
from mailgov_cli.remote.worker import FILES, STDIN, Call, Terminal

MOST_FILES = 20
_STDIN = "-"
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call as it came: values by parameter, files by name, and what stdin is to give."""

    values: Mapping[str, Any]
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    stdin: UploadFile | None = None

    async def close(self) -> None:
        """Let go of what was uploaded."""
        for part in (*self.files.values(), *([self.stdin] if self.stdin else [])):
            await part.close()


async def read(request: Request, settings: Api) -> Wanted:
    """Read a call. Raises InputError `api-body`, `api-too-large`, `api-file-name`."""
    if request.method == "GET":
        return Wanted(_of_query(request))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _of_form(_bounded(request, settings.upload_bytes), settings)
    if kind not in ("application/json", ""):
        raise InputError("api-body", problem="application/json or multipart/form-data")
    body = await _bounded(request, settings.body_bytes).body()
    return Wanted(_object(body))


def _of_query(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in request.query_params:
        given = request.query_params.getlist(name)
        value: Any = given if len(given) > 1 else given[0]
        values[name] = {"true": True, "false": False}.get(given[0], value)
    return values


async def _of_form(request: Request, settings: Api) -> Wanted:
    try:
        form = await request.form(
            max_files=MOST_FILES, max_fields=1, max_part_size=settings.body_bytes
        )
    except HTTPException as exc:
        raise InputError("api-body", problem=exc.detail) from exc
    try:
        return _sorted(form)
    except BaseException:
        await form.close()
        raise


def _sorted(form: FormData) -> Wanted:
    values: dict[str, Any] = {}
    files, stdin = {}, None
    for name, part in form.multi_items():
        if isinstance(part, str):
            values = _object(part.encode())
        elif name == "stdin":
            stdin = part
        else:
            files[str(safe(part.filename or ""))] = part
    return Wanted(values, files, stdin)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as exc:
        raise InputError("api-body", problem="JSON") from exc
    if not isinstance(found, dict):
        raise InputError("api-body", problem="JSON: an object is needed")
    return found


def _bounded(request: Request, most: int) -> Request:
    """The request with a body that can't be larger; what it says of its length is not believed."""
    return Request(request.scope, _counted(request.receive, most))


def _counted(receive: Receive, most: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise InputError("api-too-large", most=most)
        return message

    return counted


def fingerprint(command: Command, wanted: Wanted) -> str:
    """What tells one call from another: SHA-256 of command, values and files. Blocks."""
    digest = hashlib.sha256()
    digest.update(json.dumps([command.path, wanted.values], sort_keys=True).encode())
    parts = [*wanted.files.items(), *([("", wanted.stdin)] if wanted.stdin else [])]
    for name, part in parts:
        content = hashlib.sha256()
        part.file.seek(0)
        while piece := part.file.read(_PIECE_BYTES):
            content.update(piece)
        part.file.seek(0)
        digest.update(json.dumps([name, content.hexdigest()]).encode())
    return digest.hexdigest()


def prepare(
    command: Command,
    wanted: Wanted,
    folder: Path,
    config: Config,
    authority: Authority,
    language: Language,
    terminal: Terminal | None,
) -> Call:
    """Put the files where the command will look, and write its command line. Blocks.

    Without a terminal to think of, results are JSON unless something else is asked for. Raises
    InputError `api-parameter`, `api-body`, `api-file-name`.
    """
    values = dict(wanted.values)
    for name, value in values.items():
        if command.find(name).is_file:
            for one in value if isinstance(value, list) else [value]:
                _make_room(folder, str(one))
    if terminal is None:
        values.setdefault("format", "json")
    args = command_line(command, values)
    for name, part in wanted.files.items():
        file = folder / FILES / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            part.file.seek(0)
            shutil.copyfileobj(part.file, stream)
    if wanted.stdin is not None:
        with (folder / STDIN).open("wb") as stream:
            shutil.copyfileobj(wanted.stdin.file, stream)
    return Call(
        args=tuple(args),
        folder=folder,
        config=config,
        authority=authority,
        language=language,
        terminal=terminal or Terminal(),
        told_progress=terminal is None,
    )


def _make_room(folder: Path, name: str) -> None:
    """The folder that a file will be written to. Raises InputError for names that lead elsewhere."""
    if name != _STDIN:
        (folder / FILES / safe(name)).parent.mkdir(parents=True, exist_ok=True)


def terminal_of(field: str | None) -> Terminal | None:
    """What the caller has before them, from `Mailgov-Terminal: stdout, stderr, columns=120`."""
    if field is None:
        return None
    words = {one.strip() for one in field.split(",")}
    columns = next((one[8:] for one in words if one.startswith("columns=")), "0")
    number = int(columns) if columns.isascii() and columns.isdigit() else 0
    return Terminal("stdout" in words, "stderr" in words, min(number, 1000))
