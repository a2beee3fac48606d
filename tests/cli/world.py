"""A small platform with something of everything in it, for trying every command.

Made once; each case runs in a copy. `names` holds what only the making can know: ids, and files.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from mailgov import ledger
from mailgov.addresses import Address
from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.ledger.events import SignIn
from mailgov_policies.verdict import Action, Finding, Verdict

from ..mailgov.queue.samples import accept, body_of, message
from ..support.directory import AN

Run = Callable[..., Any]

SECRETS = "Song dai 9 nhip cau!\n"
LETTER = (
    f"From: An <{AN}>\r\nTo: chi@example.vn\r\nDate: Sat, 21 Nov 2026 09:00:00 +0700\r\n"
    "Message-ID: <1@tinhmau.test>\r\nSubject: Hoi hop\r\n\r\nMoi hop.\r\n"
)
STAFF = (
    "Số hiệu,Họ và tên,Mã cơ quan\nVC-00777,Phạm Thị Dung,H99.02\nVC-00778,Lê Văn Giang,H99.47\n"
)
LDIF = """dn: uid=binhtt,ou=people,dc=tinhmau,dc=test
objectClass: inetOrgPerson
uid: binhtt
cn: Tran Thi Binh
mail: binhtt@sonoivu.tinhmau.test
"""

# What is there besides the small directory, in the order of its making.
MADE = (
    'mailbox add bichtt@sonoivu.tinhmau.test --name "Trần Thị Bích" --agency H99.02 --staff-no VC-00500',
    'mailbox add cuonglv@sonoivu.tinhmau.test --name "Lê Văn Cường" --agency H99.02 --staff-no VC-00501',
    "mailbox suspend bichtt@sonoivu.tinhmau.test --reason ốm",
    "mailbox grant vanthu@sonoivu.tinhmau.test --to annv@sonoivu.tinhmau.test --until 2030-12-31",
    "mailbox forward add annv@sonoivu.tinhmau.test --to vanthu@sonoivu.tinhmau.test",
    "alias add an.nv@sonoivu.tinhmau.test --to annv@sonoivu.tinhmau.test --until 2030-05-31",
    "group add cac-phong@sonoivu.tinhmau.test --agency H99.02",
    "group members cac-phong@sonoivu.tinhmau.test --add annv@sonoivu.tinhmau.test",
    "absence set annv@sonoivu.tinhmau.test --text-file nghi-phep.txt --until 2030-12-05",
    "role grant annv@sonoivu.tinhmau.test auditor --agency H99 --until 2030-12-31",
    "dkim generate sonoivu.tinhmau.test --selector 2026a",
    "dmarc import bao-cao.xml",
    "mailbox import can-bo.csv --yes",
)


@dataclass(frozen=True)
class World:
    """The folder, and what the cases call things in it."""

    folder: Path
    names: dict[str, str]


def furnish(folder: Path, run: Run) -> World:
    """Fill a folder that holds configuration and the small directory; it is the working folder."""
    (folder / "rulesets").mkdir()
    with (folder / "config.toml").open("a", encoding="utf-8") as config:
        config.write('\n[policy]\nrulesets = "rulesets"\n')
    _files(folder)
    for command in MADE:
        done = run(*_split(command))
        assert done.exit == 0, (command, done)
    made = {
        "app_password": ("mailbox", "app-password", "add", AN, "--label", "Điện thoại"),
        "token": ("token", "add", AN, "--label", "HR", "--access", "read"),
    }
    names = {}
    for name, command in made.items():
        done = run(*command, "--json")
        assert done.exit == 0, (command, done)
        names[name] = str(_number(done.data[0]))
    names["job"] = run("job", "list", "--json").data[0]["job"]
    database = Database(f"sqlite:///{folder / 'data' / 'mailgov.db'}")
    try:
        names |= _mail(database)
    finally:
        database.close()
    return World(folder, names)


def _number(record: dict[str, Any]) -> Any:
    """The id of something made, wherever the record has it."""
    return next(record[key] for key in ("id", "number", "token") if key in record)


def _files(folder: Path) -> None:
    now = int(utc_now().timestamp())
    for name, text in {
        "nghi-phep.txt": "Tôi nghỉ đến hết tuần.\n",
        "mat-khau.txt": SECRETS,
        "thu.eml": LETTER,
        "can-bo.csv": STAFF,
        "can-bo-moi.csv": STAFF + "VC-00779,Ngô Văn Hải,H99.02\n",
        "can-bo-sai.csv": STAFF + "VC-00780,Ngô Văn Hải,H77\n",
        "nhom.csv": "group,member\ncac-phong@sonoivu.tinhmau.test,vanthu@sonoivu.tinhmau.test\n",
        "danh-ba.ldif": LDIF,
        "cu.txt": "Phßng Néi vô\n",
        "quy-tac.toml": '[[rule]]\nkey = "macro"\naction = "reject"\nbasis = "Quy chế"\n',
        "bao-cao.xml": _report("1", now),
        "bao-cao-moi.xml": _report("2", now),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "mat-khau.txt").chmod(0o600)


def _report(number: str, now: int) -> str:
    return f"""<feedback><report_metadata><org_name>Khác</org_name><email>r@x.test</email>
        <report_id>{number}</report_id><date_range><begin>{now - 9000}</begin><end>{now}</end></date_range>
        </report_metadata><policy_published><domain>sonoivu.tinhmau.test</domain><p>none</p></policy_published>
        <record><row><source_ip>192.0.2.7</source_ip><count>5</count><policy_evaluated>
        <disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
        <identifiers><header_from>sonoivu.tinhmau.test</header_from></identifiers><auth_results/></record>
        </feedback>"""


def _mail(database: Database) -> dict[str, str]:
    """A message that waits, and one that the policy holds."""
    at = utc_now() - timedelta(hours=2)
    waiting = message("binh@example.vn", at=at)
    accept(database, waiting)
    held = message("chi@example.vn", sender=AN, held=True, at=at, body=body_of(LETTER.encode()))
    finding = Finding("encrypted-archive", Action.HOLD, "part 2", {"file": "x.zip"}, 1)
    verdict = Verdict(Action.HOLD, "encrypted-archive", (finding,), (), "default/1")
    envelope = replace(held.envelope, login=Address.parse(AN))
    accept(database, replace(held, verdict=verdict, envelope=envelope))
    with database.write() as session:
        ledger.record(
            session,
            SignIn(at=at, mailbox=AN, actor=AN, channel="imap", success=True, ip="192.0.2.9"),
        )
    return {"waiting": waiting.queue_id, "held": held.queue_id}


def _split(command: str) -> list[str]:
    import shlex

    return shlex.split(command)


def copied(world: World, to: Path) -> World:
    """The same world in a folder of its own."""
    shutil.copytree(world.folder, to)
    return World(to, world.names)


def contents(folder: Path) -> str:
    """Everything in the database, as text to compare."""
    import sqlite3

    connection = sqlite3.connect(folder / "data" / "mailgov.db")
    try:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        return json.dumps(
            {
                name: connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall()
                for (name,) in tables
            },
            default=repr,
        )
    finally:
        connection.close()
