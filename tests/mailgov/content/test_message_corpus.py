"""Real and labelled messages and files, kept outside the project."""

import email
import json
import time
import tomllib
import unicodedata
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from mailgov.content import read_message
from mailgov_policies.facts import Content

from . import making

VECTORS = Path(__file__).parent / "vectors"
SAMPLES: dict[str, dict[str, Any]] = tomllib.loads((VECTORS / "samples.toml").read_text("utf-8"))
OFFICE: dict[str, dict[str, Any]] = tomllib.loads(
    (VECTORS / "office-files.toml").read_text("utf-8")
)

pytestmark = pytest.mark.corpus


def _has(thing: Any, want: dict[str, Any]) -> None:
    for key, value in want.items():
        found = getattr(thing, key)
        assert (list(found) if isinstance(found, tuple) else found) == value, key


@pytest.mark.parametrize("sample", SAMPLES)
def test_labelled_samples(corpus: Path, sample: str) -> None:
    want = SAMPLES[sample]
    content = read_message((corpus / "policy-samples" / f"{sample}.eml").read_bytes())
    assert (content.malformed, content.unscannable) == ((), "")
    assert [[t.place, t.encoding, t.certain] for t in content.texts] == want.get("texts", [])
    assert [[m.value, m.place, m.certain] for m in content.marks] == want.get("marks", [])
    if "document" in want:
        _has(content.found, want["document"])
    for attachment, wanted in zip(content.attachments, want.get("files", []), strict=False):
        _has(attachment, wanted)
    if sample not in ("P14", "P15", "P16", "P17"):
        assert not any(a.disguised or a.macros or a.active for a in content.attachments)
        assert all(a.state == "read" for a in content.attachments)


@pytest.mark.parametrize("name", OFFICE)
def test_office_files(corpus: Path, name: str) -> None:
    want = dict(OFFICE[name])
    inside = want.pop("inside", None)
    data = (corpus / "third-party/attachments/oletools" / name).read_bytes()
    content = read_message(making.message(files=[(Path(name).name, data)]))
    _has(content.attachments[0], want)
    assert not content.attachments[0].disguised
    if inside is not None:
        assert [attachment.kind for attachment in content.attachments[1:]] == inside


ASKS_PASSWORD = ("pubkey", "minimal-rc4", "minimal-aes256", "fields-aes256", "field-rc4")


def test_pdf_files(corpus: Path) -> None:
    files = sorted((corpus / "third-party/attachments/pyhanko-pdf").glob("*.pdf"))
    assert files
    for file in files:
        content = read_message(making.message(files=[(file.name, file.read_bytes())]))
        found = content.attachments[0]
        encrypted = any(part in file.name for part in ASKS_PASSWORD)
        assert (found.kind, found.active) == ("pdf", ()), file.name
        assert (found.state == "encrypted") == encrypted, file.name


def _messages(corpus: Path) -> Iterator[Path]:
    for file in sorted((corpus / "third-party/mime").rglob("*")):
        if file.suffix in (".eml", ".msg") or (file.parent.name == "cpython" and file.is_file()):
            yield file


def _file_names(message: Message) -> Iterator[str]:
    """File names that another parser sees, without what programs differ in."""
    for part in message.walk():
        try:
            name = part.get_filename()
            decoded = str(make_header(decode_header(name))) if name else ""
        except (ValueError, LookupError, TypeError):  # it breaks on some of these
            continue
        if decoded and (not part.is_multipart() or part.get_content_type() == "message/rfc822"):
            yield _plain(decoded)


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isascii() and c.isalnum())


# Seen by another parser and rightly not by ours: in a fragment of a message; a name in pieces that
# decode to other characters.
DIFFERENT = {"message-partial.0.eml", "multi-2evil.msg"}


def test_no_message_crashes_or_hangs_the_reader_or_loses_an_attachment(corpus: Path) -> None:
    files = list(_messages(corpus))
    assert len(files) > 300
    for file in files:
        data = file.read_bytes()
        start = time.process_time()
        content = read_message(data)
        assert time.process_time() - start < 2, file
        assert content.unscannable == "", file
        assert not any("reader failed" in item.why for item in content.attachments), file
        if file.name not in DIFFERENT:
            seen = {_plain(attachment.name) for attachment in content.attachments}
            assert set(_file_names(email.message_from_bytes(data))) <= seen, file


def test_names_subjects_and_writers_of_messages_with_known_reading(corpus: Path) -> None:
    files = sorted((corpus / "third-party/mime/mail-parser").rglob("*.json"))
    assert files
    for file in files:
        content = read_message(file.with_suffix(".eml").read_bytes())
        parts = json.loads(file.read_text("utf-8"))["parts"]
        _agrees(file, content, parts)


def _agrees(file: Path, content: Content, parts: list[dict[str, Any]]) -> None:
    """The reading of the other parser, where it has one: it shows raw Latin-1 as question marks."""
    for header in parts[0]["headers"]:
        value = header["value"]
        if header["name"] == "subject" and "\ufffd" not in value.get("Text", "\ufffd"):
            assert unicodedata.normalize("NFC", value["Text"]) == content.header.subject, file
    seen = {attachment.name for attachment in content.attachments}
    wanted = {name for name in _declared_names(parts) if "\ufffd" not in name}
    assert wanted <= seen, file


def _declared_names(parts: list[dict[str, Any]]) -> Iterator[str]:
    for part in parts:
        names: dict[str, str] = {}
        for header in part["headers"]:
            value = header["value"]
            if isinstance(value, dict) and "ContentType" in value:
                for attribute in value["ContentType"].get("attributes") or []:
                    if attribute["name"] in ("filename", "name"):
                        names[str(header["name"])] = unicodedata.normalize(
                            "NFC", attribute["value"]
                        )
        if name := names.get("content_disposition") or names.get("content_type"):
            yield name
        if isinstance(part["body"], dict) and "Message" in part["body"]:
            yield from _declared_names(part["body"]["Message"]["parts"])


def test_forms_and_laws_bear_no_mark(corpus: Path) -> None:
    """The decree shows every mark in its annex, side by side."""
    files = [*(corpus / "documents/decree-30-2020").iterdir()]
    files += [*(corpus / "documents/legacy-tcvn3").iterdir()]
    for file in files:
        content = read_message(making.message(files=[(file.name, file.read_bytes())]))
        assert content.attachments[0].state == "read", file
        assert not [mark for mark in content.marks if mark.certain], file
        assert not [mark for mark in content.marks if mark.kind == "secrecy"], file


@pytest.mark.parametrize(
    ("name", "type_", "notation"),
    [
        ("decree-30-2020/30_2020_ND_CP.docx", "", "30/2020/NĐ-CP"),
        ("legacy-vni/2008-23.QD-991-UBND.doc", "quyet-dinh", "991/QĐ-UBND"),
        ("legacy-tcvn3/2005-QD-256.doc", "quyet-dinh", "256/2004/QĐ-UB"),
        ("legacy-tcvn3/2003-A05.rtf", "", "13/2001/TT-BTC"),
    ],
)
def test_real_documents(corpus: Path, name: str, type_: str, notation: str) -> None:
    data = (corpus / "documents" / name).read_bytes()
    content = read_message(making.message(files=[("tep", data)]))
    document = content.attachments[0].document
    assert document is not None
    assert (document.type, document.notation) == (type_, notation)
    assert document.is_agency_document
