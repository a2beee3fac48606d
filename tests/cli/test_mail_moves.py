"""Mail and people from other systems, and mail taken along: what the commands say and how they end."""

import mailbox as mailboxes
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from sqlmodel import select

from mailgov.addresses import Address
from mailgov.bulk.sheets import read_sheet
from mailgov.db import Database
from mailgov.db.models import EventRow
from mailgov.mailstore import dovecot, layout

from ..mailgov.migration.moving import fill, message
from ..support.directory import AN, OFFICE
from ..support.imap_engines import PASSWORD, Engine
from ..support.platform import eventually
from .conftest import Run

ZMPROV = """\
# name annv@cu.vn
cn: annv
displayName: Nguyễn Văn An
objectClass: inetOrgPerson
objectClass: zimbraAccount
ou: Sở Nội vụ
title: Chuyên viên
mobile: +84 90 123 4567
zimbraAccountStatus: active
zimbraMailQuota: 2147483648

# name binh@cu.vn
displayName: Trần Thị Bình
zimbraAccountStatus: closed

# name spam.abc123@cu.vn
displayName: spam
zimbraIsSystemAccount: TRUE

# name thu@cu.vn
zimbraAccountStatus: active
"""
LDIF = """\
version: 1

dn: ou=people,dc=cu,dc=vn
objectClass: organizationalUnit
ou: people

dn: uid=an,ou=people,dc=cu,dc=vn
objectClass: inetOrgPerson
cn:: Tmd1eeG7hW4gVsSDbiBBbg==
mail: annv@c
 u.vn
employeeNumber: VC-00417
departmentNumber: sở nội vụ

# somebody who was closed
dn: uid=b,ou=people,dc=cu,dc=vn
objectClass: user
cn: B
mail: b@cu.vn
userAccountControl: 514
"""


@pytest.fixture
def options(dovecot_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How a new account on Dovecot is copied. The engine, in this process too, says nothing."""
    quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    monkeypatch.setattr(dovecot, "log", quiet)
    user = dovecot_engine.mailbox()
    fill(dovecot_engine, user, "INBOX", [message(1), message(2)], flags=r"(\Seen)")
    (tmp_path / "mk.txt").write_text(PASSWORD)
    server = f"{dovecot_engine.host}:{dovecot_engine.port}"
    return ["--server", server, "--no-tls", "--user", user, "--password-file", str(tmp_path / "mk.txt")]  # fmt: skip


def copied(folder: Path, address: str = AN) -> int:
    maildir = layout.maildir(folder / "data", Address.parse(address))
    return len(list((maildir / "cur").glob("*"))) if maildir.is_dir() else 0


@pytest.mark.dovecot
class TestCopyFrom:
    def test_first_looked_at_then_copied_then_nothing(
        self, run: Run, folder: Path, options: list[str], database: Database
    ) -> None:
        dry = run("mailbox", "copy-from", AN, *options, "--dry-run", "--json")
        assert (dry.exit, copied(folder)) == (0, 0)
        assert dry.data[0] | {"folder": "INBOX", "at_source": 2, "already": 0} == dry.data[0]
        done = run("mailbox", "copy-from", AN, *options, "--reason", "chuyển hệ thống")
        assert (done.exit, copied(folder)) == (0, 2)
        assert "Đã chép 2 thư" in done.stderr
        again = run("mailbox", "copy-from", AN, *options, "--json")
        assert (again.exit, again.data[0]["already"], again.data[0]["copied"]) == (0, 2, 0)
        with database.read() as session:
            events = session.exec(select(EventRow).where(EventRow.kind == "mailbox.copied")).all()
        assert [event.data["messages"] for event in events] == [2, 0]
        assert events[0].data["reason"] == "chuyển hệ thống"
        assert (events[0].mailbox, events[0].agency_code) == (AN, "H99.02")

    def test_a_list_goes_on_past_an_account_that_fails(
        self, run: Run, folder: Path, options: list[str]
    ) -> None:
        user = options[options.index("--user") + 1]
        (folder / "list.csv").write_text(
            f"address,user,password\n{AN},{user},{PASSWORD}\n{OFFICE},{user},sai\n", "utf-8"
        )
        done = run("mailbox", "copy-from", "--list", "list.csv", *options[:3], "--json")
        assert (done.exit, copied(folder)) == (7, 2)
        problems = {row["address"]: row["problem"] for row in done.data if row["problem"]}
        assert problems[OFFICE].startswith("copy-source-refused")

    def test_more_than_the_mailbox_may_hold_is_not_begun(
        self, run: Run, folder: Path, options: list[str], dovecot_engine: Engine
    ) -> None:
        user = options[options.index("--user") + 1]
        fill(dovecot_engine, user, "INBOX", [message(9, 3 << 20)])
        assert run("mailbox", "edit", AN, "--quota", "2").exit == 0
        done = run("mailbox", "copy-from", AN, *options, "--json")
        assert (done.exit, done.error["code"], copied(folder)) == (5, "copy-over-quota", 0)

    def test_killed_and_run_again_everything_is_there_once(
        self, folder: Path, options: list[str], dovecot_engine: Engine
    ) -> None:
        messages = [message(number) for number in range(100, 250)]
        fill(dovecot_engine, options[options.index("--user") + 1], "INBOX", messages)
        command = [sys.executable, "-m", "mailgov_cli", "mailbox", "copy-from", AN, *options]
        for enough in (1, 60):
            process = subprocess.Popen(
                command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

            def far_enough(enough: int = enough, process: "subprocess.Popen[bytes]" = process) -> bool:  # fmt: skip
                return copied(folder) >= enough or process.poll() is not None

            eventually(far_enough)
            process.kill()
            process.wait()
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        files = (layout.maildir(folder / "data", Address.parse(AN)) / "cur").iterdir()
        found = sorted(file.read_bytes() for file in files)
        assert found == sorted([message(1), message(2), *messages])

    def test_a_wrong_password(self, run: Run, folder: Path, options: list[str]) -> None:
        (folder / "sai.txt").write_text("sai")
        done = run("mailbox", "copy-from", AN, *options[:-1], "sai.txt", "--json")
        assert (done.exit, done.error["code"]) == (4, "copy-source-refused")


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (["--server", "zimbra.vn", "--no-tls", AN], "copy-in-clear", 2),
        (["--server", "zimbra.vn:x", AN], "copy-server", 2),
        (["--server", "zimbra.vn"], "copy-of-what", 2),
        (["--server", "127.0.0.1:9", "ai-do@sonoivu.tinhmau.test"], "mailbox-unknown", 3),
        (["--server", "127.0.0.1:9", AN], "copy-source-unavailable", 9),
    ],
)
def test_what_can_not_be_copied(
    run: Run, folder: Path, args: list[str], code: str, exit_code: int
) -> None:
    done = run("mailbox", "copy-from", *args, "--password-file", "-", "--json", stdin="x\n")
    assert (done.exit, done.error["code"]) == (exit_code, code)


class TestExport:
    @pytest.fixture
    def messages(self, folder: Path) -> list[bytes]:
        """Mail of An: two read messages in the inbox, one new in another folder."""
        maildir = layout.maildir(folder / "data", Address.parse(AN))
        messages = [b"Subject: 1\r\n\r\nFrom here\r\n>From there\r\n", message(2), b"\r\nno end"]
        for data, place in zip(messages, ["cur/1:2,S", "cur/2:2,FS", ".Sent/new/3"], strict=True):
            (maildir / place).parent.mkdir(parents=True, exist_ok=True)
            (maildir / place).write_bytes(data)
        return messages

    def test_mbox(self, run: Run, folder: Path, messages: list[bytes], database: Database) -> None:
        done = run("mailbox", "mail-export", AN, "--to", "an.mbox", "--reason", "bàn giao", "--json")  # fmt: skip
        assert (done.exit, done.data[0]["messages"]) == (0, 3)
        text = (folder / "an.mbox").read_bytes()
        assert b"\n>From here\n>>From there\n" in text
        assert (folder / "an.mbox").stat().st_mode & 0o777 == 0o600
        with closing(mailboxes.mbox("an.mbox", create=False)) as box:
            found = [one.as_bytes() for one in box]
        assert len(found) == 3
        assert found[1] == messages[1].replace(b"\r\n", b"\n")
        with database.read() as session:
            [event] = session.exec(select(EventRow).where(EventRow.kind == "mailbox.exported"))
        assert event.data | {"form": "mbox", "messages": 3, "reason": "bàn giao"} == event.data
        again = run("mailbox", "mail-export", AN, "--to", "an.mbox", "--reason", "x", "--json")
        assert (again.exit, again.error["code"]) == (5, "export-exists")

    def test_maildir(self, run: Run, folder: Path, messages: list[bytes]) -> None:
        assert run("mailbox", "mail-export", AN, "--to", "an", "--reason", "x").exit == 0
        places = ["cur/1:2,S", "cur/2:2,FS", ".Sent/new/3"]
        assert [(folder / "an" / place).read_bytes() for place in places] == messages

    def test_a_reason_is_needed(self, run: Run, folder: Path) -> None:
        assert run("mailbox", "mail-export", AN, "--to", "an").exit == 2


def sheet(file: str) -> list[list[str]]:
    return [list(row.cells) for row in read_sheet(Path(file)).rows]


class TestConvertList:
    def test_zimbra(self, run: Run, folder: Path) -> None:
        (folder / "z.txt").write_text(ZMPROV, "utf-8")
        (folder / "units.csv").write_text("Sở nội vụ,H99.02\n", "utf-8")
        done = run("mailbox", "convert-list", "z.txt", "--to", "s.xlsx", "--units", "units.csv", "--json")  # fmt: skip
        assert done.exit == 7
        assert {row["address"]: row["problem"] for row in done.data} == {
            "binh@cu.vn": "closed",
            "spam.abc123@cu.vn": "system",
            "thu@cu.vn": "no-name",
        }
        heading, row = sheet("s.xlsx")
        assert dict(zip(heading, row, strict=True)) | {
            "Họ và tên": "Nguyễn Văn An",
            "Mã cơ quan": "H99.02",
            "Địa chỉ thư": "annv@cu.vn",
            "Dung lượng (MB)": "2048",
            "Điện thoại": "+84901234567",
        } == dict(zip(heading, row, strict=True))

    def test_ldif(self, run: Run, folder: Path) -> None:
        (folder / "l.ldif").write_text(LDIF, "utf-8")
        done = run("mailbox", "convert-list", "l.ldif", "--to", "s.xlsx", "--agency", "H99.02")
        assert done.exit == 7
        assert "b@cu.vn" in done.stdout
        assert sheet("s.xlsx")[1][:3] == ["VC-00417", "Nguyễn Văn An", "H99.02"]

    def test_what_was_made_can_be_imported(self, run: Run, folder: Path) -> None:
        entry = LDIF.replace("annv@c\n u.vn", "an2@sonoivu.tinhmau.test").replace("00417", "00500")
        (folder / "l.ldif").write_text(entry, "utf-8")
        run("mailbox", "convert-list", "l.ldif", "--to", "s.xlsx", "--agency", "H99.02")
        assert run("mailbox", "import", "s.xlsx", "--yes").exit == 0
        assert run("mailbox", "show", "an2@sonoivu.tinhmau.test").exit == 0

    def test_something_else(self, run: Run, folder: Path) -> None:
        (folder / "x.txt").write_text("xin chào")
        done = run("mailbox", "convert-list", "x.txt", "--to", "s.xlsx", "--json")
        assert (done.exit, done.error["code"]) == (6, "list-format-unknown")
