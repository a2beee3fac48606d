"""What is left of a refused secret: keyed hash, mark, sender, rule and time; nothing else.

Basis: docs/basis.md#b06 (no copy of what may be a state secret). The hash tells an investigator who
has the document whether it is the one; without the key nobody can try documents against it.
"""

import hmac
import secrets
from dataclasses import replace

from sqlmodel import Session

from mailgov.db.models import Instance
from mailgov.ledger.events import MessageRefused
from mailgov_policies.verdict import Action, Verdict

_RULE = "secret-mark"
KEY = "secret-hash-key"
"""The key of the hash, among the facts about this installation; made at the first refusal."""


def is_secret(verdict: Verdict) -> bool:
    """Whether a mark of secrecy is among what refuses the message."""
    return any(f.code == _RULE and f.action >= Action.REJECT for f in verdict.findings)


def stripped(
    session: Session, refused: MessageRefused, verdict: Verdict, content_sha256: bytes
) -> MessageRefused:
    """The event without what describes the message, with its keyed hash and its marks."""
    marks = [f.evidence.get("mark", "") for f in verdict.findings if f.code == _RULE]
    return replace(
        refused,
        category="",
        document_type="",
        header_message_id="",
        recipients=[],
        marks=[mark for mark in dict.fromkeys(marks) if mark],
        content_mac=hmac.digest(_key(session), content_sha256, "sha256").hex(),
    )


def _key(session: Session) -> bytes:
    kept = session.get(Instance, KEY)
    if kept is None:
        kept = Instance(key=KEY, value=secrets.token_hex(32))
        session.add(kept)
        session.flush()
    return bytes.fromhex(kept.value)
