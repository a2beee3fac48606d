"""Signatures on files and messages: each flaw is named, what holds is let be."""

import io
import re
import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import MDPPerm

from mailgov.content import read_message
from mailgov.content.signatures import around, in_file
from mailgov.content.trust import Trust
from mailgov_policies.facts import Content, Signature

from ...support import signers
from . import making

TRUST = Trust((signers.authority().der,))
VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "vectors" / "signed-files.toml").read_text("utf-8")
)
ENTITY = "Content-Type: text/plain; charset=utf-8\r\n\r\nKính gửi các đơn vị.\r\n".encode()


@pytest.fixture(scope="module")
def person() -> signers.Holder:
    return signers.holder()


@pytest.fixture(scope="module")
def agency() -> signers.Holder:
    return signers.holder(CN="UBND tỉnh Mẫu", O="UBND tỉnh Mẫu", C="VN")


@pytest.fixture(scope="module")
def signed(person: signers.Holder) -> bytes:
    """A PDF that a person has signed."""
    return signers.sign(making.pdf(), person)


def of_pdf(data: bytes, trust: Trust = TRUST) -> tuple[Signature, ...]:
    return in_file("pdf", data, trust)


def states(found: tuple[Signature, ...]) -> list[str]:
    return [one.state for one in found]


def changed(pdf: bytes) -> bytes:
    """The PDF with another page size, as an update behind what was there."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0]
    page["/MediaBox"] = generic.ArrayObject(reversed(list(page["/MediaBox"])))
    writer.mark_update(page.container_ref)
    return written(writer)


def written(writer: IncrementalPdfFileWriter) -> bytes:
    """The file with its updates."""
    out = io.BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]  # not typed there
    return out.getvalue()


# PDF


def test_a_signature_tells_who_signed_and_when(signed: bytes) -> None:
    assert of_pdf(signed) == (
        Signature(
            "valid",
            "pdf",
            holder="person",
            signer="Lê Văn Ký",
            organisation="UBND tỉnh Mẫu",
            signed_at="2026-03-12T08:00:00+07:00",
        ),
    )


def test_person_and_agency_sign_one_after_the_other(signed: bytes, agency: signers.Holder) -> None:
    found = of_pdf(signers.sign(signed, agency, field="ChuKy2"))
    assert states(found) == ["valid", "valid"]
    assert [one.holder for one in found] == ["person", "agency"]


def test_a_file_without_signatures_has_none() -> None:
    assert of_pdf(making.pdf()) == ()


def test_content_changed_in_place_is_invalid(signed: bytes) -> None:
    (found,) = of_pdf(signed.replace(b"/MediaBox [0 0 595", b"/MediaBox [0 0 111"))
    assert (found.state, found.why) == ("invalid", "content changed")
    assert found.signer == "Lê Văn Ký"


def test_content_changed_by_an_update_is_altered(signed: bytes) -> None:
    (found,) = of_pdf(changed(signed))
    assert (found.state, found.why) == ("altered-after-signing", "changed later")


def test_a_later_signature_covers_a_change_that_the_earlier_one_does_not(
    signed: bytes, agency: signers.Holder
) -> None:
    found = of_pdf(signers.sign(changed(signed), agency, field="ChuKy2"))
    assert states(found) == ["altered-after-signing", "valid"]


def test_a_signature_may_forbid_every_further_change(
    person: signers.Holder, agency: signers.Holder
) -> None:
    final = signers.sign(making.pdf(), person, certify=True, docmdp_permissions=MDPPerm.NO_CHANGES)
    assert states(of_pdf(final)) == ["valid"]
    writer = IncrementalPdfFileWriter(io.BytesIO(final))
    writer.root["/Note"] = generic.TextStringObject("x")
    writer.mark_update(writer.root_ref)
    assert states(of_pdf(written(writer))) == ["altered-after-signing"]


def test_white_space_behind_the_end_is_nothing_and_anything_else_is_not_signed(
    signed: bytes,
) -> None:
    assert states(of_pdf(signed + b"\r\n\n")) == ["valid"]
    tail = b"\n4 0 obj\n<< /Type /Page /MediaBox [0 0 1 1] >>\nendobj\n"
    assert states(of_pdf(signed + tail)) == ["covers-not-whole-file"]


def test_a_range_that_leaves_out_the_end_is_not_the_whole_file(person: signers.Holder) -> None:
    assert states(of_pdf(_signed_in_part(person, left_out=0))) == ["valid"]
    assert states(of_pdf(_signed_in_part(person, left_out=60))) == ["covers-not-whole-file"]


def _signed_in_part(signer: signers.Holder, left_out: int) -> bytes:
    """A PDF whose signature leaves out its last bytes."""
    room = 8192
    numbers = "[0 {:010} {:010} {:010}]"
    body = making.pdf("/AcroForm << /SigFlags 3 /Fields [4 0 R] >>").partition(b"xref\n0 ")[0]
    body += (
        "4 0 obj\n<< /FT /Sig /T (s) /V 5 0 R >>\nendobj\n5 0 obj\n<< /Type /Sig "
        "/Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached "
        f"/ByteRange {numbers.format(0, 0, 0)} /Contents <{'0' * room}> >>\nendobj\n"
    ).encode()
    offsets = [body.index(b"%d 0 obj" % number) for number in range(1, 6)]
    data = body + b"xref\n0 6\n0000000000 65535 f \n"
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    start = data.index(b"/Contents <") + len(b"/Contents ")
    end = start + room + 2
    filled = numbers.format(start, end, len(data) - end - left_out).encode()
    data = data.replace(numbers.format(0, 0, 0).encode(), filled)
    cms = signers.sign_data(data[:start] + data[end : len(data) - left_out], signer).hex().encode()
    return data[: start + 1] + cms.ljust(room, b"0") + data[end - 1 :]


@pytest.mark.parametrize(
    ("since", "until"),
    [(signers.day(2020), signers.day(2026)), (signers.day(2026, 6), signers.day(2030))],
    ids=["no longer", "not yet"],
)
def test_a_certificate_must_be_in_force_when_it_signs(since: datetime, until: datetime) -> None:
    holder = signers.holder(since=since, until=until)
    (found,) = of_pdf(signers.sign(making.pdf(), holder))
    assert (found.state, found.why) == ("expired", "certificate not in force at that time")


def test_a_certificate_that_has_run_out_since_does_not_matter() -> None:
    holder = signers.holder(since=signers.day(2020), until=signers.day(2021))
    signed_then = signers.sign(making.pdf(), holder, at=signers.day(2020, 6))
    assert states(of_pdf(signed_then)) == ["valid"]


def test_a_signer_is_known_by_a_pinned_root_only(person: signers.Holder, signed: bytes) -> None:
    stranger = signers.holder(signers.authority("CA khác"))
    (found,) = of_pdf(signers.sign(making.pdf(), stranger))
    assert (found.state, found.why) == ("unknown-signer", "issuer not trusted")
    assert states(of_pdf(signed, Trust())) == ["unknown-signer"]
    selfmade = signers.authority("Tự ký")
    (found,) = of_pdf(signers.sign(making.pdf(), selfmade))
    assert (found.state, found.why) == ("unknown-signer", "issuer not trusted")


def test_an_impostor_with_the_name_of_our_root_is_not_known() -> None:
    impostor = signers.authority.__wrapped__()  # the same name, another key
    assert impostor.certificate.subject == signers.authority().certificate.subject
    found = of_pdf(signers.sign(making.pdf(), signers.holder(impostor)))
    assert states(found) == ["unknown-signer"]


def test_a_time_stamp_counts_more_than_the_signers_clock_if_we_know_who_stamped(
    person: signers.Holder,
) -> None:
    later = datetime(2026, 3, 20, 2, 30, tzinfo=UTC)
    stamped = signers.sign(
        making.pdf(), person, stamped_by=signers.stamper(signers.authority(), later)
    )
    (found,) = of_pdf(stamped)
    assert (found.state, found.stamped) == ("valid", True)
    assert found.signed_at == "2026-03-20T09:30:00+07:00"
    stranger = signers.stamper(signers.authority("CA khác"), later)
    (found,) = of_pdf(signers.sign(making.pdf(), person, stamped_by=stranger))
    assert (found.state, found.stamped) == ("valid", False)
    assert found.signed_at == "2026-03-12T08:00:00+07:00"


def test_a_signature_without_a_time_is_as_old_as_the_mail() -> None:
    holder = signers.holder(since=signers.day(2020), until=signers.day(2025))
    timeless = signers.sign_data(b"Kinh gui", holder, at=None, detached=False)
    for year, state in ((2024, "valid"), (2026, "expired")):
        (found,) = around(timeless, replace(TRUST, sent_at=signers.day(year)))
        assert (found.state, found.signed_at) == (state, "")
    assert states(around(timeless, TRUST)) == ["valid"]


# Files of other kinds


def test_a_signed_file_in_cms_and_a_signature_beside_its_file(person: signers.Holder) -> None:
    document = making.docx(("Kính gửi.",))
    wrapped = signers.sign_data(document, person, detached=False)
    beside = signers.sign_data(document, person)
    content = _read(
        making.message(
            files=[
                ("a.docx.p7m", wrapped),
                ("b.docx.p7s", beside),
                ("b.docx", document),
                ("c.docx.p7s", beside),
                ("c.docx", document + b"x"),
                ("d.p7s", beside),
            ]
        )
    )
    found = {item.name: states(item.signatures) for item in content.attachments}
    assert found == {
        "a.docx.p7m": ["valid"],
        "a.docx": [],
        "b.docx.p7s": [],
        "b.docx": ["valid"],
        "c.docx.p7s": [],
        "c.docx": ["invalid"],
        "d.p7s": [],
    }
    assert {one.form for item in content.attachments for one in item.signatures} == {"cms"}


def test_signatures_within_office_documents_without_certificate_are_named() -> None:
    word = making.docx(more={"_xmlsignatures/sig1.xml": "<Signature/>"})
    (found,) = in_file("docx", word, TRUST)
    assert (found.state, found.form) == ("unknown", "office")
    assert in_file("docx", making.docx(), TRUST) == ()


def _xml(signer: signers.Holder, reference: str | None = None) -> bytes:
    text = '<van-ban><noi-dung Id="nd">Kính gửi</noi-dung><phu>1</phu></van-ban>'
    return signers.sign_xml(text, signer, reference)


def of_xml(data: bytes) -> list[tuple[str, str]]:
    return [(one.state, one.why) for one in in_file("xml", data, TRUST)]


def test_a_signature_over_a_whole_xml_file(person: signers.Holder) -> None:
    xml = _xml(person)
    (found,) = in_file("xml", xml, TRUST)
    assert (found.state, found.form, found.holder) == ("valid", "xml", "person")
    assert of_xml(xml.replace(b"<phu>1", b"<phu>2")) == [("invalid", "content changed")]
    stranger = _xml(signers.holder(signers.authority("CA khác")))
    assert of_xml(stranger) == [("unknown-signer", "issuer not trusted")]


@pytest.mark.parametrize("space", ["", ' xmlns="urn:van-ban"'])
def test_an_xml_signature_in_the_default_namespace(person: signers.Holder, space: str) -> None:
    text = f"<van-ban{space}><noi-dung>Kính gửi</noi-dung><phu>1</phu></van-ban>"
    xml = signers.sign_xml(text, person, prefix=None)
    assert b"<Signature xmlns=" in xml
    assert of_xml(xml) == [("valid", "")]
    assert of_xml(xml.replace(b"<phu>1", b"<phu>2")) == [("invalid", "content changed")]


def test_a_signature_over_a_part_of_an_xml_file_is_not_known_until_that_part_is_changed(
    person: signers.Holder,
) -> None:
    xml = _xml(person, "#nd")
    assert of_xml(xml) == [("unknown", "signs a part of the file")]
    assert of_xml(xml.replace(b"<phu>1", b"<phu>2")) == [("unknown", "signs a part of the file")]
    assert of_xml(xml.replace("Kính".encode(), "Mời".encode())) == [("invalid", "content changed")]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1"), "weak algorithm"),
        ((b"http://www.w3.org/2000/09/xmldsig#enveloped-signature", b"urn:x"), "form of signature"),
        ((b'URI=""', b'URI="http://a.test/"'), "form of signature"),
        ((b"X509Certificate>", b"X509CRL>"), "certificate missing"),
        ((b"<van-ban>", b"<van-ban"), "damaged XML"),
    ],
)
def test_xml_signatures_that_can_not_be_checked(
    person: signers.Holder, change: tuple[bytes, bytes], why: str
) -> None:
    xml = _xml(person)
    assert change[0] in xml
    ((state, said),) = of_xml(xml.replace(*change))
    assert state == "unknown"
    assert said.startswith(why)


# S/MIME


def _read(data: bytes) -> Content:
    return read_message(data, None, TRUST.roots)


@pytest.mark.parametrize("form", [signers.clear_signed, signers.opaque_signed])
def test_signed_mail(form: Any) -> None:
    holder = signers.holder(mail="An.NV@tinhmau.gov.vn")
    content = _read(form(ENTITY, holder))
    (found,) = content.signatures
    assert (found.state, found.form) == ("valid", "smime")
    assert found.addresses == ("an.nv@tinhmau.gov.vn",)
    assert all(item.signatures == () for item in content.attachments)


def test_signed_mail_that_was_changed(person: signers.Holder) -> None:
    data = signers.clear_signed(ENTITY, person).replace("đơn vị".encode(), "đơn thư".encode())
    (found,) = _read(data).signatures
    assert (found.state, found.why) == ("invalid", "content changed")


def test_signed_mail_stored_with_bare_line_feeds(person: signers.Holder) -> None:
    stored = signers.clear_signed(ENTITY, person).replace(b"\r\n", b"\n")
    assert states(_read(stored).signatures) == ["valid"]


def test_what_was_signed_as_it_is_stored_holds_as_it_is_sent(person: signers.Holder) -> None:
    stored = ENTITY.replace(b"\r\n", b"\n")
    sent = signers.clear_signed(stored, person).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert states(_read(sent).signatures) == ["valid"]


def test_a_signed_mail_within_a_mail_is_named_with_its_part(person: signers.Holder) -> None:
    inner = signers.clear_signed(ENTITY, person)
    (found,) = _read(
        making.message(files=[("thu.eml", inner, "application/octet-stream")])
    ).signatures
    assert (found.state, found.part) == ("valid", "2")


def test_certificates_and_encrypted_messages_are_no_signatures(person: signers.Holder) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

    bundle = pkcs7.serialize_certificates([person.certificate], Encoding.DER)
    content = _read(making.message(files=[("ca.p7b", bundle)]))
    assert [item.signatures for item in content.attachments] == [()]


# Files of others


def _roots(corpus: Path) -> tuple[bytes, ...]:
    folder = corpus / "third-party/attachments/pyhanko-ca/testing-ca/root"
    return (pem.unarmor((folder / "root.cert.pem").read_bytes())[2],)


@pytest.mark.corpus
@pytest.mark.parametrize("case", VECTORS["pdf"], ids=lambda case: case["file"])
def test_signed_pdfs_of_others(corpus: Path, case: dict[str, Any]) -> None:
    data = (corpus / "third-party/attachments/pyhanko-pdf" / case["file"]).read_bytes()
    found = of_pdf(data, Trust(_roots(corpus)))
    assert states(found) == case["states"]
    assert any(one.stamped for one in found) == case.get("stamped", False)


@pytest.mark.corpus
def test_the_other_pdfs_have_no_signatures(corpus: Path) -> None:
    known = {case["file"] for case in VECTORS["pdf"]}
    for path in sorted((corpus / "third-party/attachments/pyhanko-pdf").glob("*.pdf")):
        if path.name not in known:
            assert of_pdf(path.read_bytes()) == (), path.name


@pytest.mark.corpus
@pytest.mark.parametrize("case", VECTORS["message"], ids=lambda case: case["file"])
def test_signed_messages_of_others(corpus: Path, case: dict[str, Any]) -> None:
    folder = corpus / "third-party/mime/thunderbird/smime/smime"
    assert states(_read((folder / case["file"]).read_bytes()).signatures) == case["states"]


# Hostile files


@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_whatever_byte_is_changed_a_signature_never_holds(at: float, mask: int) -> None:
    pdf = _PDF
    start = pdf.index(b"/Contents <") + 11
    end = pdf.index(b">", start)
    place = int(at * (len(pdf) - (end - start)))
    place += (end - start) if place >= start else 0
    broken = pdf[:place] + bytes([pdf[place] ^ mask]) + pdf[place + 1 :]
    assert not {"valid", "unknown-signer", "expired"} & {*states(of_pdf(broken))}


@settings(max_examples=40, deadline=None)
@given(length=st.floats(0, 1), junk=st.binary(max_size=20))
def test_pieces_of_signed_files_never_raise(length: float, junk: bytes) -> None:
    piece = _PDF[: int(length * len(_PDF))] + junk
    assert not {"valid", "unknown-signer", "expired"} & {*states(of_pdf(piece))} or piece in _PDF


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200), at=st.integers(0, 400))
def test_cms_with_holes_never_raises(data: bytes, at: int) -> None:
    broken = _CMS[:at] + data + _CMS[at + len(data) :]
    content = _read(making.message(files=[("a.p7m", broken)]))
    assert content.unscannable == ""
    assert all("reader failed" not in item.why for item in content.attachments)


@pytest.mark.parametrize(
    "pdf",
    [
        b"%PDF-1.7\n/ByteRange [0 99999999999 1 2]",
        b"%PDF-1.7\n/ByteRange [9999999999 9999999999 9999999999 9999999999]",
        b"%PDF-1.7\n1 0 obj\n" + b"[" * 50_000 + b"/ByteRange",
        b"%PDF-1.7\n/ByteRange" + b"<<" * 50_000,
        making.pdf("/AcroForm << /Fields [1 0 R] >> /ByteRange []"),
        making.pdf(
            "/FT /Sig /T (a) /V 1 0 R /ByteRange [0 1 -5 -1] /AcroForm << /Fields [1 0 R] >>"
        ),
        making.pdf("/FT /Sig /Kids [1 0 R] /T (a) /ByteRange [] /AcroForm << /Fields [1 0 R] >>"),
        making.pdf("/ByteRange [] /AcroForm << /Fields [<< /FT /Sig /T (a) /V << >> >>] >>"),
        making.pdf().replace(b"/Size 4", b"/Size 4 /Prev 9") + b"/ByteRange",
        re.sub(rb"trailer\n<<", b"trailer\n<< /Prev 200 ", making.pdf()) + b"/ByteRange",
    ],
    ids=["short", "far", "deep", "open", "itself", "backwards", "circle", "empty", "prev", "loop"],
)
def test_odd_signed_pdfs_are_read_quickly_and_never_hold(pdf: bytes) -> None:
    started = time.process_time()
    assert "valid" not in states(of_pdf(pdf))
    assert time.process_time() - started < 5


def test_a_pdf_that_can_not_be_parsed_is_known_by_its_bytes(signed: bytes) -> None:
    cut = signed[: signed.rindex(b"startxref")]
    assert states(of_pdf(cut)) == ["invalid"]
    unreadable = signed + b"\n%" + b"x" * 2000  # no reader finds the table any more
    assert states(of_pdf(unreadable)) in (["unknown"], ["covers-not-whole-file"])


_PDF = signers.sign(making.pdf(), signers.holder())
_CMS = signers.sign_data(b"Kinh gui", signers.holder(), detached=False)
