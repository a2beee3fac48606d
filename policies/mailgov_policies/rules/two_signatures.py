"""An issued electronic document bears the signatures of the competent person and of the agency.

Only signed documents are looked at. Cases: `agency`, that of the agency is missing; `person`, that
of the signer. Copies are certified by the agency alone (Decree 30/2020, Article 25). Whose a
certificate is, `mailgov/content/signers.py` tells.
Basis: docs/basis.md#b13.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, Signature
from mailgov_policies.formal import formal_documents, is_copy, sound_signatures
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each signed document that lacks one of the two."""
    for item, document in formal_documents(facts.content):
        signatures = sound_signatures(item)
        missing = _missing(signatures)
        if missing and not (missing == "person" and is_copy(document)):
            signer = ", ".join(one.signer or one.organisation or "?" for one in signatures)
            evidence = attached.evidence(item, signer=signer, case=missing)
            yield Hit(RULE.key, attached.place(item), evidence)


def _missing(signatures: tuple[Signature, ...]) -> str:
    """The signature that is not there; empty when there is none at all, or when it may be."""
    holders = {one.holder for one in signatures}
    if holders == {"person"}:
        return "agency"
    return "person" if holders == {"agency"} else ""


RULE = Rule(
    key="two-signatures",
    id="B13",
    version=1,
    check=check,
    evidence=("place", "file", "signer", "case"),
    cases=("agency", "person"),
    directions=("submission",),
)
