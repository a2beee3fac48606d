"""Processes that open what strangers send: no network, no files, bounded time and memory."""

from mailgov.readers.pool import ReaderPool

__all__ = ["ReaderPool"]
