"""A signature that holds, by a signer whom no trusted authority vouches for.

Cases: `unchecked`, a signature of a form or strength that can't be checked; `other-address`, a mail
signed with a certificate for other addresses than its author's (RFC 8550, 3).
Basis: docs/basis.md#b12.
"""

from collections.abc import Iterator

from mailgov_policies import attached
from mailgov_policies.facts import Facts, Header, Signature
from mailgov_policies.rule import Rule, Settings
from mailgov_policies.verdict import Hit

_CASES = {"unknown-signer": "", "unknown": "unchecked"}
_WHOLE = ("", "1")  # parts that are all of the message: clear and opaque signatures


def check(facts: Facts, settings: Settings) -> Iterator[Hit]:  # noqa: ARG001 - has no settings
    """A hit for each signature that is not vouched for."""
    content = facts.content
    for item in content.attachments:
        for signature in item.signatures:
            if signature.state in _CASES:
                case = _CASES[signature.state]
                yield _hit(signature, attached.place(item), item.name, signature.why, case)
    for signature in content.signatures:
        place = f"part {signature.part}" if signature.part else "message"
        if signature.state in _CASES:
            yield _hit(signature, place, "", signature.why, _CASES[signature.state])
        elif signature.state == "valid" and _is_of_another(signature, content.header):
            yield _hit(signature, place, "", ", ".join(signature.addresses), "other-address")


def _is_of_another(signature: Signature, header: Header) -> bool:
    """Whether it signs all of the message, and none of its authors has that certificate."""
    authors = [*header.from_, *([header.sender] if header.sender else [])]
    named = {person.address for person in authors}
    return (
        signature.part in _WHOLE
        and bool(signature.addresses)
        and not named & {*signature.addresses}
    )


def _hit(signature: Signature, place: str, file: str, why: str, case: str) -> Hit:
    signer = signature.signer or signature.organisation or "?"
    evidence = {"place": place, "file": file, "signer": signer, "why": why, "case": case}
    return Hit(RULE.key, place, evidence)


RULE = Rule(
    key="signature-untrusted",
    id="B12",
    version=1,
    check=check,
    evidence=("place", "file", "signer", "why", "case"),
    cases=("unchecked", "other-address"),
)
