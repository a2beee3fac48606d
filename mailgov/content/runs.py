"""What readers of files hand on: stretches of text, each with its place and font."""

from dataclasses import dataclass
from typing import Literal

from mailgov_policies.facts import ScannedPages


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one font at one place.

    The text of a place is the concatenation of its runs in order, line ends included. Bytes of
    private encodings appear as the characters that Windows code page 1252 gives them; the five
    bytes without a character there appear as C1 controls.
    """

    text: str
    place: str = ""  # within the file: `paragraph 14`, `sheet "Nhân sự" B7`, `page 3`, `slide 2`
    font: str = ""  # as the file names it; empty when unknown
    capitals: bool = False  # its format shows small letters as capitals, whatever the font


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file. `has_text` is False for a scan without text layer."""

    runs: tuple[Run, ...]
    has_text: bool = True
    scan: ScannedPages | None = None  # of a PDF without text layer

    @property
    def text(self) -> str:
        """All runs in order, one line for each place."""
        lines: list[str] = []
        place: str | None = None
        for run in self.runs:
            if run.place == place:
                lines[-1] += run.text
            else:
                lines.append(run.text)
            place = run.place
        return "\n".join(lines)


class Unreadable(Exception):
    """The file can't be read: damaged, encrypted, or larger than allowed when unpacked.

    `args[0]` is the reason in English; `state` is what a check must record. Never means clean.
    """

    def __init__(
        self, reason: str, state: Literal["unscannable", "encrypted", "bomb"] = "unscannable"
    ) -> None:
        super().__init__(reason)
        self.state = state
