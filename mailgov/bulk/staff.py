"""A row of a staff list: what its cells mean, and what is wrong with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mailgov.addresses import Address
from mailgov.bulk.columns import Field, simple
from mailgov.directory.naming import person_name, require_local_part
from mailgov.errors import InputError, MailgovError

FIELDS = (
    Field(
        "staff_no",
        (
            "Số hiệu",
            "Mã số",
            "Mã cán bộ",
            "Mã nhân viên",
            "Số hiệu cán bộ",
            "Mã CBCCVC",
            "Staff number",
        ),
        required=True,
    ),
    Field(
        "full_name",
        ("Họ và tên", "Họ tên", "Họ và tên khai sinh", "Full name", "Name"),
        required=True,
    ),
    Field(
        "agency_code",
        ("Mã cơ quan", "Mã đơn vị", "Mã định danh cơ quan", "Agency code", "Agency"),
        required=True,
    ),
    Field("title", ("Chức vụ", "Chức danh", "Vị trí việc làm", "Title", "Position")),
    Field("group", ("Nhóm", "Nhóm cán bộ", "Đối tượng", "Group")),
    Field("address", ("Địa chỉ thư", "Địa chỉ thư điện tử", "Thư điện tử", "Email", "Mailbox")),
    Field("kind", ("Loại hộp thư", "Loại", "Kind")),
    Field("quota_mb", ("Dung lượng (MB)", "Hạn mức", "Quota")),
    Field("phone", ("Điện thoại", "Số điện thoại", "Di động", "Phone", "Telephone")),
    Field("effective_on", ("Ngày hiệu lực", "Ngày vào cơ quan", "Effective on", "Start date")),
)

KINDS = {"person": "cá nhân", "office": "cơ quan", "post": "chức danh", "shared": "dùng chung"}
GROUPS = {
    "lanh-dao": "lãnh đạo",
    "cong-chuc": "công chức",
    "vien-chuc": "viên chức",
    "nguoi-lao-dong": "người lao động",
}
_LIMITS = {"staff_no": 40, "title": 120}
_STAFF_NO = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*")
_PHONE = re.compile(r"\+?[0-9]{3,15}")
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:T.*)?"),
    re.compile(r"(?P<d>\d{1,2})[/.-](?P<m>\d{1,2})[/.-](?P<y>\d{4})"),
)
MOST_QUOTA_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell. The error's code has the words, and how to mend it."""

    field: str
    error: MailgovError


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRow:
    """What the row asks for. Empty fields ask for nothing."""

    number: int
    staff_no: str
    full_name: str
    agency_code: str
    title: str = ""
    group: str = ""
    address: str = ""  # Address.key
    kind: str = "person"
    quota_mb: int | None = None
    phone: str = ""
    effective_on: date | None = None


def read_row(number: int, cells: Mapping[str, str]) -> tuple[StaffRow, list[Problem]]:
    """The row, with every problem that its cells show by themselves."""
    problems: list[Problem] = []

    def checked(field: str, error: MailgovError | None) -> None:
        if error is not None:
            problems.append(Problem(field, error))

    kind, error = _word("kind", cells, KINDS, "person")
    checked("kind", error)
    group, error = _word("group", cells, GROUPS, "")
    checked("group", error)
    name, error = _name(cells.get("full_name", ""), kind)
    checked("full_name", error)
    address, error = _address(cells.get("address", ""), kind)
    checked("address", error)
    quota, error = _quota(cells.get("quota_mb", ""))
    checked("quota_mb", error)
    phone, error = _phone(cells.get("phone", ""))
    checked("phone", error)
    effective_on, error = read_date(cells.get("effective_on", ""))
    checked("effective_on", error)
    staff_no = cells.get("staff_no", "").upper()
    checked("staff_no", _staff_no_problem(staff_no, kind))
    title = cells.get("title", "")
    if len(title) > _LIMITS["title"]:
        checked("title", InputError("cell-too-long", most=_LIMITS["title"]))
    if not cells.get("agency_code"):
        checked("agency_code", InputError("cell-empty"))
    row = StaffRow(
        number=number,
        staff_no=staff_no,
        full_name=name,
        agency_code=cells.get("agency_code", "").upper(),
        title=title,
        group=group,
        address=address,
        kind=kind,
        quota_mb=quota,
        phone=phone,
        effective_on=effective_on,
    )
    return row, problems


def _word(
    field: str, cells: Mapping[str, str], words: Mapping[str, str], default: str
) -> tuple[str, InputError | None]:
    """A word of a fixed list, in Vietnamese with or without marks, or as we call it."""
    text = cells.get(field, "")
    if not text:
        return default, None
    for name, vietnamese in words.items():
        if simple(text) in (simple(name), simple(vietnamese)):
            return name, None
    return default, InputError(
        "cell-word-unknown", value=text[:60], known=", ".join(words.values())
    )


def _name(text: str, kind: str) -> tuple[str, InputError | None]:
    if kind != "person":
        return text, None
    try:
        return _case(person_name(text)), None
    except InputError as error:
        return text, error


def _case(name: str) -> str:
    """NGUYỄN VĂN AN is how lists shout; people are shown as they write themselves."""
    return name.title() if name.isupper() and len(name) > 3 and "'" not in name else name


def _address(text: str, kind: str) -> tuple[str, InputError | None]:
    if not text:
        return "", None if kind == "person" else InputError(
            "cell-address-missing", kind=KINDS[kind]
        )
    try:
        address = Address.parse(text.lower())
        require_local_part(address.local, kind)
    except InputError as error:
        return "", error
    return address.key, None


def _quota(text: str) -> tuple[int | None, InputError | None]:
    if not text:
        return None, None
    digits = re.sub(r"(?<=\d)[.\s](?=\d{3}\b)", "", text)  # 5.120 is how five thousand is written
    if digits.isascii() and digits.isdigit() and 1 <= int(digits) <= MOST_QUOTA_MB:
        return int(digits), None
    return None, InputError("cell-number", value=text[:30], most=MOST_QUOTA_MB)


def _phone(text: str) -> tuple[str, InputError | None]:
    digits = re.sub(r"[\s().-]", "", text)
    if not digits or _PHONE.fullmatch(digits):
        return digits, None
    return "", InputError("cell-phone", value=text[:30])


def read_date(text: str) -> tuple[date | None, InputError | None]:
    """A day in one of the forms that sheets have, or what is wrong with it; empty: neither."""
    if not text:
        return None, None
    for form in _DATES:
        if found := form.fullmatch(text):
            try:
                return date(int(found["y"]), int(found["m"]), int(found["d"])), None
            except ValueError:
                break
    return None, InputError("cell-date", value=text[:30])


def _staff_no_problem(staff_no: str, kind: str) -> InputError | None:
    if not staff_no:
        return InputError("cell-empty") if kind == "person" else None
    if len(staff_no) > _LIMITS["staff_no"] or not _STAFF_NO.fullmatch(staff_no):
        return InputError("cell-staff-number", value=staff_no[:50])
    return None
