"""A personnel list beside the directory: who is missing, has left, moved, changed name or number, or is there twice.

People are known by staff number. A number that the directory does not know may be an old acquaintance with
a new one: then name, telephone and agency speak, and how sure they are is said. Nothing is written here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from typing import Literal

from sqlmodel import Session, col, select

from mailgov.bulk.columns import Table
from mailgov.bulk.known import Directory
from mailgov.bulk.staff import Problem, StaffRow, read_row
from mailgov.db.models import Agency, Mailbox, Person
from mailgov.errors import Conflict, MailgovError
from mailgov.texts import without_marks

Kind = Literal[
    "missing", "changed", "renamed", "renumbered", "moved", "left", "duplicate", "doubtful", "wrong"
]
KINDS: tuple[Kind, ...] = (
    "missing",
    "changed",
    "renamed",
    "renumbered",
    "moved",
    "left",
    "duplicate",
    "doubtful",
    "wrong",
)
Decision = Literal["do", "skip", "look", "recall", "suspend"]

SURE, LIKELY = 90, 75  # percent: done unless somebody objects, shown for a decision
_SIMILAR = 0.85  # of two spellings of one name
_AT_ONCE = 1000
_FIELDS = ("full_name", "title", "group", "phone")


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody in the directory."""

    person_id: int
    staff_no: str
    full_name: str
    agency_code: str
    title: str
    group: str
    phone: str
    left_on: date | None
    mailbox_id: int | None
    address: str
    state: str  # of the mailbox


@dataclass(slots=True, kw_only=True)
class Finding:
    """One difference, and what is to be done unless somebody decides otherwise."""

    kind: Kind
    decision: Decision
    number: int = 0  # of the row in the list; 0: not on it
    staff_no: str = ""
    name: str = ""
    agency_code: str = ""  # by the list; of those who have left, by the directory
    address: str = ""
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # field: old, new
    confidence: int = 100  # percent that it is the same person
    error: MailgovError | None = None
    person_id: int | None = None
    mailbox_id: int | None = None
    row: StaffRow | None = None


def compare(
    session: Session, table: Table, today: date, *, branch: Collection[str] = (), most_left: float
) -> list[Finding]:
    """Every difference, in the order of the list, then who is not on it.

    The list is taken as complete for the agencies that it names, and for those of `branch`. When more
    than `most_left` percent of their people would go, nobody goes without a decision.
    """
    directory = Directory.of(session)
    rows = [(row, *read_row(row.number, table.values(row))) for row in table.rows]
    covered = {staff.agency_code for _, staff, _ in rows} | set(branch)
    known = _known(session, covered, [staff.staff_no for _, staff, _ in rows])
    listed = {staff.staff_no for _, staff, problems in rows if not problems}
    strangers = _Strangers(one for one in known.values() if one.staff_no not in listed)
    seen = _Seen()
    found: list[Finding] = []
    matched: set[str] = set()
    for row, staff, problems in rows:
        if staff.kind != "person":
            continue
        finding = _wrong(staff, problems, directory, today) or seen.again(staff)
        if finding is not None:
            found.append(finding)
            continue
        held = known.get(staff.staff_no)
        if held is None and (match := strangers.match(staff)) is not None:
            other, confidence = match
            matched.add(other.staff_no)
            found.append(_renumbered(row.number, staff, other, confidence))
            continue
        found += _missing(staff) if held is None else _differences(staff, held, today)
    found += _left(known.values(), covered, listed | matched, most_left)
    return found


def _wrong(
    staff: StaffRow, problems: Sequence[Problem], directory: Directory, today: date
) -> Finding | None:
    error = problems[0].error if problems else None
    if error is None:
        try:
            directory.agency(staff.agency_code, today)
        except MailgovError as unknown:
            error = unknown
    return _of_row("wrong", "look", staff, error=error) if error is not None else None


class _Seen:
    """Whom the list has named already."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._people: dict[tuple[str, str], int] = {}

    def again(self, staff: StaffRow) -> Finding | None:
        """The finding that this row repeats one above it."""
        first = self._numbers.setdefault(staff.staff_no, staff.number)
        if first == staff.number and staff.phone:
            first = self._people.setdefault((_plain(staff.full_name), staff.phone), staff.number)
        if first == staff.number:
            return None
        error = Conflict("cell-twice", value=staff.staff_no, row=first)
        return _of_row("duplicate", "look", staff, error=error)


class _Strangers:
    """People of the directory whom the list does not name by their number."""

    def __init__(self, people: Iterator[Known] | Sequence[Known]) -> None:
        self._by_name: dict[str, list[Known]] = {}
        self._by_phone: dict[str, list[Known]] = {}
        for one in people:
            self._by_name.setdefault(_plain(one.full_name), []).append(one)
            if one.phone:
                self._by_phone.setdefault(one.phone, []).append(one)

    def match(self, staff: StaffRow) -> tuple[Known, int] | None:
        """Who it may be, and how sure that is; nobody is taken twice."""
        name = _plain(staff.full_name)
        candidates = {
            one.person_id: one
            for one in (*self._by_name.get(name, ()), *self._by_phone.get(staff.phone, ()))
        }
        rated = sorted(
            ((_confidence(staff, name, one), one) for one in candidates.values()),
            key=lambda pair: (-pair[0], pair[1].person_id),
        )
        if not rated or rated[0][0] < LIKELY:
            return None
        if len(rated) > 1 and rated[1][0] == rated[0][0]:
            return None  # two are equally likely, so neither is
        confidence, one = rated[0]
        self._by_name[_plain(one.full_name)].remove(one)
        if one.phone:
            self._by_phone[one.phone].remove(one)
        return one, confidence


def _confidence(staff: StaffRow, name: str, one: Known) -> int:
    """Percent. Name and telephone together are sure, name and agency are likely."""
    other = _plain(one.full_name)
    same_phone = bool(staff.phone) and staff.phone == one.phone
    if name == other:
        if same_phone:
            return 98
        if staff.phone and one.phone:
            return 60  # two of one name, each with a telephone of their own
        return 80 if staff.agency_code == one.agency_code else 50
    similar = SequenceMatcher(None, name, other).ratio() >= _SIMILAR
    return 92 if same_phone and similar else 0


def _renumbered(number: int, staff: StaffRow, other: Known, confidence: int) -> Finding:
    finding = _of_row("renumbered", "do" if confidence >= SURE else "look", staff, other)
    finding.changes = {"staff_no": (other.staff_no, staff.staff_no), **_changes(staff, other)}
    finding.confidence, finding.number = confidence, number
    return finding


def _missing(staff: StaffRow) -> list[Finding]:
    return [_of_row("missing", "do", staff)]


def _differences(staff: StaffRow, held: Known, today: date) -> list[Finding]:
    if held.left_on is not None and held.left_on <= today:
        on = held.left_on.strftime("%d/%m/%Y")
        error = Conflict("cell-person-left", on=on)
        return [_of_row("doubtful", "look", staff, held, error=error)]
    found = []
    changes = _changes(staff, held)
    if "full_name" in changes:
        sure = _is_spelling(held.full_name, staff.full_name)
        finding = _of_row("renamed", "do" if sure else "look", staff, held)
        finding.changes, finding.confidence = changes, 95 if sure else 50
        found.append(finding)
    elif changes:
        finding = _of_row("changed", "do", staff, held)
        finding.changes = changes
        found.append(finding)
    if held.mailbox_id is None:
        return [*found, *_missing(staff)]
    if staff.agency_code != held.agency_code:
        finding = _of_row("moved", "do", staff, held)
        finding.changes = {"agency_code": (held.agency_code, staff.agency_code)}
        found.append(finding)
    return found


def _changes(staff: StaffRow, held: Known) -> dict[str, tuple[str, str]]:
    pairs = {name: (getattr(held, name), getattr(staff, name)) for name in _FIELDS}
    return {name: pair for name, pair in pairs.items() if pair[1] and pair[0] != pair[1]}


def _is_spelling(before: str, after: str) -> bool:
    """A corrected spelling, or a middle name that came or went."""
    old, new = _plain(before), _plain(after)
    ends = old.split()[:1] == new.split()[:1] and old.split()[-1:] == new.split()[-1:]
    return ends or SequenceMatcher(None, old, new).ratio() >= _SIMILAR


def _left(
    people: Collection[Known], covered: Collection[str], there: Collection[str], most: float
) -> list[Finding]:
    here = [one for one in people if one.agency_code in covered and one.state == "active"]
    gone = [one for one in here if one.staff_no not in there]
    too_many = len(gone) * 100 > len(here) * most
    return [
        Finding(
            kind="left",
            decision="look" if too_many else "recall",
            staff_no=one.staff_no,
            name=one.full_name,
            agency_code=one.agency_code,
            address=one.address,
            person_id=one.person_id,
            mailbox_id=one.mailbox_id,
        )
        for one in sorted(gone, key=lambda one: (one.agency_code, one.staff_no))
    ]


def _of_row(
    kind: Kind,
    decision: Decision,
    staff: StaffRow,
    held: Known | None = None,
    *,
    error: MailgovError | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        decision=decision,
        number=staff.number,
        staff_no=staff.staff_no,
        name=staff.full_name,
        agency_code=staff.agency_code,
        address=held.address if held else staff.address,
        error=error,
        person_id=held.person_id if held else None,
        mailbox_id=held.mailbox_id if held else None,
        row=staff,
    )


def _plain(name: str) -> str:
    return " ".join(without_marks(name).lower().split())


def _known(session: Session, codes: Collection[str], numbers: Sequence[str]) -> dict[str, Known]:
    """The people of these agencies, and those with these numbers wherever they are."""
    found: dict[str, Known] = {}
    conditions = [
        *(col(Agency.code).in_(part) for part in _portions(sorted(codes))),
        *(col(Person.staff_no).in_(part) for part in _portions(sorted(set(numbers)))),
    ]
    for condition in conditions:
        query = (
            select(Person, Agency.code, Mailbox)
            .join(Agency, col(Person.agency_id) == col(Agency.id))
            .join(
                Mailbox,
                (col(Mailbox.person_id) == col(Person.id))
                & (col(Mailbox.kind) == "person")
                & (col(Mailbox.state) != "recalled"),
                isouter=True,
            )
            .where(condition)
        )
        for person, code, joined in session.exec(query):
            box: Mailbox | None = joined  # an outer join
            found[person.staff_no] = Known(
                person.id or 0,
                person.staff_no,
                person.full_name,
                code,
                person.title,
                person.staff_group,
                person.phone,
                person.left_on,
                box.id if box is not None else None,
                box.address if box is not None else "",
                box.state if box is not None else "",
            )
        session.expunge_all()
    return found


def _portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
