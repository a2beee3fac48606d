"""CMS signatures (RFC 5652; CAdES: RFC 5126): whether unchanged, by whom, when, on whose word.

The core of signatures on PDF files, on messages (S/MIME) and on files of any kind. Nothing is
fetched: roots are those given, revocation is not looked up. A certificate is judged at the time of
signing: that of a time stamp whose authority we trust, else what the signer's clock says.
"""

import hashlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeVar

from asn1crypto import cms, x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.ades.report import AdESIndeterminate
from pyhanko.sign.general import CMSExtractionError, extract_certificate_info
from pyhanko.sign.validation.generic_cms import (
    async_validate_cms_signature,
    extract_self_reported_ts,
    extract_tst_data_iter,
    message_imprint_checker,
    validate_tst_signed_data,
)
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureStatus, TimestampSignatureStatus
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import ValidationError

from mailgov.content.signers import signer_of
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature, SignatureState

# The library logs every flaw with a trace of the stack; here flaws are results, not trouble.
for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

Digest = Callable[[str], bytes]  # of what is signed, by the name of a hash function
Form = Literal["pdf", "cms", "smime", "xml", "office"]
_Result = TypeVar("_Result")

DAMAGED = "damaged signature"
# What parsers raise on bytes that are no signature. Anything else is trouble of ours.
_DAMAGE = (ValueError, TypeError, LookupError, PdfError, ValidationError)
_MAX_SIGNERS = 10
_MAX_CERTIFICATES = 64
_MAX_STAMPS = 3
_VIETNAM = timezone(timedelta(hours=7))
# Certificates for documents have the first, those for mail often only the other (RFC 8550, 4.4.2).
_FOR_SIGNING = KeyUsageConstraints(key_usage={"non_repudiation", "digital_signature"})


class Judged(NamedTuple):
    """What a check says, before it is told of whom."""

    state: SignatureState
    why: str = ""


UNTRUSTED = Judged("unknown-signer", "issuer not trusted")
BROKEN_CHAIN = Judged("unknown-signer", "certificate chain not valid")
NOT_IN_FORCE = Judged("expired", "certificate not in force at that time")
WEAK = Judged("unknown", "weak algorithm")
_PROBLEMS = {
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND: UNTRUSTED,
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE: NOT_IN_FORCE,
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE: WEAK,
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: WEAK,
}


class _Time(NamedTuple):
    signed_at: datetime | None
    stamped: bool = False


def read_signed_data(data: bytes) -> cms.SignedData | None:
    """The signed data in a CMS message; None when it holds something else. Raises ValueError."""
    message = cms.ContentInfo.load(data)
    return message["content"] if message["content_type"].native == "signed_data" else None


def signatures_in_cms(
    data: bytes, content: bytes | None, trust: Trust, form: Form
) -> tuple[Signature, ...]:
    """A signature for each signer; `content` is what they sign, None when it lies within.

    Never raises but MemoryError. Bundles of certificates and encrypted messages have no signers.
    """
    try:
        signed = read_signed_data(data)
        if signed is None:
            return ()
        digest = None if content is None else digest_of(content)
        return tuple(check(one, digest, trust, form) for one in _each_signer(signed))
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return (failed(exc, form),)


def digest_of(data: bytes) -> Digest:
    """The hash of some bytes by the name of the function."""
    return lambda name: hashlib.new(name, data).digest()


def _each_signer(signed: cms.SignedData) -> Iterator[cms.SignedData]:
    """The same data once for each signer, as the checks want it."""
    signers = signed["signer_infos"]
    if len(signers) == 1:
        yield signed
        return
    for number in range(min(len(signers), _MAX_SIGNERS)):
        alone = signed.copy()
        alone["signer_infos"] = cms.SignerInfos([signers[number]])
        yield alone


def check(
    signed: cms.SignedData,
    digest: Digest | None,
    trust: Trust,
    form: Form,
    claimed: datetime | None = None,
) -> Signature:
    """The signature of one signer. `claimed` is a signing time from outside the CMS.

    Never raises but MemoryError.
    """
    try:
        return _checked(signed, digest, trust, form, claimed)
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return failed(exc, form)


def failed(exc: Exception, form: Form) -> Signature:
    """A check that broke off: what is damaged is not valid; what we can't do is not known."""
    if isinstance(exc, CMSExtractionError):
        return Signature("unknown", form, "certificate missing")
    if isinstance(exc, UnsupportedAlgorithm):
        return Signature("unknown", form, "unknown algorithm")
    if isinstance(exc, _DAMAGE):
        return Signature("invalid", form, DAMAGED)
    return Signature("unknown", form, "check failed")


def _checked(
    signed: cms.SignedData,
    digest: Digest | None,
    trust: Trust,
    form: Form,
    claimed: datetime | None,
) -> Signature:
    if len(signed["certificates"]) > _MAX_CERTIFICATES:
        return Signature("unknown", form, "too many certificates")
    certificates = extract_certificate_info(signed)
    signer_info = signed["signer_infos"][0]
    time = _time(signer_info, trust, claimed)
    judged = _judged(signed, digest, trust, certificates.signer_cert, time)
    return told(judged, form, certificates.signer_cert, time.signed_at, stamped=time.stamped)


def told(
    judged: Judged,
    form: Form,
    certificate: x509.Certificate,
    signed_at: datetime | None,
    *,
    stamped: bool = False,
) -> Signature:
    """A judgement with the names in the certificate. Raises ValueError when they can't be read."""
    signer = signer_of(certificate)
    return Signature(
        judged.state,
        form,
        judged.why,
        holder=signer.holder,
        signer=signer.name,
        organisation=signer.organisation,
        addresses=signer.addresses,
        signed_at=signed_at.astimezone(_VIETNAM).isoformat(timespec="seconds") if signed_at else "",
        stamped=stamped,
    )


def _judged(
    signed: cms.SignedData,
    digest: Digest | None,
    trust: Trust,
    certificate: x509.Certificate,
    time: _Time,
) -> Judged:
    signer_info = signed["signer_infos"][0]
    if not _is_known(signer_info):
        return Judged("unknown", "unknown algorithm")
    moment = time.signed_at or trust.sent_at or certificate.not_valid_before
    status = finish(
        async_validate_cms_signature(
            signed,
            raw_digest=digest(signer_info["digest_algorithm"]["algorithm"].native)
            if digest
            else None,
            validation_context=context(trust, moment),
            key_usage_settings=_FOR_SIGNING,
        )
    )
    if not status.intact:
        return Judged("invalid", "content changed")
    if not status.valid:
        return Judged("invalid", "signature does not fit the certificate")
    return _chain_judged(status, certificate, moment)


def _chain_judged(
    status: SignatureStatus, certificate: x509.Certificate, moment: datetime
) -> Judged:
    """What the chain of certificates says of a signature that fits."""
    problem = status.trust_problem_indic
    if problem is None:
        return Judged("valid")
    if problem in _PROBLEMS:
        return _PROBLEMS[problem]
    if certificate.self_signed in ("yes", "maybe"):
        return UNTRUSTED
    if moment < certificate.not_valid_before:
        return NOT_IN_FORCE
    return BROKEN_CHAIN


def _is_known(signer_info: cms.SignerInfo) -> bool:
    """Whether the algorithms are among those that can be computed here."""
    try:
        return bool(signer_info["signature_algorithm"].signature_algo)
    except ValueError:
        return False


def _time(signer_info: cms.SignerInfo, trust: Trust, claimed: datetime | None) -> _Time:
    """When it was signed, and whether somebody else than the signer says so."""
    stamp = _stamp(signer_info, trust)
    if stamp is not None:
        return _Time(stamp, stamped=True)
    moment = extract_self_reported_ts(signer_info) or claimed
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=_VIETNAM)  # only PDF dates may lack a zone (7.9.4)
    return _Time(moment)


def _stamp(signer_info: cms.SignerInfo, trust: Trust) -> datetime | None:
    """The time on the first stamp (RFC 3161) that is in order, by an authority we trust."""
    stamps = islice(extract_tst_data_iter(signer_info, signed=False), _MAX_STAMPS)
    return next((at for one in stamps if (at := _stamped_at(one, signer_info, trust))), None)


def _stamped_at(
    stamp: cms.SignedData, signer_info: cms.SignerInfo, trust: Trust
) -> datetime | None:
    """The time on a stamp; None when it is not in order."""
    try:
        moment = stamp["encap_content_info"]["content"].parsed["gen_time"].native
        imprint = message_imprint_checker(signer_info)
        checks = validate_tst_signed_data(stamp, context(trust, moment), imprint)
        status = TimestampSignatureStatus(**finish(checks))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a stamp that can't be read is none
        return None
    in_order = status.intact and status.valid and status.trusted
    return moment if in_order and isinstance(moment, datetime) else None


def context(trust: Trust, moment: datetime) -> ValidationContext:
    """Chains to the roots given, at that moment, without a network."""
    return ValidationContext(
        trust_roots=_certificates(trust.roots),
        moment=moment,
        allow_fetching=False,
        revocation_mode="none",
    )


@cache
def _certificates(roots: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    return tuple(x509.Certificate.load(root) for root in roots)


def finish(check: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of a check that is written as a coroutine and, fetching nothing, never waits.

    So it needs no event loop, which the caller may be in already.
    """
    try:
        check.send(None)
    except StopIteration as done:
        result: _Result = done.value
        return result
    check.close()
    raise RuntimeError("a signature check waits for something")
