"""Compound files (MS-CFB), the container of doc, xls and ppt."""

from typing import Self

import olefile

from mailgov.content.runs import Unreadable


class CompoundFile:
    """Named streams of a compound file in memory. Use as context manager."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(olefile.MAGIC):
            raise Unreadable("not a compound file")
        try:
            self._file = olefile.OleFileIO(data)
        except (OSError, ValueError, IndexError, TypeError) as exc:
            raise Unreadable("damaged compound file") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return bool(self._file.exists(name))

    def read(self, name: str) -> bytes:
        """A whole stream. Its size is bounded by that of the file."""
        try:
            with self._file.openstream(name) as stream:
                return bytes(stream.read())
        except (OSError, ValueError, IndexError, TypeError) as exc:
            raise Unreadable(f"stream `{name}` is missing or damaged") from exc
