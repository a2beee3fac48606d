"""Signatures within office documents: what holds, what was changed, and what was left out."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.content import read_message
from mailgov.content.signatures import in_file
from mailgov.content.trust import Trust
from mailgov_policies.facts import Signature

from ...support import signers
from ...support.office_signatures import sign_office, sign_opendocument
from . import making

ROOT = signers.authority()
PERSON = signers.holder(ROOT)
AGENCY = signers.holder(ROOT, CN="Sở Xây dựng tỉnh Mẫu", O="Sở Xây dựng tỉnh Mẫu")
TRUST = Trust((ROOT.der,))
LINK = '<Relationship Id="rId5" Type="http://x/styles" Target="styles.xml"/>'
WORD = making.docx(
    ["Số: 12/TB-SXD"], more={"word/styles.xml": "<styles/>", "docProps/core.xml": "<core/>"},
    relationships=LINK,
)  # fmt: skip
TEXT = making.zipped(
    {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "content.xml": "<?xml version='1.0'?>\n<content>Kính gửi</content>",
        "styles.xml": "<styles/>",
        "Pictures/a b.png": b"\x89PNG",
        "META-INF/manifest.xml": "<manifest/>",
    }
)


def of(data: bytes, kind: str = "docx", trust: Trust = TRUST) -> list[tuple[str, str]]:
    return [(one.state, one.why) for one in in_file(kind, data, trust)]


def changed(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same package with one part other than it was; missing ones are new."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, bytes | str] = {one: archive.read(one) for one in archive.namelist()}
    part = parts.get(name, b"")
    parts[name] = change(part if isinstance(part, bytes) else part.encode())
    return making.zipped(parts)


def test_a_signature_tells_who_signed_and_when() -> None:
    (found,) = in_file("docx", sign_office(WORD, PERSON), TRUST)
    assert isinstance(found, Signature)
    assert (found.state, found.form, found.holder) == ("valid", "office", "person")
    assert found.signed_at == "2026-03-12T08:00:00+07:00"
    (agency,) = in_file("docx", sign_office(WORD, AGENCY), TRUST)
    assert (agency.state, agency.holder) == ("valid", "agency")


def test_it_reaches_the_facts_of_the_attachment() -> None:
    data = making.message(files=[("tb.docx", sign_office(WORD, PERSON))])
    (attachment,) = read_message(data, None, TRUST.roots).attachments
    assert [(one.form, one.state) for one in attachment.signatures] == [("office", "valid")]


def test_a_stranger_is_not_known_and_a_certificate_must_be_in_force() -> None:
    stranger = signers.holder(signers.authority("CA khác"))
    assert of(sign_office(WORD, stranger)) == [("unknown-signer", "issuer not trusted")]
    late = signers.holder(ROOT, since=signers.day(2027))
    assert of(sign_office(WORD, late)) == [("expired", "certificate not in force at that time")]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("word/document.xml", lambda part: part.replace(b"12/TB", b"13/TB")),
        ("word/styles.xml", lambda part: part + b" "),
        ("word/_rels/document.xml.rels", lambda part: part.replace(b"styles.xml", b"other.xml")),
        ("[Content_Types].xml", lambda part: part.replace(b"document.main", b"template.main")),
    ],
)
def test_a_changed_part_is_invalid(name: str, change: Callable[[bytes], bytes]) -> None:
    data = changed(sign_office(WORD, PERSON), name, change)
    assert of(data) == [("invalid", "content changed")]


def test_a_missing_part_is_invalid() -> None:
    signed = sign_office(WORD, PERSON)
    with zipfile.ZipFile(io.BytesIO(signed)) as archive:
        parts = {one: archive.read(one) for one in archive.namelist() if "styles" not in one}
    assert of(making.zipped({**parts})) == [("invalid", "content changed")]


def test_a_changed_manifest_is_invalid() -> None:
    data = changed(
        sign_office(WORD, PERSON),
        "_xmlsignatures/sig1.xml",
        lambda part: part.replace(b"/word/styles.xml", b"/word/styles.xm_"),
    )
    assert of(data) == [("invalid", "content changed")]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("word/header1.xml", lambda _: b"<header/>"),
        (
            "word/_rels/document.xml.rels",
            lambda part: part.replace(
                b"</Relationships>",
                b'<Relationship Id="rId9" Type="http://x/attachedTemplate" Target="http://a.test/" '
                b'TargetMode="External"/></Relationships>',
            ),
        ),
    ],
)
def test_what_was_added_is_not_signed(name: str, change: Callable[[bytes], bytes]) -> None:
    data = changed(sign_office(WORD, PERSON), name, change)
    assert of(data) == [("covers-not-whole-file", "parts of the document are not signed")]


def test_properties_may_be_added() -> None:
    data = changed(sign_office(WORD, PERSON), "docProps/core.xml", lambda _: b"<other/>")
    assert of(data) == [("valid", "")]


def test_a_part_left_out_from_the_start() -> None:
    data = sign_office(WORD, PERSON, without=("word/styles.xml",))
    assert of(data) == [("covers-not-whole-file", "parts of the document are not signed")]


def test_two_signatures() -> None:
    signed = sign_office(WORD, PERSON)
    second = changed(
        signed,
        "_xmlsignatures/sig2.xml",
        lambda _: zipfile.ZipFile(io.BytesIO(sign_office(WORD, AGENCY))).read(
            "_xmlsignatures/sig1.xml"
        ),
    )
    assert [one.holder for one in in_file("docx", second, TRUST)] == ["person", "agency"]


@pytest.mark.parametrize(
    ("pattern", "new", "said"),
    [
        (rb"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1", ("unknown", "weak algorithm")),
        (rb"<X509Certificate>.*</X509Certificate>", b"", ("unknown", "certificate missing")),
        (rb"<SignatureValue>.", b"<SignatureValue>?", ("unknown", "damaged signature")),
        (rb"<", b"", ("unknown", "damaged signature")),
    ],
)
def test_signatures_that_can_not_be_checked(
    pattern: bytes, new: bytes, said: tuple[str, str]
) -> None:
    data = changed(
        sign_office(WORD, PERSON),
        "_xmlsignatures/sig1.xml",
        lambda part: re.sub(pattern, new, part),
    )
    ((state, _),) = of(data)
    assert state in (said[0], "invalid")


# OpenDocument --------------------------------------------------------------------------------------


def test_opendocument_with_two_signatures() -> None:
    found = in_file("odt", sign_opendocument(TEXT, PERSON, AGENCY), TRUST)
    assert [(one.state, one.holder, one.form) for one in found] == [
        ("valid", "person", "office"),
        ("valid", "agency", "office"),
    ]
    assert found[0].signed_at == "2026-03-12T08:00:00+07:00"


@pytest.mark.parametrize("name", ["content.xml", "Pictures/a b.png", "META-INF/manifest.xml"])
def test_opendocument_changed(name: str) -> None:
    data = changed(
        sign_opendocument(TEXT, PERSON), name,
        lambda part: part.replace(b"</", b"x</") if b"</" in part else part[:1] + b"<x/>" if b"<" in part else part + b"x",
    )  # fmt: skip
    ((state, _),) = of(data, "odt")
    assert state in ("invalid", "unknown")


def test_opendocument_with_something_added() -> None:
    data = changed(sign_opendocument(TEXT, PERSON), "Basic/x.xml", lambda _: b"<x/>")
    assert of(data, "odt") == [("covers-not-whole-file", "parts of the document are not signed")]


@settings(max_examples=40, deadline=None)
@given(at=st.floats(0, 1), mask=st.integers(1, 255))
def test_whatever_byte_of_the_text_is_changed_it_never_holds(at: float, mask: int) -> None:
    def flipped(part: bytes) -> bytes:
        place = min(int(at * len(part)), len(part) - 1)
        return part[:place] + bytes([part[place] ^ mask]) + part[place + 1 :]

    data = changed(sign_office(WORD, PERSON), "word/document.xml", flipped)
    assert all(state != "valid" for state, _ in of(data))


@pytest.mark.corpus
def test_documents_of_others_have_none(corpus: Path) -> None:
    for path in sorted((corpus / "documents" / "decree-30-2020").glob("*.docx")):
        assert in_file("docx", path.read_bytes(), TRUST) == ()
