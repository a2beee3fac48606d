"""What needs two persons: asked for, approved by another in the right role, done once, lapsed."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlmodel import select

from mailgov.access import Authority, Role
from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import Approval
from mailgov.directory import approvals
from mailgov.directory.approvals import Decider, Request
from mailgov.directory.provisioning import NewMailbox, add_mailbox, grant_role, set_password
from mailgov.errors import Conflict, ConsentMissing, NotAllowed, NotFound
from mailgov.ledger.events import ApprovalStep
from mailgov.ledger.store import of_kinds

from ..support.directory import NOW, PASSWORD, act
from .conftest import HOLDERS, OUR_HELD, Run

KEYS = HOLDERS["key-officer"]
SECOND = "bichtt@sonoivu.tinhmau.test"
EXPORT = (
    *("dkim", "export", "sonoivu.tinhmau.test", "2026a", "--to", "khoa.pem"),
    *("--password-file", "khoa.txt", "--reason", "chuyển máy chủ"),
)


@pytest.fixture
def second(database: Database, folder: Path, run: Run) -> str:
    """Another key officer of the same branch, and a key to take out."""
    with database.write() as session:
        new = NewMailbox(address=SECOND, agency="H99.02", name="Trần Thị Bích", staff_no="VC-2002")
        add_mailbox(session, act(), new)
        set_password(session, act(), SECOND, PASSWORD)
        grant_role(session, act(), mailbox=SECOND, role="key-officer", agency="H99.02")
    assert run("dkim", "generate", "sonoivu.tinhmau.test", "--selector", "2026a").exit == 0
    (folder / "khoa.txt").write_text("mot mat khau rat dai\n")
    (folder / "mk.txt").write_text(f"{PASSWORD}\n")
    (folder / "sai.txt").write_text("sai\n")
    return SECOND


def steps(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [
            (row.data["step"], row.actor.rpartition(" ")[2])
            for row in of_kinds(session, [ApprovalStep.kind])
        ]


def test_a_key_leaves_once_with_a_second_persons_yes(
    run: Run, database: Database, folder: Path, second: str
) -> None:
    asked = run(*EXPORT, "--as", KEYS, "--json")
    assert (asked.exit, asked.error["code"]) == (10, "approval-needed")
    number = asked.error["fields"]["approval"]
    assert run(*EXPORT, "--as", KEYS, "--json").error["fields"]["approval"] == number
    assert not (folder / "khoa.pem").exists()

    approve = ("approval", "approve", number, "--json")
    own = run(*approve, "--as", KEYS, "--password-file", "mk.txt")
    assert (own.exit, own.error["code"]) == (4, "approval-by-same-person")
    wrong = run(*approve, "--as", second, "--password-file", "sai.txt")
    assert (wrong.exit, wrong.error["code"]) == (4, "approval-not-proven")
    asked_for_password = run(*approve, "--as", second, "--no-input")
    assert (asked_for_password.exit, asked_for_password.error["code"]) == (
        10,
        "password-not-asked",
    )
    other_role = run(*approve, "--as", HOLDERS["it"], "--password-file", "mk.txt")
    assert (other_role.exit, other_role.error["code"]) == (3, "approval-unknown")
    one_account = run(*approve)  # who runs the machine, from the account that asked
    assert (one_account.exit, one_account.error["code"]) == (4, "approval-by-same-person")

    assert run(*approve, "--as", second, "--password-file", "mk.txt").exit == 0
    done = run(*EXPORT, "--as", KEYS)
    assert done.exit == 0, done.stderr
    file = folder / "khoa.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    key = load_pem_private_key(file.read_bytes(), b"mot mat khau rat dai")
    assert isinstance(key, RSAPrivateKey)
    assert b"mot mat khau" not in (folder / "data" / "mailgov.db").read_bytes()

    file.unlink()
    again = run(*EXPORT, "--as", KEYS, "--json")
    assert (again.exit, again.error["code"]) == (10, "approval-needed")
    assert again.error["fields"]["approval"] != number
    assert steps(database) == [
        ("asked", KEYS),
        ("approved", second),
        ("used", KEYS),
        ("asked", KEYS),
    ]


def test_a_yes_is_for_one_key_and_nothing_else(run: Run, folder: Path, second: str) -> None:
    assert folder.exists()
    assert run("dkim", "generate", "sonoivu.tinhmau.test", "--selector", "2026b").exit == 0
    number = run(*EXPORT, "--as", KEYS, "--json").error["fields"]["approval"]
    assert run("approval", "approve", number, "--as", second, "--password-file", "mk.txt").exit == 0
    other = [word.replace("2026a", "2026b") for word in EXPORT]
    assert run(*other, "--as", KEYS, "--json").error["code"] == "approval-needed"


@pytest.mark.usefixtures("second")
def test_denied_and_withdrawn(run: Run) -> None:
    number = run(*EXPORT, "--as", KEYS, "--json").error["fields"]["approval"]
    deny = ("approval", "deny", number, "--reason", "không có căn cứ", "--as", SECOND)
    told = run(*deny, "--password-file", "mk.txt", "--json")
    assert (told.exit, told.data[0]["state"]) == (0, "denied")
    refused = run(*EXPORT, "--as", KEYS, "--lang", "vi")
    assert refused.exit == 4
    assert "không có căn cứ" in refused.stderr
    other = run(
        *("dkim", "export", "sonoivu.tinhmau.test", "2026a", "--to", "khac.pem"),
        *("--password-file", "khoa.txt", "--reason", "x", "--json"),
    ).error["fields"]["approval"]  # whoever runs the machine asks for themselves
    assert run("approval", "withdraw", other, "--json").data[0]["state"] == "withdrawn"
    assert run("approval", "withdraw", other, "--json").error["code"] == "approval-ended"


def test_many_held_messages_need_a_second_person(run: Run, folder: Path) -> None:
    with (folder / "config.toml").open("a") as config:
        config.write("\n[roles]\nbulk_release = 1\n")
    several = ("quarantine", "release", OUR_HELD, OUR_HELD, "--json", "--reason")
    told = run(*several, "thư mời họp", "--as", HOLDERS["security-officer"])
    assert (told.exit, told.error["code"]) == (10, "approval-needed")
    without = run(*several, " ", "--as", HOLDERS["security-officer"])
    assert without.error["code"] == "approval-needed"  # the open one is named
    listed = run("approval", "list", "--json", "--as", HOLDERS["security-officer"]).data
    assert [(row["kind"], row["state"]) for row in listed] == [("bulk-release", "asked")]
    assert run("approval", "list", "--json", "--as", HOLDERS["auditor"]).data == []


# Without a face ------------------------------------------------------------------------------------

LAN = Authority("lan@a.test", (Role("auditor", "H99.02"),), "lan@a.test")
MAI = Authority("mai@a.test", (Role("auditor", "H99"),), "mai@a.test")
ANH = Authority("anh@a.test", (Role("auditor", "H98"), Role("it")), "anh@a.test")
NAMES = Request("open-names", {"report": "active-use", "cell": "H99.02/2026-10"}, "H99.02")


def ask(database: Database) -> str:
    with pytest.raises(ConsentMissing) as told:
        approvals.require(database, LAN, NOW, "KL 12", NAMES, 7)
    return str(told.value.fields["approval"])


def test_a_request_lapses(database: Database) -> None:
    number = ask(database)
    later = NOW + timedelta(days=8)
    with database.write() as session:
        with pytest.raises(Conflict, match=r"approval-ended.*lapsed"):
            approvals.decide(session, Decider(MAI), later, number, yes=True)
        approvals.decide(session, Decider(MAI), NOW, number, yes=True)
    with pytest.raises(ConsentMissing, match="approval-needed"):
        approvals.require(database, LAN, later, "KL 12", NAMES, 7)
    with database.read() as session:
        states = {row["approval"]: row["state"] for row in _all(session, later)}
    assert states[number] == "lapsed"


def _all(session: object, now: object) -> list[dict[str, object]]:
    return approvals.listing(session, MAI, now, every=True)  # type: ignore[arg-type]  # as given


def test_officers_of_another_branch_are_not_asked(database: Database) -> None:
    number = ask(database)
    with database.write() as session:
        assert approvals.listing(session, ANH, NOW) == []
        with pytest.raises(NotFound, match="approval-unknown"):
            approvals.decide(session, Decider(ANH, proven=True), NOW, number, yes=True)


def test_nobody_approves_their_own_even_when_they_run_the_platform(database: Database) -> None:
    root = Authority("cli:root", (Role("operator"),))
    request = Request("key-export", {"domain": "a.test", "selector": "x"})
    with pytest.raises(ConsentMissing) as told:
        approvals.require(database, root, NOW, "x", request, 7)
    number = str(told.value.fields["approval"])
    as_lan = Authority("cli:root as lan@a.test", (Role("key-officer"),), "lan@a.test")
    with database.write() as session:
        for who in (Decider(root), Decider(root, proven=True), Decider(as_lan)):
            with pytest.raises(NotAllowed, match="approval-by-same-person"):
                approvals.decide(session, who, NOW, number, yes=True)
        other = Decider(Authority("cli:lan", (Role("operator"),)))
        approvals.decide(session, other, NOW, number, yes=True)
    approvals.require(database, root, NOW, "", request, 7)
    with database.read() as session:
        assert session.exec(select(Approval.state)).all() == ["used"]


# Grants end on their date ----------------------------------------------------------------------------


def test_a_grant_ends_with_its_last_day(run: Run, database: Database) -> None:
    yesterday = utc_now().date() - timedelta(days=1)
    late = run(
        *("role", "grant", "annv@sonoivu.tinhmau.test", "it", "--agency", "H99.02"),
        *("--until", yesterday.isoformat(), "--json"),
    )
    assert (late.exit, late.error["code"]) == (6, "role-ended")
    with database.write() as session:
        from mailgov.db.models import RoleGrant

        for grant in session.exec(select(RoleGrant)):
            grant.until = NOW.date() - timedelta(days=1)
            session.add(grant)
    told = run("agency", "list", "--as", HOLDERS["it"], "--json")
    assert (told.exit, told.error["code"]) == (4, "account-without-role")
    assert run("role", "list", "--json").data == []
    assert len(run("role", "list", "--ended", "--json").data) == 5


def test_a_role_is_revoked_at_once(run: Run, folder: Path) -> None:
    assert folder.exists()
    revoke = ("role", "revoke", HOLDERS["it"], "it", "--agency", "H99.02", "--json")
    assert run(*revoke).data[0]["changed"] is True
    assert run("agency", "list", "--as", HOLDERS["it"], "--json").exit == 4
    again = run(*revoke)
    assert (again.exit, again.error["code"]) == (3, "role-not-held")
    whole = run("role", "grant", HOLDERS["it"], "operator", "--agency", "H99.02", "--json")
    assert (whole.exit, whole.error["code"]) == (6, "role-whole-only")
