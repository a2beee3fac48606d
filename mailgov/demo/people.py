"""The sample province and ministry: agencies, domains, keys, people, and some weeks of use.

Agencies, headcounts, mailboxes and users are those of the sample file of the directory; names of
people are drawn from lists, always the same.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.clock import VIETNAM, local_date
from mailgov.db.models import Agency, Credential, Domain, Mailbox, Person
from mailgov.directory.naming import free_forms, local_part
from mailgov.directory.provisioning import (
    Act,
    NewMailbox,
    add_mailbox,
    grant_role,
    grant_send_as,
    set_password,
)
from mailgov.directory.sample import SampleAgency, load_sample, sample_agencies
from mailgov.ledger.events import MessageOpened
from mailgov.reports.period import Period
from mailgov.signing.keys import create_key

FOUNDED_BEFORE = timedelta(days=90)  # so that last month's figures have whole months behind them
SELECTOR = "mau"

_FAMILIES = [
    "Nguyễn",
    "Trần",
    "Lê",
    "Phạm",
    "Hoàng",
    "Huỳnh",
    "Phan",
    "Vũ",
    "Võ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
    "Dương",
    "Lý",
]
_MIDDLES = [
    "Văn",
    "Thị",
    "Minh",
    "Thu",
    "Quốc",
    "Ngọc",
    "Thanh",
    "Hữu",
    "Đức",
    "Thúy",
    "Xuân",
    "Hồng",
    "Anh",
    "Gia",
    "Bảo",
]
_GIVEN = [
    "An",
    "Bình",
    "Chi",
    "Cường",
    "Dung",
    "Dũng",
    "Đạt",
    "Giang",
    "Hà",
    "Hải",
    "Hạnh",
    "Hiền",
    "Hiếu",
    "Hòa",
    "Hùng",
    "Hương",
    "Khánh",
    "Lan",
    "Linh",
    "Long",
    "Mai",
    "Mạnh",
    "Nam",
    "Nga",
    "Nhung",
    "Phong",
    "Phúc",
    "Phương",
    "Quân",
    "Quỳnh",
    "Sơn",
    "Tâm",
    "Thảo",
    "Thắng",
    "Tiến",
    "Trang",
    "Trung",
    "Tú",
    "Tuấn",
    "Vân",
    "Yến",
]


@dataclass(frozen=True, slots=True)
class Cast:
    """Somebody with a login: what they show, who they are, where they work."""

    role: str  # official, it, auditor
    name: str
    agency: str
    title: str


CAST = (
    Cast("official", "Nguyễn Văn An", "H99.02", "Chuyên viên"),
    Cast("official", "Trần Thị Bình", "H99.04", "Phó Trưởng phòng"),
    Cast("it", "Lê Quốc Cường", "H99.08", "Quản trị hệ thống"),
    Cast("auditor", "Phạm Thu Dung", "H99.13", "Thanh tra viên"),
)


def settle(
    session: Session, keys: Path, now: datetime, passwords: dict[str, str], suffixes: Sequence[str]
) -> list[dict[str, str]]:
    """Fill an empty database; returns the logins: role, address, name, password.

    `passwords` are by the name of the cast.
    """
    founded = now - FOUNDED_BEFORE
    act = Act(actor="demo", at=founded)
    load_sample(session, act, official_suffixes=suffixes)
    for domain in session.exec(select(Domain.name)).all():
        create_key(session, keys, domain, SELECTOR, actor="demo", clock=lambda: founded)
    taken: set[str] = set()
    chance = random.Random(99)  # noqa: S311 - names of invented people
    logins: list[dict[str, str]] = []
    for unit in sample_agencies():
        boxes = list(_people(session, act, unit, chance, taken, logins))
        _use(session, boxes[: unit.used_last_month], unit, now, chance)
    _passwords(session, now, logins, passwords)
    _rights(session, act, logins)
    return logins


def _passwords(
    session: Session, now: datetime, logins: list[dict[str, str]], passwords: dict[str, str]
) -> None:
    """New ones, as after a change yesterday: neither due to be changed nor long unused."""
    yesterday = Act(actor="demo", at=now - timedelta(days=1))
    for login in logins:
        set_password(session, yesterday, login["address"], passwords[login["name"]])
    session.connection().execute(update(Credential).values(last_used_at=yesterday.at))


def _people(
    session: Session,
    act: Act,
    unit: SampleAgency,
    chance: random.Random,
    taken: set[str],
    logins: list[dict[str, str]],
) -> Iterator[str]:
    """Everybody of a unit; yields the addresses of those who have a mailbox."""
    agency = session.exec(select(Agency).where(Agency.code == unit.code)).one()
    assert agency.id is not None
    cast = [one for one in CAST if one.agency == unit.code]
    for number in range(unit.headcount):
        part = cast[number] if number < len(cast) else None
        name = part.name if part else _name(chance)
        staff_no = f"{unit.code}-{number + 1:04}"
        if number >= unit.mailboxes_provided:
            session.add(
                Person(staff_no=staff_no, full_name=name, agency_id=agency.id, created_at=act.at)
            )
            continue
        address = _address(name, unit.domain, taken)
        add_mailbox(
            session, act,
            NewMailbox(
                address=address, agency=unit.code, name=name, staff_no=staff_no,
                title=part.title if part else "Chuyên viên",
            ),
        )  # fmt: skip
        if part:
            logins.append({"role": part.role, "address": address, "name": name})
        yield address


def _name(chance: random.Random) -> str:
    return f"{chance.choice(_FAMILIES)} {chance.choice(_MIDDLES)} {chance.choice(_GIVEN)}"


def _address(name: str, domain: str, taken: set[str]) -> str:
    local = local_part(name)
    forms = (f"{form}@{domain}" for form in (local, *free_forms(local)))
    address = next(form for form in forms if form not in taken)
    taken.add(address)
    return address


def _use(
    session: Session, boxes: list[str], unit: SampleAgency, now: datetime, chance: random.Random
) -> None:
    """Since last month: those who use their mailbox open mail on most working days or on a few."""
    today = local_date(now)
    month = Period.month_of(today)
    days = sorted(
        day for part in (month.previous, month) for day in part.working_days if day < today
    )
    session.connection().execute(
        update(Mailbox)
        .where(col(Mailbox.address).in_(boxes))
        .values(activated_at=month.previous.start)
    )
    for box in boxes:
        regular = chance.random() < 0.85
        share = chance.uniform(0.6, 1.0) if regular else chance.uniform(0.1, 0.4)
        moments = (
            datetime.combine(day, time(8, chance.randrange(60)), VIETNAM).astimezone(UTC)
            for day in days
            if chance.random() < share
        )
        opened = (
            MessageOpened(at=at, mailbox=box, agency_code=unit.code, actor=box) for at in moments
        )
        ledger.record(session, *opened)


def _rights(session: Session, act: Act, logins: list[dict[str, str]]) -> None:
    """The IT clerk and the auditor see the province; the first official keeps the office's mail."""
    for login in logins:
        if login["role"] != "official":
            grant_role(session, act, mailbox=login["address"], role=login["role"], agency="H99")
    keeper = next(login for login in logins if login["role"] == "official")
    grant_send_as(
        session,
        act,
        mailbox=f"vanthu@{keeper['address'].partition('@')[2]}",
        holder=keeper["address"],
    )
