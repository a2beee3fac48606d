"""Group commit: durable writes a second, and how long each waits, by writers at once.

    python benchmarks/commits.py [--folder DIR] [--url postgresql+psycopg://…] [--seconds 3]

Each write is one small row in a transaction that is synced before it returns. The folder should lie
on the disk in question; a memory file system says nothing. On a shared machine figures are disturbed.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from itertools import count
from pathlib import Path

from sqlalchemy import insert
from sqlmodel import Session

from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.db.models import Instance

WRITERS = (1, 4, 16, 64, 256)
_names = count(time.time_ns())


def put(session: Session) -> None:
    """One row."""
    session.connection().execute(insert(Instance), {"key": f"bench-{next(_names)}", "value": "x"})


async def measure(database: Database, writers: int, seconds: float) -> tuple[float, float, float]:
    """Rows a second; median and 99th percentile of the wait in milliseconds."""
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def write() -> None:
        while (began := time.perf_counter()) < end:
            await database.submit(put)
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(write() for _ in range(writers)))
    cuts = statistics.quantiles(waits, n=100)
    return len(waits) / seconds, cuts[49] * 1000, cuts[98] * 1000


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--url", default="")
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        database = Database(options.url or f"sqlite:///{folder}/bench.db")
        migrate(database)
        print("writers   rows/s   median ms   p99 ms")  # noqa: T201
        for writers in WRITERS:
            rate, median, late = asyncio.run(measure(database, writers, options.seconds))
            print(f"{writers:7} {rate:8.0f} {median:11.1f} {late:8.1f}")  # noqa: T201
        database.close()


if __name__ == "__main__":
    main()
