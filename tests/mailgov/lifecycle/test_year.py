"""A year of a province, replayed day by day: 50 transfers, 40 leavers, 3 mergers, and what else happens.

On every day addresses, access and quotas of the platform are held against a simple model that knows
nothing of it (year.py); forwards and figures whenever something was done, and on every fifth day.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from mailgov.clock import VIETNAM
from mailgov.config import Config, Lifecycle
from mailgov.db import Database
from mailgov.db.models import Agency, Credential, Domain, EventRow, Instance, Mailbox, Person
from mailgov.db.models.instance import PSEUDONYM_KEY
from mailgov.directory import forwards, queries
from mailgov.directory.provisioning import Act, add_agency, add_domain
from mailgov.directory.reorganisation import merger
from mailgov.lifecycle import agencies, planning, rounds
from mailgov.lifecycle.editing import edit_mailbox
from mailgov.lifecycle.ending import RECALL, Recall
from mailgov.lifecycle.performers import PERFORMERS
from mailgov.lifecycle.suspension import suspend
from mailgov.lifecycle.terms import terms
from mailgov.lifecycle.transfers import TRANSFER, Transfer
from mailgov.mailstore.users import all_users
from mailgov.reports import coverage
from mailgov.reports.engine import Question
from mailgov.reports.period import Period
from mailgov.reports.tree import Tree

from ...support.directory import SUFFIXES
from .year import DAY, Box, Model

FIRST, LAST = date(2027, 1, 1), date(2027, 12, 31)
ACTOR = "cli:test"
PER_DEPARTMENT, PER_COMMUNE = 10, 8
DEPARTMENTS = [f"H99.0{n}" for n in range(1, 7)]
COMMUNES = [f"H99.5{n}" for n in range(1, 7)]
MERGERS = [  # how addresses are changed, of whom, into what, when planned, when done
    ("alias", ["H99.51", "H99.52"], "H99.61", date(2027, 2, 10), date(2027, 3, 1)),
    ("keep", ["H99.53", "H99.54"], "H99.62", date(2027, 5, 3), date(2027, 7, 1)),
    ("rename", ["H99.55", "H99.56"], "H99.63", date(2027, 9, 20), date(2027, 10, 1)),
]
ENDS = {code: on for _, sources, _, _, on in MERGERS for code in sources}
IDLE = ("vc003", "vc020", "vc090")  # nobody signs in there


def moment(day: date, hour: int) -> datetime:
    """That hour in Vietnam."""
    return datetime.combine(day, time(hour, 10), VIETNAM)


def domain_of(code: str) -> str:
    """The domain that people of an agency are called in."""
    kind = "xa" if code[4] in "56" else "so"
    return f"{kind}{code[4:6]}.tinh.test"


def config(folder: Path) -> Config:
    """Passwords do not age in this year, accounts that nobody uses are locked."""
    data = {"path": folder}
    lifecycle = Lifecycle(password_months=99, admin_password_months=99, quota_warnings=[])
    return Config(data=data, lifecycle=lifecycle)


@dataclass(frozen=True)
class Doing:
    """Something that is entered on a day, by hand."""

    day: date
    number: int
    what: str
    who: str = ""
    on: date = FIRST
    about: Any = None


class Year:
    """The platform and its model, side by side."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.config, self.model = database, config(folder), Model()
        self.left: dict[str, date] = {}
        self.due: list[tuple[date, int, Any]] = []  # what the model does in the morning
        self.ids: dict[str, int] = {}
        self.chance = random.Random(652)
        self._fill()

    # The beginning ------------------------------------------------------------------------------

    def _fill(self) -> None:
        act = Act(ACTOR, moment(FIRST - DAY, 8))
        with self.database.write() as session:
            session.add(Instance(key=PSEUDONYM_KEY, value="00" * 32))
            add_agency(session, act, code="H99", name="Tỉnh Mẫu", level="province")
            homes = [(code, "department", PER_DEPARTMENT) for code in DEPARTMENTS]
            homes += [(code, "commune", PER_COMMUNE) for code in COMMUNES]
            homes += [(into, "commune", 0) for _, _, into, _, _ in MERGERS]
            staff = 0
            for code, level, count in homes:
                add_agency(session, act, code=code, name=f"Đơn vị {code}", level=level)
                add_domain(
                    session, act, name=domain_of(code), agency=code, official_suffixes=SUFFIXES
                )
                if level == "department":
                    add_agency(
                        session, act, code=f"{code}.01", name="Phòng", level="department-unit"
                    )
                for number in range(count):
                    staff += 1
                    unit = f"{code}.01" if level == "department" and number > 7 else code
                    self._add_person(session, f"vc{staff:03}", unit, domain_of(code), act)
            session.flush()
            rows = session.exec(select(Mailbox.address, Mailbox.id)).all()
            self.ids = {address.partition("@")[0]: number or 0 for address, number in rows}

    def _add_person(self, session: Session, name: str, code: str, domain: str, act: Act) -> None:
        agency = session.exec(select(Agency).where(Agency.code == code)).one()
        owner = session.exec(select(Domain).where(Domain.name == domain)).one()
        leads = name.endswith("1")
        person = Person(
            staff_no=name.upper(),
            full_name="Nguyễn Văn An",
            agency_id=agency.id or 0,
            title="Giám đốc" if leads else "Chuyên viên",
            staff_group="lanh-dao" if leads else "cong-chuc",
            created_at=act.at,
        )
        session.add(person)
        session.flush()
        box = Mailbox(
            address=f"{name}@{domain}",
            person_id=person.id,
            agency_id=agency.id or 0,
            domain_id=owner.id or 0,
            created_at=act.at,
        )
        session.add(box)
        session.flush()
        session.add(Credential(mailbox_id=box.id or 0, hash="x", created_at=act.at))
        self.model.boxes[name] = Box(name, code, box.address, staff=name)

    # The script ---------------------------------------------------------------------------------

    def script(self) -> list[Doing]:
        """Everything that is entered in the year, by day."""
        people = [name for name in sorted(self.model.boxes) if name not in IDLE]
        self.chance.shuffle(people)
        going, leaving = people[:50], people[40:80]  # ten go first and leave later
        away, staying = people[80:90] + going[:3], people[90:]
        doings: list[Doing] = []

        def add(day: date, what: str, who: str = "", on: date = FIRST, about: Any = None) -> None:
            doings.append(Doing(day, len(doings), what, who, on, about))

        for n, name in enumerate(going):
            on = FIRST + (10 + n * 3) * DAY
            add(on - (n % 4) * 2 * DAY, "transfer", name, on, n)
        for n, name in enumerate(leaving):
            on = FIRST + (180 + n * 4) * DAY
            successor = staying[n % len(staying)] if n % 2 else ""
            add(on - (n % 3) * 5 * DAY, "leave", name, on, successor)
        for n, name in enumerate(away):
            day = FIRST + (5 + n * 8) * DAY
            add(day, "suspend", name, day + (10 + 7 * n) * DAY)
        for n, name in enumerate(staying[:10]):
            add(FIRST + (30 + n * 30) * DAY, "quota", name, about=6000 + n)
        for how, sources, into, planned, on in MERGERS:
            add(planned, "merge", on=on, about=(how, sources, into))
        return sorted(doings, key=lambda one: (one.day, one.number))

    def enter(self, session: Session, one: Doing) -> None:
        """What somebody types on that day."""
        act = Act(ACTOR, moment(one.day, 9), "theo quyết định")
        getattr(self, f"_{one.what}")(session, act, one)

    def _plan(
        self, session: Session, act: Act, one: Doing, kind: str, arguments: dict[str, Any], do: Any
    ) -> None:
        box = self.model.boxes[one.who]
        planned = planning.plan(
            session,
            kind=kind,
            subject=box.address,
            on=one.on,
            arguments={**arguments, planning.MAILBOX: self.ids[one.who]},
            actor=act.actor,
            reason=act.reason,
            at=act.at,
        )
        self._at(session, act, planned, one.on, do)

    def _at(self, session: Session, act: Act, planned: Any, on: date, do: Any) -> None:
        if on <= act.at.date():
            planning.perform(session, planned, PERFORMERS, act.at)
            do()
        else:
            self.due.append((on, planned.id, do))

    def _transfer(self, session: Session, act: Act, one: Doing) -> None:
        n, box = one.about, self.model.boxes[one.who]
        to = self._new_place(n, box, one.on)
        domain = domain_of(to)
        address = "" if box.address.endswith(f"@{domain}") else f"{one.who}@{domain}"
        days, mail = (0, 30, 90, 180)[n % 4], "stay" if address and n % 5 == 0 else "move"
        days = days or (7 if mail == "stay" else 0)
        kept = one.on + 500 * DAY
        how = Transfer(to=to, new_address=address, alias_days=days, mail=mail, kept_until=kept)  # type: ignore[arg-type]

        def do() -> None:
            self.model.transfer(one.who, to, address, days, mail, one.on)

        self._plan(session, act, one, TRANSFER, how.as_arguments(), do)

    def _new_place(self, n: int, box: Box, on: date) -> str:
        places = [*DEPARTMENTS, *(f"{code}.01" for code in DEPARTMENTS), *COMMUNES]
        places = [code for code in places if ENDS.get(code, LAST) > on and code != box.agency]
        if n % 6 == 0 and box.agency[:6] in DEPARTMENTS:  # within the house: the address stays
            places = [code for code in places if code[:6] == box.agency[:6]]
        return self.chance.choice(places)

    def _leave(self, session: Session, act: Act, one: Doing) -> None:
        box = session.get_one(Mailbox, self.ids[one.who])
        days = terms(session, box, one.on, self.config.lifecycle)
        months = 12 if one.who.endswith("1") else 6  # leaders, and everybody else
        month = one.on.month - 1 + months
        readable = _day(one.on.year + month // 12, month % 12 + 1, one.on.day)
        contact = self.model.boxes[one.about].address if one.about else ""
        how = Recall(
            readable_until=days.readable_until,
            kept_until=days.kept_until,
            contact=contact,
            forward=bool(one.about),
        )

        def do() -> None:
            self.model.leave(one.who, readable, one.about, forward=bool(one.about))
            self.left[one.who] = one.on

        self._plan(session, act, one, RECALL, how.as_arguments(), do)

    def _suspend(self, session: Session, act: Act, one: Doing) -> None:
        box = self.model.boxes[one.who]
        suspend(session, act, box.address, one.on)
        box.state, box.suspended_until = "suspended", one.on

    def _quota(self, session: Session, act: Act, one: Doing) -> None:
        box = self.model.boxes[one.who]
        edit_mailbox(session, act, box.address, quota_mb=one.about)
        box.quota_mb = one.about

    def _merge(self, session: Session, act: Act, one: Doing) -> None:
        how, sources, into = one.about
        last = one.on + 89 * DAY
        asked = merger(
            tuple(sources),
            into,
            one.on,
            addresses=how,
            alias_until=last if how == "alias" else None,
        )
        planned = agencies.plan_merger(session, act, asked)

        def do() -> None:
            self.model.merge(sources, into, domain_of(into), how, last, one.on)

        self._at(session, act, planned, one.on, do)

    # The days -----------------------------------------------------------------------------------

    def morning(self, today: date) -> bool:
        """The scheduler at ten past midnight; whether the model thinks that acts fell due."""
        rounds.tend(self.database, self.config, moment(today, 0))
        self.model.morning(today)
        mine = sorted(entry[:2] for entry in self.due if entry[0] <= today)
        for key in mine:
            next(do for on, number, do in self.due if (on, number) == key)()
        self.due = [entry for entry in self.due if entry[0] > today]
        for name in IDLE:  # last used on the day before the year began
            self.model.boxes[name].locked = (today - FIRST).days >= 45
        return bool(mine)

    def use(self, today: date) -> None:
        """Everybody but three signs in now and then."""
        idle = [self.ids[name] for name in IDLE]
        with self.database.write() as session:
            session.connection().execute(
                update(Credential)
                .where(col(Credential.mailbox_id).not_in(idle))
                .values(last_used_at=moment(today, 8))
            )

    def check(self, session: Session, today: date, known: set[str], *, busy: bool) -> None:
        """Addresses, access, quotas; forwards and figures on the `busy` days."""
        doors = self.model.doors(today)
        known.update(doors)
        found = queries.mailboxes(session, known, today)
        at_the_door = {
            asked: (box.address, box.state, box.contact, box.quota_mb)
            for asked, box in found.items()
        }
        assert at_the_door == doors
        # The webmail opens what is suspended too, to be read.
        assert {
            user.address
            for user in all_users(session, today)
            if user.is_open and not user.read_only
        } == self.model.open()
        for address in self._some(today):
            login = queries.login(session, address, today)
            gets_in = login is not None and login.state == "active" and login.stored is not None
            assert gets_in == (address in self.model.open()), address
        if not busy:
            return
        closed = {box.mailbox_id for box in found.values() if box.state != "active"}
        spread = forwards.spread(session, closed, today)
        names = {box.mailbox_id: box.address for box in found.values()}
        steps = {(names[step.origin], step.address) for step in spread.steps}
        assert steps == self.model.passing(today)
        assert self._figures(session, today) == self.model.figures(self.left, today)

    def _some(self, today: date) -> list[str]:
        """A part of all addresses, another one each day."""
        addresses = sorted(box.address for box in self.model.boxes.values())
        return addresses[today.toordinal() % 24 :: 24]

    def _figures(self, session: Session, today: date) -> dict[str, tuple[int, int]]:
        period = Period(today.isoformat(), today, today)
        question = Question(period, Tree.read(session), today)
        found: dict[str, tuple[int, int]] = {}
        for row in coverage.REPORT.rows(session, question):
            if "declared" not in row.columns:
                people, provided = found.get(row.agency, (0, 0))
                found[row.agency] = (people + 1, provided + ("provided" in row.columns))
        return found


def _day(year: int, month: int, day: int) -> date:
    """That day, or the last one of the month."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(date(year, month, 1) + timedelta(days=day - 1), following - DAY)


@pytest.fixture
def year(database: Database, tmp_path: Path) -> Year:
    """The province on New Year's Eve."""
    return Year(database, tmp_path)


def test_every_day_of_a_year_is_as_the_model_says(year: Year) -> None:
    script = year.script()
    counts = [sum(one.what == what for one in script) for what in ("transfer", "leave", "merge")]
    assert counts == [50, 40, 3]
    known: set[str] = set()
    for number in range((LAST - FIRST).days + 1):
        today = FIRST + number * DAY
        busy = year.morning(today)
        if number % 20 == 0:
            year.use(today)
        if entered := [one for one in script if one.day == today]:
            with year.database.write() as session:
                for one in entered:
                    year.enter(session, one)
        with year.database.read() as session:
            # Forwards end and figures move by themselves too: they are looked at on other days as well.
            year.check(session, today, known, busy=busy or bool(entered) or number % 5 == 0)
    assert not year.due
    with year.database.read() as session:
        assert planning.failed(session) == []
        kinds = session.exec(select(EventRow.data).where(EventRow.kind == "act.planned")).all()
    done = [data["what"] for data in kinds if data["step"] == "done"]
    assert {kind: done.count(kind) for kind in (TRANSFER, RECALL, agencies.MERGE)} == {
        TRANSFER: 50,
        RECALL: 40,
        agencies.MERGE: 3,
    }
