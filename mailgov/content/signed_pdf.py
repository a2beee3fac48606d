"""Signatures on PDF files (ISO 32000-1, 12.8; PAdES: ETSI EN 319 142).

What counts is the file as it is: a signature over an earlier revision stands as long as what was
added since is what signatures permit, which is further signatures, time stamps and form fields.
Time stamps on the whole document are nobody's signature and are left out.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from mailgov.content.signed_cms import DAMAGED, check, digest_of, failed, read_signed_data
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature

_MAX_SIGNATURES = 20
_BYTE_RANGE = re.compile(
    rb"/ByteRange\s*\[\s*(\d{1,10})\s+(\d{1,10})\s+(\d{1,10})\s+(\d{1,10})\s*\]"
)


def signatures_in_pdf(data: bytes, trust: Trust) -> tuple[Signature, ...]:
    """Every signature, in the order of signing. Never raises but MemoryError."""
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=False)
        if reader.encrypted:  # locked against printing or the like: opens with no password
            reader.decrypt(b"")
        fields = list(enumerate_sig_fields(reader, filled_status=True))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return tuple(_by_bytes_alone(data, trust))
    has_tail = _has_tail(data)
    found = [
        _of_field(reader, field, name, trust, has_tail=has_tail)
        for name, _, field in fields[:_MAX_SIGNATURES]
    ]
    signed = sorted((one for one in found if one is not None), key=lambda one: one[0])
    return tuple(signature for _, signature in signed)


def _of_field(
    reader: PdfFileReader,
    field: generic.DictionaryObject,
    name: str,
    trust: Trust,
    *,
    has_tail: bool,
) -> tuple[int, Signature] | None:
    """The signature in a field, with the number of the revision that it signs."""
    try:
        embedded = EmbeddedPdfSignature(reader, field, name)
        if embedded.sig_object_type != "/Sig":
            return None
        signature = check(
            embedded.signed_data, embedded.compute_digest, trust, "pdf", _claimed(embedded)
        )
        if signature.state != "invalid":
            signature = _on_the_file(embedded, signature, has_tail=has_tail)
        return embedded.signed_revision, signature
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - what parsers raise on hostile bytes has no bounds
        return 0, failed(exc, "pdf")


def _claimed(embedded: EmbeddedPdfSignature) -> datetime | None:
    """The signing time in the signature dictionary (12.8.1), if it is one."""
    try:
        moment: datetime = generic.parse_pdf_date(embedded.sig_object["/M"], strict=False)
    except (KeyError, ValueError):
        return None
    return moment


def _has_tail(data: bytes) -> bool:
    """Whether something stands behind the end of the file, where lenient programs look (7.5.5)."""
    return bool(data[data.rfind(b"%%EOF") + 5 :].strip(b"\0\t\n\f\r "))


def _on_the_file(
    embedded: EmbeddedPdfSignature, signature: Signature, *, has_tail: bool
) -> Signature:
    """What it means for the file that the bytes which were signed are unchanged."""
    try:
        embedded.compute_integrity_info()  # type: ignore[no-untyped-call]  # not typed there
        found = embedded.summarise_integrity_info()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - something was added, and what it is can't be made out
        return replace(signature, state="altered-after-signing", why="changes not readable")
    coverage = found["coverage"]
    if coverage < SignatureCoverageLevel.ENTIRE_REVISION or (
        coverage == SignatureCoverageLevel.ENTIRE_REVISION and has_tail
    ):
        return replace(signature, state="covers-not-whole-file", why="parts not signed")
    if not found["docmdp_ok"]:
        return replace(signature, state="altered-after-signing", why="changed later")
    return signature


def _by_bytes_alone(data: bytes, trust: Trust) -> Iterator[Signature]:
    """Signatures of a file whose structure can't be read: changed bytes are still noticed."""
    for match in islice(_BYTE_RANGE.finditer(data), _MAX_SIGNATURES):
        start, length, rest, rest_length = map(int, match.groups())
        signed = data[start : start + length] + data[rest : rest + rest_length]
        try:
            written = data[start + length : rest].strip(b"<> \r\n").decode("ascii")
            content = read_signed_data(bytes.fromhex(written))
        except ValueError:
            content = None
        if content is None:
            yield Signature("invalid", "pdf", DAMAGED)
            continue
        signature = check(content, digest_of(signed), trust, "pdf")
        if signature.state != "invalid":
            signature = replace(signature, state="unknown", why="damaged PDF")
        yield signature
