"""What it costs to read a message: processor time of the reader, and the way there and back.

    python benchmarks/readers.py [--seconds 3]

Prints for each kind of message the milliseconds of processor time in the reader (median and 99th
percentile), the round trip through the pool, the parent's share of it, and messages per second and
core. Goals: 4 KB of text 1.5 ms, 100 KB with a PDF 15 ms, a cache hit 0.3 ms, cost linear in size.
"""

import argparse
import base64
import hashlib
import io
import os
import random
import statistics
import sys
import time
import zipfile
from collections.abc import Callable

import uvloop

from mailgov.config import Log, Readers
from mailgov.content import read_message
from mailgov.logs import set_up
from mailgov.message import Body
from mailgov.readers import ReaderPool

HEADING = (
    "ỦY BAN NHÂN DÂN TỈNH MẪU\r\nSỞ XÂY DỰNG\r\nCỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM\r\n"
    "Độc lập - Tự do - Hạnh phúc\r\nSố: 101/TB-SXD\r\nMẫu, ngày 12 tháng 3 năm 2024\r\n"
    "THÔNG BÁO\r\nVề lịch bảo trì hệ thống\r\n"
)
PARAGRAPH = (
    "Thực hiện Kế hoạch số 15/KH-UBND ngày 10 tháng 01 năm 2024 của Ủy ban nhân dân tỉnh về chuyển "
    "đổi số, đề nghị các đơn vị rà soát, bổ sung số liệu và gửi về Văn phòng trước ngày 20 hằng tháng."
)
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def _message(number: int, *files: tuple[str, bytes]) -> bytes:
    text = f"{HEADING}{number}\r\n" + f"{PARAGRAPH}\r\n" * 6
    parts = [f"Content-Type: text/plain; charset=utf-8\r\n{_base64(text.encode())}"]
    parts += [
        f'Content-Type: application/octet-stream; name="{name}"\r\n{_base64(content)}'
        for name, content in files
    ]
    return (
        "From: =?utf-8?q?Nguy=E1=BB=85n_V=C4=83n_An?= <an.nv@tinhmau.gov.vn>\r\n"
        "To: vanphong@bomau.gov.vn\r\nSubject: =?utf-8?b?VGjDtG5nIGLDoW8gYuG6o28gdHLDrA==?=\r\n"
        f"Date: Tue, 12 Mar 2024 08:01:00 +0700\r\nMessage-ID: <{number}@tinhmau.gov.vn>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=b"\r\n\r\n'
        + "".join(f"--=b\r\n{part}" for part in parts)
        + "--=b--\r\n"
    ).encode()


def _base64(content: bytes) -> str:
    encoded = base64.encodebytes(content).decode().replace("\n", "\r\n")
    return f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}"


def _pdf(pages: int, picture_bytes: int) -> bytes:
    """Pages of plain text, 3 KB each, and the bytes of a picture or font."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    picture = random.Random(1).randbytes(picture_bytes).hex()[:picture_bytes]  # noqa: S311 - filler
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    line = "(Thuc hien Ke hoach so 15/KH-UBND ngay 10 thang 01 nam 2024 cua UBND tinh) Tj T*\n"
    content = f"BT /F1 12 Tf 14 TL 50 800 Td\n{line * 36}ET"
    for page in range(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * page} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append(f"<< /Length {len(picture)} >>\nstream\n{picture}\nendstream")
    out = b"%PDF-1.7\n"
    offsets = []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return (
        out
        + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
        + table
        + trailer.encode()
    )


def _docx(pages: int) -> bytes:
    paragraphs = "".join(
        f"<w:p><w:r><w:rPr><w:rFonts w:ascii='Times New Roman'/></w:rPr><w:t>{PARAGRAPH}</w:t></w:r></w:p>"
        for _ in range(pages * 14)
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'><Override "
            f"PartName='/word/document.xml' ContentType='{_DOCX_TYPE}.main+xml'/></Types>",
        )
        archive.writestr(
            "word/document.xml",
            f"<w:document xmlns:w='{_WORD}'><w:body>{paragraphs}</w:body></w:document>",
        )
    return packed.getvalue()


def _carrying(name: str, content: bytes) -> Callable[[int], bytes]:
    return lambda number: _message(number, (name, content))


def _cases() -> dict[str, Callable[[int], bytes]]:
    return {
        "text 4 KB": _message,
        "100 KB with a PDF": _carrying("so-lieu.pdf", _pdf(3, 60_000)),
        "PDF of 24 pages": _carrying("so-lieu.pdf", _pdf(24, 0)),
        "docx of 30 pages": _carrying("ke-hoach.docx", _docx(30)),
        "picture of 5 MB": _carrying("anh.jpg", b"\xff\xd8\xff\xe0" + os.urandom(5 << 20)),
    }


def _reading_ms(make: Callable[[int], bytes], seconds: float) -> list[float]:
    """Processor time of single readings in this process, as a reader would spend it."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 5:
        data = make(len(times))
        start = time.process_time()
        read_message(data)
        times.append((time.process_time() - start) * 1e3)
    return times


def _body(data: bytes) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


async def _round_trip_ms(
    pool: ReaderPool, make: Callable[[int], bytes], seconds: float
) -> tuple[list[float], float]:
    """Wall time of single readings through the pool, and this process's own part of each."""
    times: list[float] = []
    spent = 0.0
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 5:
        body = _body(make(1_000_000 + len(times)))
        start, cpu = time.perf_counter(), time.process_time()
        await pool.read(body)
        spent += time.process_time() - cpu
        times.append((time.perf_counter() - start) * 1e3)
    return times, spent / len(times) * 1e3


def _two(times: list[float]) -> str:
    last = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
    return f"{statistics.median(times):8.2f}{last:8.2f}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def main(seconds: float) -> None:
    """Measure every kind of message and print one line for each."""
    _say(f"{'':20}{'reader CPU ms':>16}{'round trip ms':>16}{'parent':>8}{'/s core':>9}")
    _say(f"{'':20}{'p50':>8}{'p99':>8}{'p50':>8}{'p99':>8}{'CPU ms':>8}")
    async with ReaderPool(Readers(processes=1)) as pool:
        for name, make in _cases().items():
            read_message(make(0))
            reading = _reading_ms(make, seconds)
            trips, parent = await _round_trip_ms(pool, make, seconds)
            per_second = 1000 / statistics.median(reading)
            _say(f"{name:20}{_two(reading)}{_two(trips)}{parent:8.2f}{per_second:9.0f}")
        body = _body(_message(0))
        await pool.read(body)
        start = time.perf_counter()
        for _ in range(1000):
            await pool.read(body)
        _say(f"cache hit           {time.perf_counter() - start:8.4f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="for each measurement")
    set_up(Log(level="warning"))
    uvloop.run(main(parser.parse_args().seconds))
