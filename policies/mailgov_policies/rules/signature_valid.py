"""A digital signature that is there must hold.

Invalid, over a part of the file only, or on a file that was changed later: the document goes back.
Cases: `expired`, the certificate was not in force when it signed; `countersigned`, the change was
made before a later signature that is valid and covers it, as when the office adds number and date
after the signer; `message`, the signature on a mail itself, which lists and gateways break without
ill will.
Basis: docs/basis.md#b12.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, Signature
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_BROKEN = frozenset({"invalid", "covers-not-whole-file", "altered-after-signing"})


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each signature that does not hold."""
    for item in facts.content.attachments:
        for number, signature in enumerate(item.signatures):
            case = _case(signature, item.signatures[number + 1 :])
            if case is not None:
                yield _hit(signature, attached.place(item), item.name, case)
    for signature in facts.content.signatures:
        if _case(signature, ()) is not None:
            place = f"part {signature.part}" if signature.part else "message"
            yield _hit(signature, place, "", "message")


def _case(signature: Signature, later: tuple[Signature, ...]) -> str | None:
    """The case; None when the signature holds, or when it can't be known."""
    if signature.state == "expired":
        return "expired"
    if signature.state not in _BROKEN:
        return None
    vouched_for = any(one.state == "valid" for one in later)
    return "countersigned" if signature.state == "altered-after-signing" and vouched_for else ""


def _hit(signature: Signature, place: str, file: str, case: str) -> Hit:
    signer = signature.signer or signature.organisation or "?"
    evidence = {"place": place, "file": file, "signer": signer, "why": signature.why, "case": case}
    return Hit(RULE.key, place, evidence)


RULE = Rule(
    key="signature-valid",
    id="B12",
    version=1,
    check=check,
    evidence=("place", "file", "signer", "why", "case"),
    cases=("expired", "countersigned", "message"),
)
