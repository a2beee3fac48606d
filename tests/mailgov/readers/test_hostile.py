"""A hundred broken and hostile files in a row leave the readers alive."""

import asyncio
import gzip
import hashlib
import io
import random
import time
import zipfile
from base64 import encodebytes
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.config import Readers
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov_policies.facts import Content

SEEDS = (
    "documents/decree-30-2020/Phuluc2.docx",
    "documents/decree-30-2020/Phuluc2.doc",
    "documents/legacy-tcvn3/2003-A-15.rtf",
    "documents/legacy-tcvn3/2006-19412_QD115.04TTg_BLTch_DNNVV.pdf",
    "documents/legacy-vni/2009-20081202.257.xls",
    "third-party/attachments/oletools/oleobj/embedded-simple-2007.pptx",
    "third-party/attachments/oletools/oleobj/embedded-simple-2007.odt",
    "third-party/attachments/oletools/oleobj/sample_with_lnk_file.ppt",
    "third-party/attachments/oletools/encrypted/encrypted.docx",
    "third-party/attachments/pyhanko-pdf/minimal-rc4.pdf",
    "third-party/mime/mimekit/tnef/multi-value-attribute.tnef",
)
_ENTITIES = "".join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' if n else '<!ENTITY e0 "0123456789">'
    for n in range(12)
)


def _damaged(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The same file cut short, with wrong bytes, with a part doubled, with a part of zeros."""
    for share in (0.3, 0.7, 0.98):
        yield data[: int(len(data) * share)]
    for wrong in (1, 20, 400):
        changed = bytearray(data)
        for _ in range(wrong):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        yield bytes(changed)
    middle = len(data) // 2
    yield data[:middle] + data[middle // 2 :]
    yield data[:middle] + bytes(2048) + data[middle + 2048 :]


def _made() -> Iterator[tuple[str, bytes]]:
    """Bombs and loops made for the purpose."""
    yield "zeros.zip", _zipped({"a.csv": bytes(150 << 20)})
    yield "many.zip", _zipped({f"{n}.txt": b"" for n in range(5000)})
    yield "zeros.gz", gzip.compress(bytes(150 << 20))
    deep = b"x"
    for _ in range(40):
        deep = _zipped({"a.zip": deep})
    yield "deep.zip", deep
    for entities in ("&e9;", "&e11;"):
        document = (
            f'<!DOCTYPE w [{_ENTITIES}]><w:document xmlns:w="w"><w:t>{entities}</w:t></w:document>'
        )
        yield "entities.docx", _word(document.encode())
    yield "elements.docx", _word(b"<a>" * 1_000_000)
    yield "page.html", b"<div>" * 400_000
    yield "text.html", b"<a b='" * 300_000
    yield "groups.rtf", b"{\\rtf1" + b"{" * 1_000_000
    yield "objects.rtf", b"{\\rtf1" + b"{\\objdata 00" * 200_000
    yield "loop.pdf", _looping_pdf()
    yield "names.pdf", b"%PDF-1.7\n" + b"1 0 obj <</ObjStm stream\n" * 100_000
    yield "words.txt", "ñ".encode() * 1_000_000
    yield "formulas.csv", b"=a" * 1_000_000
    yield "mark.txt", ("M Ậ T " * 200_000).encode()


def _zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _word(document: bytes) -> bytes:
    types = (
        b'<Types><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats'
        b'-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    return _zipped({"[Content_Types].xml": types, "word/document.xml": document})


def _looping_pdf() -> bytes:
    return (
        b"%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        b"2 0 obj << /Type /Pages /Kids [2 0 R 2 0 R] /Count 2000000000 >> endobj\n"
        b"trailer << /Root 1 0 R /Prev 9 >>\nstartxref\n9\n%%EOF"
    )


def _body(name: str, data: bytes) -> Body:
    message = (
        f"From: a@b.vn\r\nContent-Type: application/octet-stream; name={name}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + encodebytes(data)
    return Body(len(message), hashlib.sha256(message).digest(), data=message)


@pytest.mark.corpus
async def test_a_hundred_hostile_files(corpus: Path) -> None:
    chance = random.Random(20)
    files = [
        (Path(seed).name, data)
        for seed in SEEDS
        for data in _damaged((corpus / seed).read_bytes(), chance)
    ]
    files += _made()
    assert len(files) >= 100
    settings = Readers(processes=2, cpu_seconds=3, wall_seconds=20)
    async with ReaderPool(settings) as pool:
        gate = asyncio.Semaphore(2)
        start = time.monotonic()

        async def read(name: str, data: bytes) -> Content:
            async with gate:
                return await pool.read(_body(name, data))

        found = await asyncio.gather(*(read(*file) for file in files))
        good = await pool.read(_body("thu.txt", "Kính gửi".encode()))
    slow = time.monotonic() - start
    assert (good.unscannable, good.attachments[0].state) == ("", "read")
    assert len(found) == len(files)
    reasons = {content.unscannable for content in found}
    assert not any(reason.startswith("reader failed") for reason in reasons), reasons
    for (name, _), content in zip(files, found, strict=True):
        failed = [a.why for a in content.attachments if a.why.startswith("reader failed")]
        assert not failed, (name, failed)
    assert slow < 120
