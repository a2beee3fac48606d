"""Labelled messages: `samples/cases.toml` made into bytes, and judged as their surroundings say."""

import base64
import tomllib
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.content.vietnamese import table_rows
from mailgov_cli.checking import Case, Surroundings, authentication_of, facts_of
from mailgov_policies import Facts, Verdict, default_ruleset, judge

from ..mailgov.content import making
from .letters import TODAY

OFFICIAL, OFFICE = "an.nv@tinhmau.gov.vn", "vanphong@bomau.gov.vn"
BODY = "Kính gửi anh chị, em gửi nội dung như đã trao đổi.\n"


@cache
def labelled() -> list[dict[str, Any]]:
    """Every case."""
    text = (Path(__file__).parent / "samples" / "cases.toml").read_text("utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["case"]
    return found


def judged(case: dict[str, Any]) -> tuple[Facts, Verdict]:
    """Facts and verdict of a case, from its bytes."""
    inbound = case.get("route") == "inbound"
    sender = case.get("from", OFFICIAL)
    recipients: tuple[str, ...] = (case.get("to", OFFICE),)
    if count := case.get("recipients"):
        recipients = tuple(f"{number}@bomau.gov.vn" for number in range(count))
    around = Surroundings(local_domains=("tinhmau.gov.vn",), may_send_as={OFFICIAL: (OFFICIAL,)})
    how = Case(
        file="x",
        data=b"",
        direction="inbound" if inbound else "submission",
        mail_from=sender,
        recipients=recipients,
        login=OFFICIAL,
        authentication=authentication_of(case.get("auth", {})),
        surroundings=around,
    )
    facts = facts_of(how, read_message(_message(case, sender), Limits()))
    return facts, judge(facts, default_ruleset(), TODAY)


def _message(case: dict[str, Any], sender: str) -> bytes:
    name, address = case.get("shown", ["", sender])
    files = [_file(case, file) for file in case.get("files", [])]
    subject = case.get("subject", "Trao đổi công việc")
    coded = case.get("coded") if "body" in case else None
    if "html" in case:
        message = making.message(case["html"], subject=subject, files=files, subtype="html")
    else:
        body = case.get("body", BODY) if coded is None else "@@"
        message = making.message(body, subject=subject, files=files)
    author = f"=?utf-8?b?{base64.b64encode(name.encode()).decode()}?= <{address}>"
    rest = message.partition(b"\r\n")[2]
    message = f"From: {author}\r\n".encode() + rest
    return message if coded is None else _in_bytes(message, _coded(case["body"], coded))


def _in_bytes(message: bytes, body: bytes) -> bytes:
    """The message with this body, unlabelled as old programs left it."""
    head = message.partition(b"Content-Type:")[0]
    return (
        head
        + b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + body
        + b"\r\n"
    )


@cache
def _codes(encoding: str) -> dict[str, bytes]:
    codes: dict[str, bytes] = {}
    for row in table_rows(f"decode-{encoding}.tsv"):
        codes.setdefault(row[3], bytes.fromhex(row[0]))
    return codes


def _coded(text: str, encoding: str) -> bytes:
    codes = _codes(encoding)
    return b"".join(codes.get(letter) or letter.encode("ascii") for letter in text)


def _file(case: dict[str, Any], file: dict[str, Any]) -> tuple[str, bytes]:
    name = file["name"]
    if "lines" in file:
        lines = file["lines"]
        if file.get("coded"):
            lines = [_coded(line, case["coded"]).decode("cp1252") for line in lines]
        return name, making.docx([escape(line) for line in lines])
    if "text" in file:
        return name, file["text"].encode()
    return name, _MADE[file["data"]]()


def _encrypted_zip() -> bytes:
    """A ZIP with the flag of encryption in both headers (APPNOTE 4.4.4)."""
    changed = bytearray(making.zipped({"a.docx": making.docx()}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.find(magic) + offset] |= 1
    return bytes(changed)


def _with_macros() -> bytes:
    kind = "application/vnd.ms-word.document.macroEnabled.main+xml"
    return making.docx(main_type=kind, more={"word/vbaProject.bin": b"\xd0\xcf\x11\xe0"})


_MADE: dict[str, Callable[[], bytes]] = {
    "program": lambda: making.PROGRAM,
    "zip with program": lambda: making.zipped({"a.exe": making.PROGRAM}),
    "encrypted zip": _encrypted_zip,
    "macro": _with_macros,
    "script PDF": lambda: making.pdf("/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>"),
}
