"""Users of another system, from its own export, as rows of a staff list that can be imported.

Read are LDIF (RFC 2849), as slapcat, ldapsearch, Active Directory and Zimbra's LDAP write it, and what
`zmprov -l gaa -v` of Zimbra prints. Neither knows what a staff list needs to know; what is missing
stays empty, for clerks to fill in.
"""

import base64
import binascii
import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mailgov.addresses import Address
from mailgov.bulk.columns import simple
from mailgov.bulk.staff import FIELDS
from mailgov.errors import InputError

Format = Literal["ldif", "zimbra"]

MOST_BYTES = 512 << 20
MOST_VALUES = 200  # of one attribute that are kept
_ATTRIBUTE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.-]*)(?:;[A-Za-z0-9.;-]*)?:(?P<mark>[:<]?) *")
_ZIMBRA_START = "# name "
_MEGABYTE = 1 << 20
# What fills a column: the first attribute that is there. Names in lower case.
_FROM: Mapping[str, tuple[str, ...]] = {
    "staff_no": ("employeenumber", "employeeid"),
    "full_name": ("displayname", "cn", "name"),
    "title": ("title",),
    "address": ("zimbramaildeliveryaddress", "mail", "userprincipalname"),
    "phone": ("mobile", "telephonenumber"),
}
_UNIT = ("departmentnumber", "physicaldeliveryofficename", "department", "ou", "company", "o")
_SYSTEM = re.compile(
    r"(?:spam|ham|virus-quarantine|galsync|zimbra)[.-]?[a-z0-9._-]*@.*", re.IGNORECASE
)
_CLOSED = frozenset({"closed", "locked", "lockout", "maintenance"})
_DISABLED = 2  # of userAccountControl (MS-ADTS, 2.2.16)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of an export: attributes in lower case with their values."""

    line: int
    values: Mapping[str, tuple[str, ...]]

    def first(self, *names: str) -> str:
        """The first value of the first attribute that has one."""
        return next((self.values[name][0] for name in names if self.values.get(name)), "")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that becomes no row: `no-address`, `address-not-valid`, `twice`, `system`, `closed`, `no-name`."""

    line: int
    name: str
    address: str
    why: str


@dataclass
class Converted:
    """Rows as `bulk.workbooks.write_export` takes them, and what was left out."""

    rows: list[dict[str, object]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    without_staff_no: int = 0
    without_agency: int = 0


def read_text(file: Path) -> str:
    """The export. Raises InputError `file-unreadable` or `file-too-large`."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError("file-too-large", file=file, limit_mb=MOST_BYTES // _MEGABYTE)
        return file.read_text("utf-8-sig")
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    except UnicodeDecodeError as exc:
        raise InputError("file-unreadable", file=file, reason="UTF-8") from exc


def format_of(text: str, file: Path) -> Format:
    """Which of the formats it is. Raises InputError `list-format-unknown`."""
    for line in text.splitlines():
        if line.startswith(_ZIMBRA_START):
            return "zimbra"
        if line.lower().startswith("dn:"):
            return "ldif"
    raise InputError("list-format-unknown", file=file)


def entries(text: str, of: Format) -> Iterator[Entry]:
    """The records of an export."""
    yield from (_ldif(text) if of == "ldif" else _zimbra(text))


def _ldif(text: str) -> Iterator[Entry]:
    values: dict[str, list[str]] = {}
    start = 0
    for number, line in _unfolded(text):
        if not line:
            if "dn" in values:
                yield _entry(start, values)
            values = {}
        elif not line.startswith("#") and (found := _ATTRIBUTE.match(line)):
            start = start if values else number
            _keep(values, found["name"], _value(found["mark"], line[found.end() :]))
    if "dn" in values:
        yield _entry(start, values)


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that go on with a blank joined to them; an empty one at the end."""
    number, parts = 0, [""]
    for count, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith(" ") and parts[0]:
            parts.append(line[1:])
            continue
        if number:
            yield number, "".join(parts)
        number, parts = count, [line]
    yield number, "".join(parts)


def _value(mark: str, text: str) -> str:
    if mark == ":":
        try:
            return base64.b64decode(text.strip(), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return ""
    return "" if mark == "<" else text.strip()  # files elsewhere are not read


def _zimbra(text: str) -> Iterator[Entry]:
    values: dict[str, list[str]] = {}
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_ZIMBRA_START):
            if values:
                yield _entry(start, values)
            start, values = number, {"name-of-account": [line.removeprefix(_ZIMBRA_START).strip()]}
        elif values and (found := _ATTRIBUTE.match(line)):
            _keep(values, found["name"], _value(found["mark"], line[found.end() :]))
    if values:
        yield _entry(start, values)


def _keep(values: dict[str, list[str]], name: str, value: str) -> None:
    kept = values.setdefault(name.lower(), [])
    if value and len(kept) < MOST_VALUES:
        kept.append(value)


def _entry(line: int, values: Mapping[str, list[str]]) -> Entry:
    return Entry(line, {name: tuple(found) for name, found in values.items()})


def read_units(file: Path) -> dict[str, str]:
    """Names of units, as `simple` has them, and codes of agencies: two columns of a csv file.

    Raises InputError `file-unreadable`.
    """
    units = {}
    for row in csv.reader(read_text(file).splitlines()):
        if len(row) > 1 and row[0].strip():
            units[simple(row[0])] = row[1].strip()
    return units


def convert(
    found: Iterable[Entry],
    *,
    agency: str = "",
    units: Mapping[str, str] | None = None,
    staff_no_from: str = "",
) -> Converted:
    """Rows of a staff list. `units` gives the agency of a unit's name, `agency` that of all others."""
    converted = Converted()
    seen: set[str] = set()
    for entry in found:
        if not _is_person(entry):
            continue
        row = _row(entry, agency, units or {}, staff_no_from.lower())
        why = _why_not(entry, row, seen)
        if why:
            name, address = str(row["full_name"]), str(row["address"])
            converted.left_out.append(LeftOut(entry.line, name, address, why))
            continue
        seen.add(str(row["address"]))
        converted.rows.append(row)
        converted.without_staff_no += not row["staff_no"]
        converted.without_agency += not row["agency_code"]
    return converted


def _is_person(entry: Entry) -> bool:
    """Whether the record is an account at all; containers and groups are passed over in silence."""
    classes = {name.lower() for name in entry.values.get("objectclass", ())}
    if not classes:
        return "name-of-account" in entry.values or bool(entry.first(*_FROM["address"]))
    kinds = {"person", "inetorgperson", "organizationalperson", "user", "zimbraaccount"}
    return bool(classes & kinds) and "computer" not in classes


def _row(
    entry: Entry, agency: str, units: Mapping[str, str], staff_no_from: str
) -> dict[str, object]:
    row: dict[str, object] = {one.name: "" for one in FIELDS}
    for column, names in _FROM.items():
        row[column] = entry.first(*names)
    if staff_no_from:
        row["staff_no"] = entry.first(staff_no_from)
    row["address"] = (entry.first("name-of-account") or str(row["address"])).lower()
    row["phone"] = re.sub(r"[^0-9+]", "", str(row["phone"]))
    row["agency_code"] = next(
        (units[key] for name in _UNIT for value in entry.values.get(name, ()) if (key := simple(value)) in units),
        agency,
    )  # fmt: skip
    quota = entry.first("zimbramailquota")
    if quota.isdigit() and int(quota) >= _MEGABYTE:
        row["quota_mb"] = int(quota) // _MEGABYTE
    return row


def _why_not(entry: Entry, row: Mapping[str, object], seen: set[str]) -> str:
    address = str(row["address"])
    if not address:
        return "no-address"
    try:
        key = Address.parse(address).key
    except InputError:
        return "address-not-valid"
    if _is_system(entry, address):
        return "system"
    if _is_closed(entry):
        return "closed"
    if key in seen:
        return "twice"
    return "" if row["full_name"] else "no-name"


def _is_system(entry: Entry, address: str) -> bool:
    flags = ("zimbraissystemaccount", "zimbraissystemresource", "zimbraisexternalvirtualaccount")
    if any(entry.first(flag).upper() == "TRUE" for flag in flags):
        return True
    return "name-of-account" in entry.values and bool(_SYSTEM.fullmatch(address))


def _is_closed(entry: Entry) -> bool:
    control = entry.first("useraccountcontrol")
    disabled = control.isdigit() and bool(int(control) & _DISABLED)
    return disabled or entry.first("zimbraaccountstatus").lower() in _CLOSED
