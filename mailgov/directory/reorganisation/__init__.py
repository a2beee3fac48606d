"""Mergers and closures of agencies: what they would do, and the doing of it.

`merger` says what is asked for, `survey` what that comes to, `addresses` who is called how then, and
`carrying_out` writes it, all of it in one transaction with an event for everything that changed.
"""

from mailgov.directory.reorganisation.carrying_out import carry_out
from mailgov.directory.reorganisation.merger import ADDRESSES, Addresses, Merger, closure, merger
from mailgov.directory.reorganisation.survey import MergerPlan, is_done, survey
from mailgov.directory.reorganisation.telling import counts, missing_keys, told

__all__ = [
    "ADDRESSES",
    "Addresses",
    "Merger",
    "MergerPlan",
    "carry_out",
    "closure",
    "counts",
    "is_done",
    "merger",
    "missing_keys",
    "survey",
    "told",
]
