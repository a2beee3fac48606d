"""Against what signatures are checked: pinned roots and a time, both given, never looked up."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom we trust to say who a signer is."""

    roots: tuple[bytes, ...] = ()  # certificates in DER
    sent_at: datetime | None = None  # stands in for a signing time that a signature does not name
