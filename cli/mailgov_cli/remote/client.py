"""`mailgov --server URL`: the command line here, the command there.

Parsing, help and mistakes of usage stay here; the server has the same tree of commands and runs the same
function. What it writes is written here, in order, and its exit code is ours.
"""

import base64
import hashlib
import json
import shutil
import ssl
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx2
import typer

from mailgov.errors import (
    Conflict,
    ConsentMissing,
    InputError,
    MailgovError,
    NotAllowed,
    NotFound,
    Unavailable,
)
from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Place, Verb
from mailgov_cli.remote.answers import JSON_LINES
from mailgov_cli.remote.luggage import Luggage, store
from mailgov_cli.remote.tree import Command, commands, plain
from mailgov_cli.remote.whither import Elsewhere, read_token

if TYPE_CHECKING:
    from typer._click import Context

    from mailgov_cli.runtime import Runtime

_KINDS: Mapping[int, type[MailgovError]] = {
    Exit.INPUT: InputError,
    Exit.NOT_FOUND: NotFound,
    Exit.NOT_ALLOWED: NotAllowed,
    Exit.CONFLICT: Conflict,
    Exit.CONSENT: ConsentMissing,
    Exit.TEMPORARY: Unavailable,
}
_OTHER_VERSION = ("api-route-unknown", "api-parameter", "api-not-offered")
_PAUSE_SECONDS = 0.5


def call(run: "Runtime", ctx: "Context", server: Elsewhere) -> int:
    """Have the command run at the server; returns its exit code.

    Raises Unavailable `remote-unreachable`, MailgovError `remote-certificate`, `remote-version`,
    NotAllowed, and what the server said.
    """
    verb = ctx.command
    assert isinstance(verb, Verb)
    command = commands()[run.verb]
    if verb.place is Place.SERVER:
        raise NotFound("api-not-offered", command=command.path)
    luggage = Luggage()
    values = _values(run, ctx, command, luggage)
    with _session(server) as http:
        trip = Trip(run, http, server, command, luggage)
        end = trip.make(values)
        if answer := _answered(run, end, command):
            if isinstance(answer, bytes):
                luggage.stdin = True
                trip.typed = answer
                values["password_file"] = "-"  # noqa: S105 - the name of stdin
            else:
                values["yes"] = True
            end = trip.make(values)
        trip.bring_back(end)
    return int(end["exit"])


def _values(run: "Runtime", ctx: "Context", command: Command, luggage: Luggage) -> dict[str, Any]:
    """What was given on the command line, and of the general options what concerns the server."""
    given: dict[str, Any] = {
        "lang": run.language,
        "format": run.format,
        "fields": run.fields or None,
        "output": run.output,
        "quiet": run.quiet or None,
        "verbose": run.verbose or None,
    }
    for one in command.parameters.values():
        source = ctx.get_parameter_source(one.param.name)
        if not one.general and source is not None and source.name == "COMMANDLINE":
            given[one.name] = ctx.params.get(one.param.name)
    return {
        name: luggage.pack(command.find(name), value)
        if command.find(name).is_file
        else plain(value)
        for name, value in given.items()
        if value is not None
    }


@contextmanager
def _session(server: Elsewhere) -> Iterator[httpx2.Client]:
    token = read_token(server.token_file)
    trusted = ssl.create_default_context(
        cafile=str(server.authorities) if server.authorities else None
    )
    with httpx2.Client(
        base_url=f"{server.url}/api/v1",
        headers={"Authorization": f"Bearer {token}", "User-Agent": f"mailgov/{version('mailgov')}"},
        timeout=httpx2.Timeout(server.timeout_seconds),
        verify=trusted,
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client


def _answered(run: "Runtime", end: Mapping[str, Any], command: Command) -> "str | bytes | None":
    """What somebody at the terminal says to what the server asked; None when it asked nothing."""
    asked = end.get("asked")
    if not asked or run.no_input or not sys.stdin.isatty():
        return None
    if asked[0] == "secret" and "password_file" in command.parameters:
        text = words.say(run.language, "say", "password")
        typed = typer.prompt(text, hide_input=True, confirmation_prompt=True, err=True)
        return str(typed).encode() + b"\n"
    if asked[0] == "consent" and "yes" in command.parameters:
        return "yes" if typer.confirm(asked[1], err=True) else None
    return None


@dataclass
class Trip:
    """One command on its way to the server and back."""

    run: "Runtime"
    http: httpx2.Client
    server: Elsewhere
    command: Command
    luggage: Luggage
    typed: bytes = b""
    _line: int = 0
    _held: dict[str, str] = field(default_factory=dict)  # by stream: the beginning of a line

    def make(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and write what is said until the end. Raises what `call` raises."""
        self._line = 0
        request = self._request(values)
        run_id = ""
        until = time.monotonic() + self.server.timeout_seconds
        while True:
            try:
                with self.http.stream(**request) as answer:
                    self._require_good(answer)
                    run_id = answer.headers["Mailgov-Run"]
                    until = time.monotonic() + self.server.timeout_seconds
                    if end := self._heard(answer, run_id):
                        return end
            except httpx2.TransportError as error:
                _raise_certificate(error, self.server.url)
                if time.monotonic() > until or not (run_id or _may_repeat(error)):
                    raise Unavailable(
                        "remote-unreachable", url=self.server.url, reason=_reason(error)
                    ) from error
            time.sleep(_PAUSE_SECONDS)
            if run_id:
                request = self._again(run_id)

    def _request(self, values: Mapping[str, Any]) -> dict[str, Any]:
        headers = {
            "Accept": JSON_LINES,
            "Accept-Language": self.run.language,
            # A call whose answer was lost on the way is asked again, and is the same call.
            "Idempotency-Key": str(uuid.uuid4()),
            "Mailgov-Terminal": _terminal(),
        }
        request = {"method": "POST", "url": f"/{self.command.route}", "headers": headers}
        if not self.luggage.files and not self.luggage.stdin:
            return {**request, "json": values}
        files = [
            ("file", (name, _content(file), "application/octet-stream"))
            for name, file in self.luggage.files.items()
        ]
        if self.luggage.stdin:
            self.typed = self.typed or sys.stdin.buffer.read()
            files.append(("stdin", ("stdin", self.typed, "application/octet-stream")))
        return {**request, "data": {"call": json.dumps(values)}, "files": files}

    def _again(self, run_id: str) -> dict[str, Any]:
        return {"method": "GET", "url": f"/runs/{run_id}/events?after={self._line}"}

    def _heard(self, answer: httpx2.Response, run_id: str) -> dict[str, Any] | None:
        """Write what the server says; its last line, or None when the connection ended before."""
        try:
            for line in answer.iter_lines():
                entry: dict[str, Any] = json.loads(line)
                self._line = max(self._line, int(entry.get("line", 0)))
                if "exit" in entry:
                    self._write_rest()
                    if entry.get("lost"):
                        raise Unavailable("api-run-lost")
                    return entry
                self._write(entry)
        except KeyboardInterrupt:
            # The command ends after what it is at, and says how to go on.
            self.http.delete(f"/runs/{run_id}")
        return None

    def _write(self, entry: Mapping[str, Any]) -> None:
        for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
            if name in entry:
                text = self._whole_lines(name, entry[name])
                stream.write(text)
                stream.flush()
            elif f"{name}_bytes" in entry:
                stream.flush()
                stream.buffer.write(base64.b64decode(entry[f"{name}_bytes"]))
                stream.buffer.flush()

    def _whole_lines(self, name: str, text: str) -> str:
        if not self.luggage.renamed:
            return text
        text = self._held.get(name, "") + text
        whole, newline, rest = text.rpartition("\n")
        self._held[name] = rest
        return self.luggage.unpacked(whole + newline)

    def _write_rest(self) -> None:
        for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
            stream.write(self.luggage.unpacked(self._held.pop(name, "")))
            stream.flush()

    def bring_back(self, end: Mapping[str, Any]) -> None:
        """Fetch what the command wrote. Raises Unavailable `remote-unreachable`, InputError."""
        for told in end.get("files", []):
            place = self.luggage.place(told["name"])
            try:
                answer = self.http.get(told["href"].removeprefix("/api/v1"))
            except httpx2.TransportError as error:
                raise Unavailable(
                    "remote-unreachable", url=self.server.url, reason=_reason(error)
                ) from error
            self._require_good(answer)
            if hashlib.sha256(answer.content).hexdigest() != told["sha256"]:
                raise Unavailable("remote-unreachable", url=self.server.url, reason=str(place))
            store(place, answer.content, told)

    def _require_good(self, answer: httpx2.Response) -> None:
        """Raises what the server said instead of an answer."""
        if answer.is_success:
            return
        answer.read()
        try:
            told = answer.json()
            code, fields, exit_code = told["code"], told["fields"], told["exit"]
        except (ValueError, KeyError, TypeError):
            raise Unavailable(
                "remote-unreachable", url=self.server.url, reason=f"HTTP {answer.status_code}"
            ) from None
        theirs = answer.headers.get("Mailgov-Version", "")
        ours = version("mailgov")
        if code in _OTHER_VERSION and theirs != ours:
            raise MailgovError("remote-version", ours=ours, theirs=theirs, url=self.server.url)
        raise _KINDS.get(exit_code, MailgovError)(code, **fields)


def _terminal() -> str:
    found = [
        name for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)) if stream.isatty()
    ]
    if found:
        found.append(f"columns={shutil.get_terminal_size().columns}")
    return ", ".join(found) or "none"


def _content(file: Any) -> bytes:
    try:
        content: bytes = file.read_bytes()
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    return content


def _may_repeat(error: httpx2.TransportError) -> bool:
    """Whether the server may have had the call: then it is asked again, with the same key."""
    return isinstance(error, (httpx2.ReadError, httpx2.RemoteProtocolError, httpx2.WriteError))


def _raise_certificate(error: httpx2.TransportError, url: str) -> None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise MailgovError(
                "remote-certificate", url=url, reason=cause.verify_message
            ) from error
        cause = cause.__cause__ or cause.__context__


def _reason(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__
