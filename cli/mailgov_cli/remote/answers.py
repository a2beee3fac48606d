"""What HTTP says of errors and exit codes: problem details (RFC 9457) with the words of every face."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from mailgov.errors import MailgovError, NotAllowed, Unavailable
from mailgov.texts import LANGUAGES, Language
from mailgov_cli import words
from mailgov_cli.exits import Exit, exit_code

JSON_LINES = "application/jsonl"
PROBLEM = "application/problem+json"

# What a caller reads from the status alone; the exit code says the same to scripts.
STATUS: Mapping[int, int] = {
    Exit.DONE: 200,
    Exit.PARTLY: 200,
    Exit.FOUND: 200,
    Exit.USAGE: 400,
    Exit.NOT_ALLOWED: 403,
    Exit.NOT_FOUND: 404,
    Exit.CONFLICT: 409,
    Exit.INPUT: 422,
    Exit.CONSENT: 428,
    Exit.FAILED: 500,
    Exit.TEMPORARY: 503,
    Exit.INTERRUPTED: 503,
}

_BY_CODE: Mapping[str, int] = {
    "token-missing": 401,
    "token-refused": 401,
    "token-expired": 401,
    "token-not-encrypted": 401,
    "sign-in-later": 429,
    "calls-too-many": 429,
    "api-too-large": 413,
    "api-method": 405,
}


def language_of(accepted: str, otherwise: Language) -> Language:
    """The first of our languages in Accept-Language (RFC 9110, 12.5.4)."""
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        for language in LANGUAGES:
            if tag == language:
                return language
    return otherwise


def told(error: MailgovError, language: Language) -> Response:
    """An error of ours as an answer."""
    text, mend = words.tell(error, language)
    code = exit_code(error)
    status = _BY_CODE.get(error.code, STATUS[code])
    fields = {name: str(value) for name, value in error.fields.items()}
    answer = problem(
        status, {"code": error.code, "text": text, "mend": mend, "fields": fields, "exit": code}
    )
    if isinstance(error, NotAllowed) and status == 401:
        # RFC 6750, 3: which of its errors it is; none for a call without a token.
        why = "" if error.code == "token-missing" else ' error="invalid_token"'
        answer.headers["WWW-Authenticate"] = f'Bearer realm="mailgov"{why}'
    if status == 405:
        answer.headers["Allow"] = "POST"
    if isinstance(error, Unavailable) or status == 429:
        answer.headers["Retry-After"] = str(error.fields.get("seconds", 60))
    return answer


def problem(status: int, error: Mapping[str, Any], **more: Any) -> Response:
    """Problem details of an error as commands tell it."""
    content = {
        "type": f"urn:mailgov:error:{error['code']}",
        "title": error["text"],
        "status": status,
        "detail": error["mend"],
        "code": error["code"],
        "fields": error["fields"],
        "exit": int(error["exit"]),
        **more,
    }
    return JSONResponse(content, status, media_type=PROBLEM)


def of_run(
    run_id: str, entries: Sequence[Mapping[str, Any]], output: bytes, files: Sequence[Any]
) -> Response:
    """The answer to a call that waited for the end."""
    end = entries[-1]
    code = int(end["exit"])
    errors = [error for entry in entries for error in _errors(str(entry.get("err", "")))]
    status = STATUS.get(code, 500)
    if end.get("lost"):
        text, mend = words.tell(Unavailable("api-run-lost"), "en")
        lost = {"code": "api-run-lost", "text": text, "mend": mend, "fields": {}, "exit": code}
        answer = problem(503, lost, run=run_id)
    elif status >= 400:
        unsaid = {"code": "internal", "text": "", "mend": "", "fields": {}, "exit": code}
        answer = problem(status, errors[-1] if errors else unsaid, run=run_id)
    elif output:
        answer = Response(output, status, media_type=_media_type(output))
    else:
        data = {"run": run_id, "exit": code, "files": files}
        document = {"schema": "api.run/1", "data": data}
        answer = JSONResponse({**document, "errors": errors}, status)
    answer.headers["Mailgov-Exit"] = str(code)
    answer.headers["Mailgov-Run"] = run_id
    for one in files:
        answer.headers.append("Link", f'<{one["href"]}>; rel="item"')
    return answer


def _errors(text: str) -> list[Any]:
    """Errors among the lines of stderr; in JSON each is an object on a line."""
    lines = text.splitlines()
    return [json.loads(line)["error"] for line in lines if line.startswith('{"error":')]


def _media_type(output: bytes) -> str:
    if output.startswith(b"{"):
        return "application/json" if output.count(b"\n") == 1 else JSON_LINES
    try:
        output.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"
