"""What an import would do, row by row: the same judgement for the preview and for the writing.

Each row is compared with the directory as it is and as earlier rows will leave it. Nothing is
written here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from sqlmodel import Session

from mailgov.bulk.columns import Table
from mailgov.bulk.known import Directory, Held, HeldOffice, KnownAgency, KnownDomain
from mailgov.bulk.sheets import Row
from mailgov.bulk.staff import Problem, StaffRow, read_row
from mailgov.errors import Conflict, InputError, MailgovError
from mailgov.texts import without_marks

Verb = Literal["add", "edit", "same", "look", "reject"]
VERBS: tuple[Verb, ...] = ("add", "edit", "same", "look", "reject")
ROWS_AT_ONCE = 500


@dataclass(slots=True, kw_only=True)
class Planned:
    """What becomes of one row. `look` and `reject` rows are not written."""

    number: int
    verb: Verb
    key: str = ""  # staff number, or address of an office
    name: str = ""
    address: str = ""
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)  # field: old, new
    problems: tuple[Problem, ...] = ()
    first_choice_of: str = ""  # who has the address that the scheme gives first
    row: StaffRow | None = None
    agency: KnownAgency | None = None
    domain: KnownDomain | None = None
    held: Held | None = None
    office: HeldOffice | None = None
    person_id: int | None = None  # known, or given when it is written
    mailbox_id: int | None = None


class Planner:
    """Compares rows with the directory. One for each run over a file."""

    def __init__(
        self, session: Session, table: Table, today: date, doubtful: frozenset[tuple[int, int]]
    ) -> None:
        self.known = Directory.of(session)
        self._table = table
        self._today = today
        self._doubtful = doubtful
        self._seen: dict[str, int] = {}  # staff number or address: row that names it

    def plan(self, session: Session, rows: Sequence[Row]) -> list[Planned]:
        """The rows in order. Two statements a thousand rows, and one for each new domain."""
        read = [(row, *read_row(row.number, self._table.values(row))) for row in rows]
        self.known.load(
            session,
            (staff.staff_no for _, staff, _ in read if staff.staff_no),
            (staff.address for _, staff, _ in read if staff.address),
        )
        return [self._row(session, row, staff, problems) for row, staff, problems in read]

    def forget(self, rows: Sequence[Row]) -> None:
        """What these rows were compared with has changed: it is read anew when they are planned."""
        numbers = {row.number for row in rows}
        for key in [key for key, number in self._seen.items() if number in numbers]:
            del self._seen[key]
        self.known.people.clear()
        self.known.offices.clear()
        self.known.taken.clear()

    def _row(self, session: Session, row: Row, staff: StaffRow, problems: list[Problem]) -> Planned:
        doubts = list(self._doubts(row))
        doubtful = {problem.field for problem in doubts}
        problems = [*doubts, *(p for p in problems if p.field not in doubtful)]
        key = staff.staff_no if staff.kind == "person" else staff.address
        planned = Planned(
            number=row.number, verb="reject", key=key, name=staff.full_name, row=staff
        )
        self._once(key, row.number, problems)
        try:
            planned.agency = self.known.agency(staff.agency_code, self._today)
        except MailgovError as error:
            if staff.agency_code:
                problems.append(Problem("agency_code", error))
        if staff.effective_on and staff.effective_on > self._today:
            problems.append(
                Problem(
                    "effective_on",
                    InputError("cell-later", on=staff.effective_on.strftime("%d/%m/%Y")),
                )
            )
        if problems or planned.agency is None:
            planned.problems = tuple(problems)
            return planned
        try:
            if staff.kind == "person":
                self._person(session, planned, staff, planned.agency)
            else:
                self._office(session, planned, staff, planned.agency)
        except _Doubt as doubt:
            planned.verb, planned.problems = "look", (doubt.problem,)
        except _Wrong as wrong:
            planned.problems = (wrong.problem,)
        return planned

    def _doubts(self, row: Row) -> Iterator[Problem]:
        """Cells that may be in a private encoding, too short to be sure."""
        for name, place in self._table.places.items():
            if (row.number, place) in self._doubtful:
                yield Problem(name, InputError("cell-legacy", value=row.cells[place][:60]))

    def _once(self, key: str, number: int, problems: list[Problem]) -> None:
        if not key:
            return
        first = self._seen.setdefault(key, number)
        if first != number:
            column = "address" if "@" in key else "staff_no"
            problems.append(Problem(column, Conflict("cell-twice", value=key, row=first)))

    # People ------------------------------------------------------------------------------------

    def _person(
        self, session: Session, planned: Planned, staff: StaffRow, agency: KnownAgency
    ) -> None:
        held = planned.held = self.known.people.get(staff.staff_no)
        if staff.staff_no in self.known.elsewhere:
            raise _Wrong("staff_no", Conflict("taken-outside"))
        if held is None:
            changes = _new(
                staff_no=staff.staff_no,
                full_name=staff.full_name,
                agency_code=agency.code,
                title=staff.title,
                group=staff.group,
                phone=staff.phone,
                effective_on=staff.effective_on,
            )
        else:
            planned.person_id, planned.mailbox_id = held.person_id, held.mailbox_id
            self._require_same_person(held, staff)
            changes = self._edited(held, staff, agency)
        if held is not None and held.mailbox_id is not None:
            if staff.address and staff.address != held.address:
                raise _Doubt("address", "cell-other-address", held=held.address)
            planned.address = held.address
            if staff.quota_mb and staff.quota_mb != held.quota_mb:
                changes["quota_mb"] = (str(held.quota_mb), str(staff.quota_mb))
            planned.verb = "edit" if changes else "same"
        else:
            self._give_address(session, planned, staff, agency)
            changes["address"] = ("", planned.address)
            changes["quota_mb"] = ("", str(staff.quota_mb or self.known.quota_of(agency, "person")))
            planned.verb = "add"
        planned.changes = changes

    def _require_same_person(self, held: Held, staff: StaffRow) -> None:
        if held.left_on is not None and held.left_on <= self._today:
            raise _Doubt("staff_no", "cell-person-left", on=held.left_on.strftime("%d/%m/%Y"))
        before, after = _words(held.full_name), _words(staff.full_name)
        # A corrected spelling or a changed middle name keeps a name at one end at least.
        if before != after and before[-1:] != after[-1:] and before[:1] != after[:1]:
            raise _Doubt("full_name", "cell-other-person", held=held.full_name)

    def _edited(
        self, held: Held, staff: StaffRow, agency: KnownAgency
    ) -> dict[str, tuple[str, str]]:
        pairs = {
            "full_name": (held.full_name, staff.full_name),
            "agency_code": (self.known.code_of(held.agency_id), agency.code),
            "title": (held.title, staff.title),
            "group": (held.group, staff.group),
            "phone": (held.phone, staff.phone),
        }
        changes = {name: pair for name, pair in pairs.items() if pair[1] and pair[0] != pair[1]}
        if staff.effective_on and held.joined_on is None:
            changes["effective_on"] = ("", staff.effective_on.isoformat())
        return changes

    def _give_address(
        self, session: Session, planned: Planned, staff: StaffRow, agency: KnownAgency
    ) -> None:
        if staff.address:
            self._take(session, planned, staff, agency)
            return
        try:
            planned.address, planned.domain, planned.first_choice_of = self.known.new_address(
                session, staff.full_name, agency
            )
        except MailgovError as error:
            column = "full_name" if error.code == "cell-name-without-address" else "agency_code"
            raise _Wrong(column, error) from None
        self._hold(session, planned)

    def _take(
        self, session: Session, planned: Planned, staff: StaffRow, agency: KnownAgency
    ) -> None:
        """The address that the row asks for."""
        try:
            planned.domain = self.known.require_domain(staff.address, agency)
        except MailgovError as error:
            raise _Wrong("address", error) from None
        taken = self.known.addresses_in(session, planned.domain)
        if staff.address in taken:
            suggestion = "-"
            if staff.kind == "person":
                suggestion, _, _ = self.known.new_address(session, staff.full_name, agency)
            conflict = Conflict(
                "cell-address-taken",
                address=staff.address,
                holder=taken[staff.address],
                suggestion=suggestion,
            )
            raise _Wrong("address", conflict)
        planned.address = staff.address
        self._hold(session, planned)

    def _hold(self, session: Session, planned: Planned) -> None:
        assert planned.domain is not None
        self.known.addresses_in(session, planned.domain)[planned.address] = planned.name

    # Offices, posts and shared mailboxes -------------------------------------------------------

    def _office(
        self, session: Session, planned: Planned, staff: StaffRow, agency: KnownAgency
    ) -> None:
        office = planned.office = self.known.offices.get(staff.address)
        if office is None:
            self._take(session, planned, staff, agency)
            planned.changes = _new(
                address=staff.address,
                kind=staff.kind,
                full_name=staff.full_name,
                agency_code=agency.code,
                quota_mb=staff.quota_mb or self.known.quota_of(agency, staff.kind),
            )
            planned.verb = "add"
            return
        planned.address, planned.mailbox_id = office.address, office.mailbox_id
        if office.kind != staff.kind:
            raise _Wrong("kind", Conflict("cell-other-kind", kind=office.kind))
        pairs = {
            "full_name": (office.display_name, staff.full_name),
            "agency_code": (self.known.code_of(office.agency_id), agency.code),
            "quota_mb": (str(office.quota_mb), str(staff.quota_mb or "")),
        }
        planned.changes = {n: pair for n, pair in pairs.items() if pair[1] and pair[0] != pair[1]}
        planned.verb = "edit" if planned.changes else "same"


class _Wrong(Exception):
    def __init__(self, column: str, error: MailgovError) -> None:
        super().__init__(column)
        self.problem = Problem(column, error)


class _Doubt(Exception):
    """It may be right, but a person must say so."""

    def __init__(self, column: str, code: str, **fields: str) -> None:
        super().__init__(column)
        self.problem = Problem(column, Conflict(code, **fields))


def _new(**values: object) -> dict[str, tuple[str, str]]:
    return {name: ("", str(value)) for name, value in values.items() if value}


def _words(name: str) -> list[str]:
    return without_marks(name).lower().split()


def in_portions(rows: Sequence[Row], size: int = ROWS_AT_ONCE) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def counts(planned: Iterable[Planned]) -> dict[str, int]:
    """Rows by what becomes of them."""
    result: dict[str, int] = dict.fromkeys(VERBS, 0)
    for row in planned:
        result[row.verb] += 1
    return result
