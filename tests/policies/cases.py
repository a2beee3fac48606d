"""Vectors: `vectors/<rule>.toml`, one `[[case]]` each, and the facts that they describe.

Of the facts a case names only what matters; the rest is an ordinary message from an official to an
official. `hits` lists `[where, evidence]`, of the evidence only what the case is about.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from mailgov_policies import (
    Attachment,
    Authentication,
    Content,
    Document,
    Envelope,
    Facts,
    Header,
    Mark,
    Page,
    Person,
    Receipt,
    RecipientFacts,
    ScannedPages,
    Signature,
    Text,
)

VECTORS = Path(__file__).parent / "vectors"

SENDER = "an.nv@tinhmau.gov.vn"


@cache
def cases(name: str) -> list[dict[str, Any]]:
    """Every case of a file."""
    found = tomllib.loads((VECTORS / f"{name}.toml").read_text("utf-8"))["case"]
    assert isinstance(found, list)
    return found


def facts_of(case: dict[str, Any]) -> Facts:
    """The facts that a case describes."""
    return Facts(_envelope(case), _content(case))


def _envelope(case: dict[str, Any]) -> Envelope:
    mail_from = case.get("mail_from", SENDER)
    named = {
        "direction": "submission",
        "login": mail_from,
        "sender_local": True,
        "local_domains": ("tinhmau.gov.vn",),
        **case.get("envelope", {}),
    }
    named["authentication"] = Authentication(**case.get("authentication", {}))
    if "direction" in case:
        named["direction"] = case["direction"]
    named["received"] = tuple(Receipt(**one) for one in case.get("received", []))
    return Envelope(
        mail_from=mail_from,
        recipients=tuple(_recipient(one) for one in case.get("to", ["vanphong@bomau.gov.vn"])),
        **{name: _frozen(value) for name, value in named.items()},
    )


def _recipient(named: str | dict[str, Any]) -> RecipientFacts:
    if isinstance(named, str):
        named = {"address": named}
    values = {name: _frozen(value) for name, value in named.items()}
    return RecipientFacts(domain=named["address"].rpartition("@")[2], **values)


def _content(case: dict[str, Any]) -> Content:
    named = dict(case.get("content", {}))
    header = dict(case.get("header", {}))
    authors = header.pop("from", [["", case.get("mail_from", SENDER)]])
    for field in ("reply_to", "resent_from"):
        if field in header:
            header[field] = tuple(Person(*one) for one in header[field])
    if "sender" in header:
        header["sender"] = Person(*header["sender"])
    return Content(
        size_bytes=named.pop("size_bytes", 4096),
        header=Header(from_=tuple(Person(*one) for one in authors), **header),
        declared=_document(case.get("declared")),
        found=_document(case.get("found")),
        texts=tuple(_text(one) for one in case.get("texts", [])),
        marks=tuple(Mark(**one) for one in case.get("marks", [])),
        attachments=tuple(_attachment(one) for one in case.get("attached", [])),
        signatures=tuple(_signature(one) for one in case.get("signatures", [])),
        **{name: _frozen(value) for name, value in named.items()},
    )


def _document(named: dict[str, Any] | None) -> Document | None:
    if named is None:
        return None
    return Document(**{name: _frozen(value) for name, value in named.items()})


def _text(named: dict[str, Any]) -> Text:
    return Text(**{"as_read": "göi", "converted": "gửi", **named})


def _attachment(named: dict[str, Any]) -> Attachment:
    values = {
        "declared_type": "application/octet-stream",
        "size_bytes": 1000,
        **{name: _frozen(value) for name, value in named.items()},
    }
    values["document"] = _document(named.get("document"))
    values["scan"] = ScannedPages(**named["scan"]) if "scan" in named else None
    values["page"] = Page(**named["page"]) if "page" in named else None
    values["signatures"] = tuple(_signature(one) for one in named.get("signatures", []))
    return Attachment(**values)


def _signature(named: dict[str, Any]) -> Signature:
    values = {"state": "valid", "form": "pdf", "signer": "Lê Văn Ký", **named}
    return Signature(**{name: _frozen(value) for name, value in values.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
