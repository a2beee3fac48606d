"""Two branches of one province, everything of the second marked, and people with roles in the first."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, select

from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.db.models import (
    Absence,
    DkimKey,
    Domain,
    Forward,
    Job,
    JobRow,
    Mailbox,
    MessageRow,
    PlannedAct,
    RecipientRow,
    VerdictRow,
)
from mailgov.directory.provisioning import (
    NewMailbox,
    add_agency,
    add_alias,
    add_domain,
    add_group,
    add_mailbox,
    add_member,
    grant_role,
    grant_send_as,
    set_password,
)
from mailgov.ledger import record
from mailgov.ledger.events import MessageAccepted, SignIn

from ..cli.conftest import CONFIG, Run, _quiet_environment, run
from ..support.directory import NOW, PASSWORD, SUFFIXES, act, fill_directory

__all__ = ["Run", "_quiet_environment", "run"]

OURS = "0aaaaaaaaaaaaaaaaaaa"
THEIRS = "0bbbbbbbbbbbbbbbbbbb"
THEIR_HELD = "0cccccccccccccccccccc"[:20]
OUR_HELD = "0ddddddddddddddddddd"
HOLDERS = {
    "it": "cuonglv1@sonoivu.tinhmau.test",
    "auditor": "cuonglv2@sonoivu.tinhmau.test",
    "security-officer": "cuonglv3@sonoivu.tinhmau.test",
    "key-officer": "cuonglv4@sonoivu.tinhmau.test",
}
"""Who holds which role over H99.02, the branch of ours."""


def fill(session: Session) -> None:
    """H99.02 is ours; H99.47 and H98 are theirs, and everything there says `kin`."""
    fill_directory(session)
    for number, (role, address) in enumerate(HOLDERS.items()):
        new = NewMailbox(
            address=address, agency="H99.02", name="Lê Văn Cường", staff_no=f"VC-1{number:03}"
        )
        add_mailbox(session, act(), new)
        set_password(session, act(), address, PASSWORD)
        grant_role(session, act(), mailbox=address, role=role, agency="H99.02")
    _fill_theirs(session)
    session.flush()


def _fill_theirs(session: Session) -> None:
    who = act("kin")
    add_agency(session, who, code="H98", name="Tỉnh Kin", level="province")
    add_agency(session, who, code="H98.01", name="Sở Kin", level="department", short_name="KIN")
    add_domain(session, who, name="kin.test", agency="H98", official_suffixes=SUFFIXES)
    for local, staff_no in (("mot", "KIN-1"), ("hai", "KIN-2")):
        new = NewMailbox(
            address=f"{local}@kin.test", agency="H98.01", name="Kin Thị Mai", staff_no=staff_no
        )
        add_mailbox(session, who, new)
        set_password(session, who, f"{local}@kin.test", PASSWORD)
    add_mailbox(session, who, NewMailbox(address="vanthu@kin.test", agency="H98.01", kind="office"))
    add_alias(session, who, address="bidanh@kin.test", mailbox="mot@kin.test")
    grant_send_as(session, who, mailbox="vanthu@kin.test", holder="mot@kin.test")
    add_group(session, who, address="nhom@kin.test", agency="H98.01", name="Nhóm Kin")
    add_member(session, who, "nhom@kin.test", "mot@kin.test", 500)
    grant_role(session, who, mailbox="mot@kin.test", role="it", agency="H98")
    ids = dict(session.exec(select(Mailbox.address, Mailbox.id)).all())
    domain = session.exec(select(Domain).where(Domain.name == "kin.test")).one()
    assert domain.id is not None
    mine = ids["mot@kin.test"]
    assert mine is not None
    session.add(Forward(mailbox_id=mine, target="hai@kin.test"))
    session.add(Absence(mailbox_id=mine, text="Kin", first_day=NOW.date(), last_day=NOW.date()))
    session.add(
        DkimKey(domain_id=domain.id, selector="kin", public_key="a2lu", file_name="kin.pem")
    )
    session.add(
        Job(
            id="imp-2026-11-20-1",
            kind="mailbox.import",
            file="kin.xlsx",
            digest="0" * 64,
            options={"sheet": "", "convert_legacy": False, "missing": "keep", "max_missing": 5},
            state="running",
            counts={},
            actor="cli:kin",
        )
    )
    session.flush()
    session.add(
        JobRow(job_id="imp-2026-11-20-1", number=2, verb="add", target="mot@kin.test", changes={})
    )
    session.add(
        PlannedAct(
            id=1,
            kind="mailbox.recall",
            subject="mot@kin.test",
            agency_code="H98.01",
            on_day=NOW.date() + timedelta(days=60),
            arguments={},
            actor="cli:kin",
            result={},
            failure_fields={},
        )
    )
    for queue_id, sender, code, state in (
        (OURS, "annv@sonoivu.tinhmau.test", "H99.02", "queued"),
        (OUR_HELD, "annv@sonoivu.tinhmau.test", "H99.02", "held"),
        (THEIRS, "mot@kin.test", "H98.01", "queued"),
        (THEIR_HELD, "hai@kin.test", "H98.01", "held"),
    ):
        _message(session, queue_id, sender, code, state)
    record(
        session,
        SignIn(
            at=NOW, mailbox="mot@kin.test", agency_code="H98.01", channel="web", success=True, ip=""
        ),
    )


def _message(session: Session, queue_id: str, sender: str, code: str, state: str) -> None:
    held = state == "held"
    session.add(
        MessageRow(
            id=queue_id,
            direction="submission",
            mail_from=sender,
            login=sender,
            agency_code=code,
            message_id=f"<{queue_id}@{sender.partition('@')[2]}>",
            size_bytes=10,
            content_sha256=b"0" * 32,
            prefix=b"",
            content=b"Subject: kin\r\n\r\n" if code == "H98.01" else b"Subject: x\r\n\r\n",
            accepted_at=NOW,
        )
    )
    session.flush()
    verdict = VerdictRow(
        message_id=queue_id,
        action="hold" if held else "pass",
        code="macro" if held else "",
        findings=[
            {"code": "macro", "action": "hold", "where": "part 2", "evidence": {}, "basis": ""}
        ]
        if held
        else [],
        judged_at=NOW,
    )
    session.add(verdict)
    session.flush()
    assert verdict.id is not None
    session.add(
        RecipientRow(
            message_id=queue_id,
            verdict_id=verdict.id,
            address=f"nhan@{'kin' if code == 'H98.01' else 'ngoai'}.example",
            destination=f"{'kin' if code == 'H98.01' else 'ngoai'}.example",
            state=state,
            next_attempt_at=None if held else NOW + timedelta(days=3650),
        )
    )
    record(
        session,
        MessageAccepted(
            at=NOW,
            message_id=queue_id,
            mailbox=sender,
            agency_code=code,
            actor=sender,
            direction="submission",
            action="hold" if held else "pass",
        ),
    )


@pytest.fixture(scope="session")
def two_branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration and database, made once."""
    folder = tmp_path_factory.mktemp("branches")
    (folder / "config.toml").write_text(CONFIG)
    (folder / "data").mkdir()
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}")
    migrate(database)
    with database.write() as session:
        fill(session)
    database.close()
    return folder


@pytest.fixture
def folder(two_branches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy; commands run in it and find its config.toml."""
    copy = tmp_path / "site"
    shutil.copytree(two_branches, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """The database that the commands of this test use."""
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}", readers=2)
    yield database
    database.close()
