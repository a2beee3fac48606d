"""An ARC set for a message that is passed on: what we found, the message, the chain (RFC 8617, 5.1)."""

from collections.abc import Sequence

from mailgov.errors import Unavailable
from mailgov.signing.arc import MAX_SETS, ArcResult, ArcSet, read_sets, sealed_bytes
from mailgov.signing.canonical import Field
from mailgov.signing.keyring import KeyHolder, SigningKey
from mailgov.signing.signature import Unsigned, message_signature, seal_value, signed_names
from mailgov.signing.tags import NotValid

_RESULTS = b"Authentication-Results:"


async def seal_fields(
    holder: KeyHolder,
    key: SigningKey,
    fields: Sequence[Field],
    digest: bytes,
    results: bytes,
    chain: ArcResult,
    moment: int,
) -> bytes | None:
    """The three fields, newest first; None when the chain is closed or full.

    `results` is an Authentication-Results field of ours, `digest` the relaxed body's. Raises
    Unavailable `resolver-unavailable` for a chain that could not be checked, and what the holder does.
    """
    if chain.state == "temperror":
        raise Unavailable("resolver-unavailable", name="arc", type="TXT", reason=chain.reason)
    before = _sets(fields, chain)
    instance = len(before) + 1
    if chain.closed or instance > MAX_SETS:
        return None
    found = f" i={instance};".encode() + results.removeprefix(_RESULTS)
    found_field: Field = (b"ARC-Authentication-Results", found)
    message = _message_signature(key, instance, fields, digest, moment)
    signature = message.with_signature(await holder.sign(key, message.covered))
    name, _, value = signature.partition(b":")
    seal = _seal(key, instance, chain, before, found_field, (name, value), moment)
    sealed = seal.with_signature(await holder.sign(key, seal.covered))
    return sealed + signature + found_field[0] + b":" + found


def _sets(fields: Sequence[Field], chain: ArcResult) -> tuple[ArcSet, ...]:
    """Those the chain has; of one that is broken, as many as its highest number says."""
    if chain.state == "none":
        return ()
    try:
        return read_sets(fields)
    except NotValid:
        return ()


def _message_signature(
    key: SigningKey, instance: int, fields: Sequence[Field], digest: bytes, moment: int
) -> Unsigned:
    tags = {"i": str(instance), "a": key.tag, "d": key.domain, "s": key.selector, "t": str(moment)}
    count = sum(name.strip().lower() == b"dkim-signature" for name, _ in fields)
    names = [*signed_names(fields), *[b"dkim-signature"] * count]
    return message_signature("ARC-Message-Signature", tags, names, fields, digest)


def _seal(
    key: SigningKey,
    instance: int,
    chain: ArcResult,
    before: tuple[ArcSet, ...],
    results: Field,
    signature: Field,
    moment: int,
) -> Unsigned:
    state = chain.state
    tags = {
        "i": str(instance), "a": key.tag, "cv": state, "d": key.domain, "s": key.selector,
        "t": str(moment),
    }  # fmt: skip
    value = seal_value("ARC-Seal", tags)
    own = ArcSet(instance, results, signature, (b"ARC-Seal", value))
    # A seal over a broken chain covers its own set only (5.1.2).
    covered = (own,) if state == "fail" else (*before, own)
    return Unsigned("ARC-Seal", value, sealed_bytes(covered))
