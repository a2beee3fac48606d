"""`mailgov quarantine` as it looks, on three held messages; the form is that of test_transcripts."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailgov.addresses import Address
from mailgov.db import Database
from mailgov.db.models import MessageRow
from mailgov.directory.provisioning import grant_role
from mailgov_policies.verdict import Action, Finding, Verdict

from ..mailgov.queue.samples import accept, body_of, message
from ..support.directory import AN, OFFICE, act
from .conftest import Run
from .test_transcripts import fits, steps

HELD_AT = datetime(2026, 11, 20, 1, tzinfo=UTC)
FIRST, SECOND, FORGED = (f"0kq3zv7m8hd2v5s1x9y{last}" for last in "abc")
LETTER = f"From: An <{AN}>\r\nTo: binh@example.vn\r\nSubject: =?utf-8?b?R2nhuqV5IG3hu51p?=\r\n\r\nMoi hop.\r\n"
TRANSCRIPTS = sorted(Path(__file__).parent.joinpath("transcripts", "held").glob("*.txt"))


@pytest.fixture
def held(database: Database) -> None:
    """Three messages of An's that wait for the office; the third one bears another's name."""
    with database.write() as session:
        grant_role(session, act(), mailbox=OFFICE, role="security-officer", agency="H99.02")
    for queue_id, code, action in (
        (FIRST, "encrypted-archive", Action.HOLD),
        (SECOND, "macro", Action.QUARANTINE),
        (FORGED, "encrypted-archive", Action.HOLD),
    ):
        evidence = {"place": "part 2", "file": "bi-mat.zip", "kind": "xlsm"}
        verdict = Verdict(action, code, (Finding(code, action, "part 2", evidence, 1),), (), "d/1")
        new = message(
            "binh@example.vn", sender=AN, held=True, at=HELD_AT, body=body_of(LETTER.encode())
        )
        login = Address.parse(AN)
        new = replace(new, queue_id=queue_id, verdict=verdict)
        accept(database, replace(new, envelope=replace(new.envelope, login=login)))
    with database.write() as session:
        session.get_one(MessageRow, FORGED).login = OFFICE


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("held")
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
    assert count > 10
