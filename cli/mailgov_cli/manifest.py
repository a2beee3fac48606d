"""Manifests: cases with the verdict that each wants, in format 1 (policies/README.md).

Agencies keep them to see that a new ruleset judges old cases as before.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mailgov.errors import InputError
from mailgov_cli.checking import (
    DIRECTIONS,
    Case,
    Judged,
    Surroundings,
    authentication_of,
    read_file,
)
from mailgov_policies import Action, Content, Document
from mailgov_policies.facts import SignatureState

FORMAT = 1
_PAD_MARK = b"@@PAD@@"
_MAX_PAD_BYTES = 256 << 20

# Outcomes as manifests name them; `defer` is none of them.
_OUTCOMES: Mapping[Action, str] = {
    Action.PASS: "accept",
    Action.TAG: "tag",
    Action.WARN: "tag",
    Action.HOLD: "hold",
    Action.QUARANTINE: "hold",
    Action.DEFER: "defer",
    Action.REJECT: "reject",
}
# Reason classes of manifests whose rule has another key; the others bear the key's own name.
_REASONS: Mapping[str, str] = {
    "legacy-charset": "legacy-encoding",
    "secrecy-mark": "secret-mark",
    "free-mail-official": "freemail-inbound-document",
    "free-mail-recipient": "freemail-outbound",
    "sender-mismatch": "sender-identity",
    "auth-fail": "authentication-failed",
    "attachment-executable": "executable",
    "attachment-macro": "macro",
    "attachment-active": "active-content",
    "attachment-disguised": "disguised-file",
    "attachment-encrypted": "encrypted-archive",
    "oversize": "message-size",
    "signature-invalid": "signature-valid",
    "unsigned-copy": "unsigned-needs-scan",
}
# States of signatures as manifests name them; all others are `invalid`.
_SIGNATURES: Mapping[SignatureState, str] = {
    "valid": "valid",
    "unknown-signer": "untrusted",
    "unknown": "untrusted",
}
# Kinds of documents as manifests name them: e-mail categories, one of which may be meant by two.
_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "thong-bao": ("notice",),
    "lich-cong-tac": ("schedule",),
    "giay-moi": ("invitation",),
    "giay-trieu-tap": ("summons",),
    "chi-dao-dieu-hanh": ("directive",),
    "trao-doi-cong-viec": ("work-exchange",),
    "tai-lieu-hop": ("meeting-papers",),
    "de-biet-bao-cao": ("for-information", "for-report"),
    "khac": ("other",),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a case wants."""

    action: str
    also_ok: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # keys of rules, any of which will do; empty: none
    doc_type: str = ""
    signature: str = ""  # what checking signatures must say: valid, invalid, untrusted, none

    def is_met(self, judged: Judged) -> bool:
        """Whether action, reason, signatures and kind of document are as wanted."""
        outcome = outcome_of(judged)
        if outcome not in (self.action, *self.also_ok):
            return False
        if self.reasons and outcome != "accept" and not {*self.reasons} & {*judged.verdict.labels}:
            return False
        if self.signature and self.signature != signature_of(judged.facts.content):
            return False
        return not self.doc_type or self._is_kind(judged.facts.content.document)

    def _is_kind(self, document: Document | None) -> bool:
        if document is None:
            return False
        kinds = _CATEGORIES.get(self.doc_type, ())
        return self.doc_type == document.type or document.category in (self.doc_type, *kinds)


def signature_of(content: Content) -> str:
    """What the signatures on a message and its files amount to, in the words of manifests."""
    found = [*content.signatures, *(one for item in content.attachments for one in item.signatures)]
    said = {_SIGNATURES.get(one.state, "invalid") for one in found}
    return next((word for word in ("invalid", "untrusted", "valid") if word in said), "none")


def outcome_of(judged: Judged) -> str:
    """The action in the words of manifests."""
    return _OUTCOMES[judged.verdict.action]


@dataclass(frozen=True, slots=True)
class _Row:
    """A case without its bytes, and how to get them."""

    case: Case
    wanted: Wanted
    path: Path
    pad: tuple[str, int] | None

    def load(self) -> Case:
        data = read_file(str(self.path))
        return replace(self.case, data=_padded(data, *self.pad) if self.pad else data)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose form is right. Messages are read when their turn comes."""

    rows: tuple[_Row, ...]
    trust_roots: tuple[Path, ...] = ()  # files with certificates that may vouch for signatures

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What each case wants."""
        return tuple(row.wanted for row in self.rows)

    def cases(self) -> Iterator[Case]:
        """Every case with its bytes. Raises InputError `message-unreadable`."""
        return (row.load() for row in self.rows)


def read_manifest(path: Path) -> Manifest:
    """The cases of a manifest. Raises InputError `file-unreadable`, `manifest-not-valid`."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("file-unreadable", file=path, reason=exc) from exc
    except json.JSONDecodeError as exc:
        raise InputError("manifest-not-valid", file=path, reason=exc) from exc
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError("manifest-not-valid", file=path, reason=f"`format` is not {FORMAT}")
    return Manifest(tuple(_rows(raw, path)), _trust_roots(raw, path))


def _rows(raw: Mapping[str, Any], path: Path) -> Iterator[_Row]:
    name = "environment"
    try:
        around = _surroundings(raw.get("environment", {}))
        for index, row in enumerate(raw["cases"], start=1):
            name = f"case {index}"
            name = f"case `{row['id']}`"
            yield _Row(_case(row, around), _wanted(row), path.parent / row["file"], _pad(row))
    except KeyError as exc:
        reason = f"{name}: {exc.args[0]!r} is missing or not known"
        raise InputError("manifest-not-valid", file=path, reason=reason) from exc
    except (TypeError, ValueError, AttributeError) as exc:
        raise InputError("manifest-not-valid", file=path, reason=f"{name}: {exc}") from exc


def _trust_roots(raw: Mapping[str, Any], path: Path) -> tuple[Path, ...]:
    """Signers that the environment trusts; their files stand beside the manifest."""
    names = raw.get("environment", {}).get("trusted_signers", ())
    return tuple(path.parent / str(name) for name in names)


def _surroundings(raw: Mapping[str, Any]) -> Surroundings:
    return Surroundings(
        official_suffixes=tuple(raw.get("official_suffixes", Surroundings().official_suffixes)),
        local_domains=tuple(raw.get("local_domains", ())),
        free_domains=tuple(raw.get("free_mail_domains_include", ())),
        may_send_as={
            account["address"]: tuple(account.get("may_send_as", [account["address"]]))
            for account in raw.get("accounts", ())
        },
        max_content_bytes=int(raw.get("max_message_bytes", Surroundings().max_content_bytes)),
    )


def _case(row: Mapping[str, Any], around: Surroundings) -> Case:
    if row["route"] not in DIRECTIONS:
        raise ValueError(f"`route` can't be `{row['route']}`")
    auth = row.get("auth") or {}
    return Case(
        id=row["id"],
        file=row["file"],
        data=b"",
        direction=row["route"],
        mail_from=row["mail_from"] or "",
        recipients=tuple(row["rcpt_to"]),
        login=row.get("login") or "",
        authentication=authentication_of(auth, auth.get("dmarc_policy", "")),
        helo=row.get("helo") or "",
        surroundings=around,
    )


def _pad(row: Mapping[str, Any]) -> tuple[str, int] | None:
    pad = row.get("pad")
    if not pad:
        return None
    line, count = str(pad["line"]), int(pad["count"])
    if len(line) * count > _MAX_PAD_BYTES:
        raise ValueError("`pad` makes more than 256 MiB")
    return line, count


def _padded(data: bytes, line: str, count: int) -> bytes:
    """The line that marks the place replaced by many: huge messages stay small on disk."""
    mark = _PAD_MARK + b"\r\n"
    return data.replace(mark if mark in data else _PAD_MARK, (line.encode() + b"\r\n") * count, 1)


def _wanted(row: Mapping[str, Any]) -> Wanted:
    expect = row["expect"]
    reasons = [expect.get("reason") or "ok", *row.get("reason_also", ())]
    return Wanted(
        action=expect["action"],
        also_ok=tuple(expect.get("also_ok", ())),
        reasons=tuple(_REASONS.get(reason, reason) for reason in reasons if reason != "ok"),
        doc_type=expect.get("doc_type") or "",
        signature=row.get("signature") or "",
    )
