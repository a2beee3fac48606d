"""What reading text costs: assessment by language and encoding, extraction by kind of file.

    python benchmarks/text.py [FOLDER]

FOLDER holds real documents; by default the `documents` of the corpus (MAILGOV_CORPUS, else
`../shared/corpus`). Prints milliseconds of processor time, the best of several runs.
"""

import os
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mailgov.content.encodings import as_cp1252
from mailgov.content.extract import KINDS, Unreadable, extract
from mailgov.content.legacy_text import assess, read
from mailgov.content.runs import Run
from mailgov.content.vietnamese import table_rows

VIETNAMESE = """Thực hiện Quyết định số 12/QĐ-UBND ngày 05 tháng 3 năm 2026 của Ủy ban nhân dân tỉnh về việc
ban hành Quy chế quản lý, vận hành và sử dụng hệ thống thư điện tử công vụ, Sở Nội vụ đề nghị các đơn vị
rà soát, lập danh sách cán bộ, công chức, viên chức chưa được cấp hộp thư và gửi về Sở trước ngày 15/4.
"""
FRENCH = """Les élèves français étaient très étonnés de constater que l'école, où ils étaient allés dès l'été
précédent, n'était plus là ; nous espérons être reçus à Hanoï le 5 août par le ministère concerné.
"""
ENGLISH = (
    "Please find attached the report of the meeting (version 2); the figures are on page 12.\n"
)
TEXT_BYTES = 4096


def best_ms(work: Callable[[], object], seconds: float = 0.3) -> float:
    """Milliseconds of processor time for one run, the least of those that fit."""
    least = float("inf")
    end = time.monotonic() + seconds
    while True:
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
        if time.monotonic() > end:
            return least * 1000


def encoded(text: str, table: str) -> str:
    """Text as a reader of code page 1252 sees it in the encoding of a table."""
    letters = {
        letter: as_cp1252(bytes.fromhex(codes)) for codes, _, _, letter, *_ in table_rows(table)
    }
    return "".join(letters.get(letter, letter) for letter in text)


def assessment() -> None:
    """4 KB of text and ten times as much: the cost per KB must not grow."""
    texts = {
        "Unicode": VIETNAMESE,
        "Unicode, decomposed": unicodedata.normalize("NFD", VIETNAMESE),
        "TCVN3": encoded(VIETNAMESE, "decode-tcvn3.tsv"),
        "VNI": encoded(VIETNAMESE, "decode-vni-win.tsv"),
        "French": FRENCH,
        "English": ENGLISH,
    }
    print(f"{'assess':22}{'ms for 4 KB':>14}{'ms for 40 KB':>14}")  # noqa: T201
    for name, text in texts.items():
        whole = (text * (TEXT_BYTES // len(text.encode()) + 1)).encode()[:TEXT_BYTES]
        short = Run(whole.decode("utf-8", "ignore"), "body")
        times = [best_ms(partial(assess, [Run(short.text * times)])) for times in (1, 10)]
        print(f"{name:22}{times[0]:14.3f}{times[1]:14.3f}")  # noqa: T201


def extraction(folder: Path) -> None:
    """Files of each kind together: extraction, then assessment and conversion of what came out."""
    files: dict[str, list[bytes]] = defaultdict(list)
    for path in sorted(folder.rglob("*.*")):
        if path.suffix[1:] in KINDS:
            files[path.suffix[1:]].append(path.read_bytes())
    print(f"\n{'kind':6}{'files':>6}{'KB':>8}{'extract ms/KB':>15}{'read ms/KB of text':>20}")  # noqa: T201
    for kind, contents in sorted(files.items()):
        size = taken = text_size = text_taken = 0.0
        for data in contents:
            try:
                runs = extract(kind, data).runs
            except Unreadable:
                continue
            size += len(data) / 1024
            taken += best_ms(partial(extract, kind, data), 0.05)
            text_size += sum(len(run.text.encode()) for run in runs) / 1024
            text_taken += best_ms(partial(read, runs), 0.05)
        of_text = text_taken / text_size if text_size else 0.0
        print(f"{kind:6}{len(contents):6}{size:8.0f}{taken / max(size, 1):15.4f}{of_text:20.4f}")  # noqa: T201


if __name__ == "__main__":
    corpus = os.environ.get("MAILGOV_CORPUS", Path(__file__).parents[2] / "shared" / "corpus")
    assessment()
    extraction(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(corpus) / "documents")
