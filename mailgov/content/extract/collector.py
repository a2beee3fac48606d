"""Gathers runs while a reader walks through its file, within bounds."""

from mailgov.content.runs import Extracted, Run, Unreadable

MAX_CHARACTERS = 16 << 20  # 8,000 pages; a shared string may be used by a million cells
MAX_RUNS = 1 << 20


class Collector:
    """Runs in order. Neighbours of one place, font and case become one run.

    A reader may say `end_line` as often as it likes: line ends appear only between two texts of the
    same place.
    """

    everything = False  # also what is not shown: the other reading of a drawing, moved text

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._first_of_place = 0  # index of its first run
        self._texts: list[str] = []  # of the run being built
        self._place = ""
        self._font = ""
        self._capitals = False
        self._line_ends = False
        self._characters = 0

    def add(self, text: str, place: str, font: str = "", *, capitals: bool = False) -> None:
        """Append text. Raises Unreadable when the file holds more than any document does."""
        if not text:
            return
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS or len(self._runs) >= MAX_RUNS:
            raise Unreadable("more text than allowed", "bomb")
        if place == self._place and self._texts:
            if self._line_ends:
                self._texts.append("\n")
            if (font, capitals) != (self._font, self._capitals):
                self._finish_run()
        else:
            self._finish_place()
        self._place, self._font, self._line_ends = place, font, False
        self._capitals = capitals
        self._texts.append(text)

    def end_line(self) -> None:
        """A paragraph ends here."""
        self._line_ends = True

    def _finish_run(self) -> None:
        if self._texts:
            self._runs.append(Run("".join(self._texts), self._place, self._font, self._capitals))
            self._texts = []

    def _finish_place(self) -> None:
        """Places that hold only white space are left out."""
        self._finish_run()
        if all(run.text.isspace() for run in self._runs[self._first_of_place :]):
            del self._runs[self._first_of_place :]
        self._first_of_place = len(self._runs)

    def result(self) -> Extracted:
        """Everything gathered."""
        self._finish_place()
        return Extracted(tuple(self._runs), has_text=bool(self._runs))
