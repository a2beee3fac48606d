"""S/MIME and TNEF are opened where that is possible, and named where not."""

from pathlib import Path

import pytest

from mailgov.content import read_message
from mailgov.content.archives import Budget, Damaged
from mailgov.content.cms import open_cms
from mailgov.content.tnef import tnef_members

from . import making

OID_SIGNED = bytes.fromhex("06092a864886f70d010702")
OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_ENVELOPED = bytes.fromhex("06092a864886f70d010703")


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _signed(content: bytes) -> bytes:
    """A CMS message without signers, enough to hold its content."""
    inner = _der(0x30, OID_DATA, content)
    return _der(0x30, OID_SIGNED, _der(0xA0, _der(0x30, b"\x02\x01\x01", _der(0x31), inner)))


def _smime(data: bytes) -> bytes:
    return making.message(files=[("smime.p7m", data, "application/pkcs7-mime")])


ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nS\xe1\xbb\x91: 07/BC-UBND\r\nM\xe1\xba\xacT\r\n"


def test_what_is_signed_is_read() -> None:
    content = read_message(_smime(_signed(_der(0xA0, _der(0x04, ENTITY)))))
    assert (content.attachments[0].kind, content.attachments[0].state) == ("p7m", "read")
    assert [(m.value, m.place, m.certain) for m in content.marks] == [("MẬT", "body", True)]


def test_content_in_pieces_of_unknown_length() -> None:
    pieces = _der(0x04, ENTITY[:10]) + _der(0x04, ENTITY[10:])
    data = _signed(b"\xa0\x80\x24\x80" + pieces + b"\0\0\0\0")
    assert open_cms(data).content == ENTITY


def test_a_signature_by_itself_holds_nothing() -> None:
    assert open_cms(_signed(b"")).content is None


def test_what_is_encrypted_is_never_clean() -> None:
    data = _der(0x30, OID_ENVELOPED, _der(0xA0, _der(0x30)))
    found = read_message(_smime(data)).attachments[0]
    assert (found.state, found.why) == ("unscannable", "encrypted with S/MIME")


@pytest.mark.parametrize("cut", [1, 5, 12, 20, 40])
def test_cut_short(cut: int) -> None:
    data = _signed(_der(0xA0, _der(0x04, ENTITY)))[:cut]
    with pytest.raises(Damaged):
        open_cms(data)
    assert read_message(_smime(data)).attachments[0].state == "unscannable"


def test_nested_without_end() -> None:
    with pytest.raises(Damaged):
        open_cms(b"\x30\x80" * 10_000)


def test_a_signed_file_is_the_file_within() -> None:
    data = _signed(_der(0xA0, _der(0x04, making.PROGRAM)))
    content = read_message(making.message(files=[("cong-van.pdf.p7m", data)]))
    assert [(a.part, a.kind) for a in content.attachments][1] == ("2/cong-van.pdf", "exe")


def test_pgp_is_named() -> None:
    data = b"-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n"
    found = read_message(making.message(files=[("thu.asc", data)])).attachments[0]
    assert (found.state, found.why) == ("unscannable", "encrypted with PGP")


@pytest.mark.corpus
def test_smime_of_a_mail_program(corpus: Path) -> None:
    folder = corpus / "third-party/mime/thunderbird/smime/smime"
    opaque = read_message((folder / "alice.sig.SHA512.opaque.env.eml").read_bytes())
    assert opaque.attachments[0].why == "encrypted with S/MIME"
    signed = read_message(
        (folder / "alice.plain.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml").read_bytes()
    )
    assert [(a.part, a.kind, a.state) for a in signed.attachments] == [
        ("1", "p7m", "read"),
        ("1/1", "p7m", "read"),
    ]


@pytest.mark.corpus
def test_tnef_of_a_mail_program(corpus: Path) -> None:
    folder = corpus / "third-party/mime/mimekit/tnef"
    for file in sorted(folder.glob("*.tnef")):
        listed = folder / f"{file.stem}.list"
        members = {member.path for member in tnef_members(file.read_bytes(), Budget())}
        if listed.exists():
            assert set(listed.read_text().split("\n")) - {""} <= members, file


@pytest.mark.corpus
def test_a_file_in_tnef_is_examined(corpus: Path) -> None:
    data = (corpus / "third-party/mime/mimekit/tnef/data-before-name.tnef").read_bytes()
    content = read_message(making.message(files=[("winmail.dat", data, "application/ms-tnef")]))
    kinds = {a.part: (a.kind, a.disguised) for a in content.attachments}
    assert kinds["2"] == ("tnef", False)
    assert kinds["2/body.rtf"] == ("rtf", False)
