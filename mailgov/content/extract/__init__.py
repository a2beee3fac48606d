"""Text with fonts and places out of office files: pure functions over bytes."""

from mailgov.content.extract.kinds import KINDS, extract
from mailgov.content.runs import Extracted, Run, Unreadable

__all__ = ["KINDS", "Extracted", "Run", "Unreadable", "extract"]
