"""What a message costs from its bytes to the verdict, and the way through the pool of readers.

    nice python benchmarks/readers.py [--seconds 3]

Prints Markdown for docs/performance.md: for each kind of message the milliseconds of processor time
from bytes to verdict, the round trip through a reader process, the parent's part of it, and messages
per second and core; then whether cost is linear in size. Goals: 4 KB of text 1.5 ms, 100 KB with a PDF
15 ms, facts from the cache 0.3 ms. On a machine that does other work, trust the least, not the median.
"""

import argparse
import base64
import hashlib
import io
import os
import platform
import random
import statistics
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime

import uvloop

from mailgov.config import Log, Readers
from mailgov.content import read_message
from mailgov.logs import set_up
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov_policies import default_ruleset, judge
from mailgov_policies.facts import Content, Envelope, Facts, RecipientFacts
from mailgov_policies.verdict import Verdict

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


GOALS_MS = {"text of 4 KB": 1.5, "100 KB with a PDF": 15.0}
CACHE_GOAL_MS = 0.3
_TEXT_BYTES = 4096  # of a whole message
_DAY = date(2026, 11, 22)
_RULESET = default_ruleset()
_ENVELOPE = Envelope(
    direction="inbound",
    mail_from="an.nv@tinhmau.gov.vn",
    recipients=(
        RecipientFacts("vanphong@bomau.gov.vn", "bomau.gov.vn", local=True, official=True),
    ),
    local_domains=("bomau.gov.vn",),
)


def _message(number: int, *files: tuple[str, bytes], paragraphs: int = 6) -> bytes:
    text = f"{HEADING}{number}\r\n" + f"{PARAGRAPH}\r\n" * paragraphs
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


def _text(number: int) -> bytes:
    """A message of text alone, as long as the goal speaks of."""
    paragraphs = 1
    while len(_message(number, paragraphs=paragraphs)) < _TEXT_BYTES:
        paragraphs += 1
    return _message(number, paragraphs=paragraphs)


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
        "text of 4 KB": _text,
        "100 KB with a PDF": _carrying("so-lieu.pdf", _pdf(3, 60_000)),
        "PDF of 24 pages": _carrying("so-lieu.pdf", _pdf(24, 0)),
        "docx of 30 pages": _carrying("ke-hoach.docx", _docx(30)),
        "5 MB picture": _carrying("anh.jpg", b"\xff\xd8\xff\xe0" + os.urandom(5 << 20)),
        "5 MB PDF of 3 pages": _carrying("ban-ve.pdf", _pdf(3, 5 << 20)),
    }


def _judged(data: bytes) -> Verdict:
    """From the bytes to the verdict."""
    return _verdict(read_message(data))


def _verdict(content: Content) -> Verdict:
    return judge(Facts(_ENVELOPE, content), _RULESET, _DAY)


def _cpu_ms(make: Callable[[int], bytes], seconds: float) -> list[float]:
    """Processor time of single messages in this process, as a reader and its parent would spend it."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 5:
        data = make(len(times))
        start = time.process_time()
        _judged(data)
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
        _verdict(await pool.read(body))
        spent += time.process_time() - cpu
        times.append((time.perf_counter() - start) * 1e3)
    return times, spent / len(times) * 1e3


async def _cached_ms(pool: ReaderPool) -> float:
    """Facts of a message that was read before."""
    body = _body(_text(0))
    await pool.read(body)
    start = time.process_time()
    for _ in range(1000):
        await pool.read(body)
    return time.process_time() - start


# Linear in size ------------------------------------------------------------------------------------


def _sheet(kilobytes: int) -> bytes:
    row = "12;Nguyễn Văn An;Phòng Kế hoạch - Tổng hợp;Đã nộp báo cáo\r\n"
    return (row * (kilobytes * 1024 // len(row.encode()))).encode()


def _page(kilobytes: int) -> bytes:
    text = f"<p>{PARAGRAPH}</p>\r\n"
    return b"<html>" + (text * (kilobytes * 1024 // len(text.encode()))).encode() + b"</html>"


def _legacy(kilobytes: int) -> bytes:
    line = "KÝnh göi c¸c ®¬n vÞ, ®Ò nghÞ nép b¸o c¸o tr\xadíc ngµy mïng n¨m th¸ng m\xadêi hai\r\n"
    return (line * (kilobytes * 1024 // len(line))).encode("cp1252")


def _zip_of_texts(kilobytes: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number in range(max(1, kilobytes // 16)):
            archive.writestr(f"{number}.txt", PARAGRAPH * 52)
    return packed.getvalue()


SIZES_KB = (64, 256, 1024, 4096)
GROWING: dict[str, Callable[[int], tuple[str, bytes]]] = {
    "csv": lambda size: ("a.csv", _sheet(size)),
    "html": lambda size: ("a.html", _page(size)),
    "txt in TCVN3": lambda size: ("a.txt", _legacy(size)),
    "docx (text)": lambda size: ("a.docx", _docx(max(1, size * 1024 // (14 * 330)))),
    "pdf (3 KB a page)": lambda size: ("a.pdf", _pdf(max(1, size // 3), 0)),
    "zip of txt": lambda size: ("a.zip", _zip_of_texts(size)),
    "unknown bytes": lambda size: ("a.bin", bytes(range(256)) * (size * 4)),
}


def _ms_per_mb(name: str, content: bytes, kilobytes: int) -> float:
    """Milliseconds of processor time for each megabyte, the least of three."""
    data = _message(0, (name, content))
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        _judged(data)
        least = min(least, time.process_time() - start)
    return least * 1e3 / (kilobytes / 1024)


# Telling -------------------------------------------------------------------------------------------


def _two(times: list[float]) -> str:
    last = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
    return f"{min(times):.2f} | {statistics.median(times):.2f} | {last:.2f}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _goal(name: str, times: list[float]) -> str:
    goal = GOALS_MS.get(name)
    if goal is None:
        return ""
    return f"{goal} ms: {'met' if statistics.median(times) <= goal else 'missed'}"


def _machine() -> str:
    processor = ""
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110 - a kernel file
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as told:  # noqa: PTH123
            processor = next(
                (line.split(":")[1].strip() for line in told if "model name" in line), ""
            )
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%d %b %Y}, {os.cpu_count()} × {processor or platform.machine()}, "
        f"Python {platform.python_version()}, load before the run {load:.1f}"
    )


async def main(seconds: float) -> None:
    """Measure every kind of message and print one line for each."""
    _say(f"{_machine()}\n")
    _say(
        "| message | CPU ms, least | p50 | p99 | round trip ms, least | p50 | p99 | parent CPU ms | per second and core | goal |"
    )
    _say("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
    async with ReaderPool(Readers(processes=1)) as pool:
        for name, make in _cases().items():
            _judged(make(0))
            times = _cpu_ms(make, seconds)
            trips, parent = await _round_trip_ms(pool, make, seconds)
            rate = 1000 / statistics.median(times)
            _say(
                f"| {name} | {_two(times)} | {_two(trips)} | {parent:.2f} | {rate:.0f} | {_goal(name, times)} |"
            )
        cached = await _cached_ms(pool)
    met = "met" if cached <= CACHE_GOAL_MS else "missed"
    _say(f"\nFacts from the cache: {cached:.4f} ms of CPU; goal {CACHE_GOAL_MS} ms: {met}.\n")
    _say("CPU ms for each MB, by size of the file:\n")
    _say("| file | " + " | ".join(f"{size} KB" for size in SIZES_KB) + " |")
    _say("|---|" + "--:|" * len(SIZES_KB))
    for kind, make_file in GROWING.items():
        costs = [_ms_per_mb(*make_file(size), size) for size in SIZES_KB]
        _say(f"| {kind} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="for each measurement")
    set_up(Log(level="warning"))
    uvloop.run(main(parser.parse_args().seconds))
