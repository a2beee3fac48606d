"""Every command as it looks: transcripts/*.txt, run line by line in the small directory.

`$ ` begins a command, `< ` is piped in, `! ` is expected on stderr, `= ` is the exit code, anything
else is expected on stdout. `…` stands for any text within a line.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .conftest import Run

TRANSCRIPTS = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))


@dataclass
class Step:
    """One command and what is expected of it."""

    command: str
    line: int
    stdin: str = ""
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    exit: int = 0


def steps(text: str) -> Iterator[Step]:
    """The commands of a transcript, in order; lines before the first are remarks."""
    step: Step | None = None
    for number, line in enumerate(text.splitlines(), 1):
        mark, rest = line[:2], line[2:]
        if mark == "$ ":
            if step:
                yield step
            step = Step(rest, number)
        elif step is None or not line:
            continue
        elif mark == "< ":
            step.stdin += rest + "\n"
        elif mark == "! ":
            step.stderr.append(rest)
        elif mark == "= ":
            step.exit = int(rest)
        else:
            step.stdout.append(line)
    if step:
        yield step


def fits(expected: list[str], written: str) -> bool:
    pattern = "".join(".*".join(map(re.escape, line.split("…"))) + "\n" for line in expected)
    return re.fullmatch(pattern, written.replace("\r\n", "\n")) is not None  # CSV ends lines so


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("folder")
def test_transcript(path: Path, run: Run) -> None:
    count = 0
    for step in steps(path.read_text("utf-8")):
        result = run(*shlex.split(step.command), stdin=step.stdin)
        where = f"{path.name}:{step.line}: {step.command}"
        shown = f"{where}\n{result.stdout}\n! {result.stderr}= {result.exit}"
        assert result.exit == step.exit, shown
        assert fits(step.stdout, result.stdout), shown
        assert fits(step.stderr, result.stderr), shown
        count += 1
    assert count > 2
