"""A hundred broken and hostile files in a row leave the readers alive."""

import asyncio
import contextlib
import gzip
import hashlib
import io
import os
import random
import time
import zipfile
from base64 import encodebytes
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov.config import Readers
from mailgov.content import read_message
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov_policies.facts import Content

from ..content import making

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


# What can't be anything but a bomb or a ruin; the rest may turn out harmless.
NEVER_READ = frozenset(
    {"zeros.zip", "many.zip", "zeros.gz", "zeros.7z", "deep.zip", "entities.docx", "elements.docx"}
    | {"groups.rtf", "loop.pdf"}
)
SETTINGS = Readers(processes=3, cpu_seconds=3, wall_seconds=20, cache_messages=0)
OVERHEAD_BYTES = 400 << 20  # what an idle reader has loaded, generously


def _workers() -> list[int]:
    """Our reader processes."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"mailgov.readers.worker" in (
                status.with_name("cmdline").read_bytes()
            ):
                found.append(int(status.parent.name))
    return found


async def _limits() -> list[int]:
    """The limit of the kernel on the address space of each reader, once all have come up."""
    while True:
        found = []
        for worker in _workers():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{worker}/limits").read_text().splitlines()
                (line,) = (line for line in lines if line.startswith("Max address space"))
                found.append(line.split()[3])
        if len(found) == SETTINGS.processes and "unlimited" not in found:
            return [int(one) for one in found]
        await asyncio.sleep(0.05)


def _good() -> list[bytes]:
    """Honest mail, as it comes in between."""
    text = "Kính gửi các đơn vị, đề nghị gửi báo cáo về Văn phòng trước ngày 20."
    document = making.docx(["ỦY BAN NHÂN DÂN TỈNH MẪU", "Số: 12/TB-UBND", "THÔNG BÁO", text])
    return [
        making.message(f"{text} {number}", files=[("12_TB-UBND.docx", document)])
        for number in range(30)
    ]


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
    good = _good()
    wanted = [read_message(data) for data in good]
    longest = 0.0
    async with ReaderPool(SETTINGS) as pool:
        gate = asyncio.Semaphore(2)
        done = asyncio.Event()
        seen: list[Content] = []

        async def read(name: str, data: bytes) -> Content:
            nonlocal longest
            async with gate:
                start = time.monotonic()
                content = await pool.read(_body(name, data))
                longest = max(longest, time.monotonic() - start)
            return content

        async def read_good() -> None:
            """Honest mail without a pause while the others are read."""
            while not done.is_set() or len(seen) < len(good):
                data = good[len(seen) % len(good)]
                body = Body(len(data), hashlib.sha256(data).digest(), data=data)
                seen.append(await pool.read(body))

        honest = asyncio.create_task(read_good())
        found = await asyncio.gather(*(read(*file) for file in files))
        done.set()
        await honest
        async with asyncio.timeout(60):  # those that were just replaced are starting
            limits = await _limits()
    assert len(found) == len(files)
    # Other mail was read all the while, and to the same facts as alone.
    assert seen == [wanted[number % len(good)] for number in range(len(seen))]
    # Every reader is bounded by the kernel, and none took longer than it may.
    assert len(limits) == SETTINGS.processes
    assert max(limits) <= SETTINGS.memory_bytes + OVERHEAD_BYTES
    assert longest < 2 * SETTINGS.wall_seconds + 10  # to wait for a reader, then to be read
    reasons = {content.unscannable for content in found}
    assert not any(reason.startswith("reader failed") for reason in reasons), reasons
    for (name, _), content in zip(files, found, strict=True):
        failed = [a.why for a in content.attachments if a.why.startswith("reader failed")]
        assert not failed, (name, failed)
        states = {attachment.state for attachment in content.attachments}
        if name in NEVER_READ:
            assert content.unscannable or states - {"read"}, name
    print(
        f"{len(files)} hostile and {len(seen)} honest messages; longest {longest:.1f} s; {reasons}"
    )
