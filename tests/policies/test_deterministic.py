"""The same bytes give the same verdict in the same words, in every process."""

import os
import subprocess
import sys

from mailgov import texts
from mailgov.texts import LANGUAGES

from .labelled import judged, labelled

_AGAIN = f"""
import hashlib
from {__name__} import told
print(hashlib.sha256(told().encode()).hexdigest())
"""


def told() -> str:
    """Every labelled message with its verdict and all its words, as one text."""
    lines: list[str] = []
    for case in labelled():
        _, verdict = judged(case)
        lines += [case["name"], repr(verdict)]
        for finding in verdict.findings:
            for language in LANGUAGES:
                lines.append(texts.rule_sentence(language, finding.code, finding.evidence))
                lines.append(texts.place(language, finding.where, finding.evidence.get("file", "")))
    return "\n".join(lines)


def test_in_one_process() -> None:
    assert told() == told()


def test_in_processes_that_hash_differently() -> None:
    digests = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _AGAIN],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        digests.add(done.stdout)
    assert len(digests) == 1
