"""What one message adds to the aggregate report of the domain in From (RFC 7489, 7.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlmodel import Session

from mailgov.authentication.dmarc import DmarcOutcome
from mailgov.authentication.spf import SpfResult
from mailgov.db.models import DmarcResult
from mailgov.message import Envelope
from mailgov.signing.verify import SignatureResult

Disposition = Literal["none", "quarantine", "reject"]

# Reasons of RFC 7489, Appendix C, PolicyOverrideType.
_OVERRIDES = {"local-policy": "local_policy", "trusted-forwarder": "trusted_forwarder"}
_MAX_SIGNS = 255


@dataclass(frozen=True, slots=True)
class Contribution:
    """A row of a report, but for what becomes of the message."""

    policy_domain: str
    policy: dict[str, str]
    source_ip: str
    header_from: str
    envelope_from: str
    dkim: str
    spf: str
    reasons: tuple[tuple[str, str], ...] = ()
    auth: dict[str, Any] = field(default_factory=dict)

    def keep(self, session: Session, queue_id: str, at: datetime, disposition: Disposition) -> None:
        """Store it, in the transaction that takes or refuses the message."""
        session.add(
            DmarcResult(
                at=at,
                message_id=queue_id,
                policy_domain=self.policy_domain,
                policy=self.policy,
                source_ip=self.source_ip,
                header_from=self.header_from,
                envelope_from=self.envelope_from,
                disposition=disposition,
                dkim=self.dkim,
                spf=self.spf,
                reasons=[list(reason) for reason in self.reasons],
                auth=self.auth,
            )
        )


def contribution(
    envelope: Envelope,
    outcome: DmarcOutcome,
    spf: SpfResult,
    signatures: Sequence[SignatureResult],
    override: str,
) -> Contribution | None:
    """What the message adds; None when nobody asks for a report."""
    record = outcome.record
    if record is None or not record.reports or outcome.result not in ("pass", "fail"):
        return None
    reasons = [(_OVERRIDES[override], "")] if override else []
    if outcome.sampled_out and outcome.result == "fail":
        reasons.append(("sampled_out", ""))
    return Contribution(
        policy_domain=outcome.found_at,
        policy=record.published(),
        source_ip=envelope.client.ip,
        header_from=outcome.author,
        envelope_from=envelope.mail_from.domain if envelope.mail_from else "",
        dkim="pass" if outcome.dkim_aligned else "fail",
        spf="pass" if outcome.spf_aligned else "fail",
        reasons=tuple(reasons),
        auth={
            "dkim": [
                {"domain": one.domain, "selector": one.selector[:_MAX_SIGNS], "result": one.result}
                for one in signatures
                if one.domain
            ],
            "spf": {"domain": spf.domain or "unknown", "scope": _scope(spf), "result": spf.result},
        },
    )


def _scope(spf: SpfResult) -> str:
    return "mfrom" if spf.identity == "mailfrom" else "helo"
