"""Filters (RFC 7644, 3.4.2.2) as conditions of the database: the cost does not grow with the directory
where an index helps, and nothing is loaded to be thrown away.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from sqlalchemy import ColumnElement, String, and_, cast, func, not_, or_
from sqlmodel import col, select

from mailgov.db.models import Agency, GroupMember, Mailbox, Person
from mailgov.scim.resources import EnterpriseUser, GroupAddress

MOST_TERMS = 50

Condition = ColumnElement[bool]
_Text = Callable[[], Any]

_ENTERPRISE = str(EnterpriseUser.__schema__).lower()
_GROUP = str(GroupAddress.__schema__).lower()


def _id() -> Any:
    return cast(col(Mailbox.id), String)


_USERS: Mapping[str, _Text] = {
    "id": _id,
    "username": lambda: col(Mailbox.address),
    "emails": lambda: col(Mailbox.address),
    "emails.value": lambda: col(Mailbox.address),
    "externalid": lambda: col(Person.staff_no),
    "displayname": lambda: col(Person.full_name),
    "name.formatted": lambda: col(Person.full_name),
    "title": lambda: col(Person.title),
    "phonenumbers": lambda: col(Person.phone),
    "phonenumbers.value": lambda: col(Person.phone),
    f"{_ENTERPRISE}:employeenumber": lambda: col(Person.staff_no),
    f"{_ENTERPRISE}:department": lambda: col(Agency.code),
}
_GROUPS: Mapping[str, _Text] = {
    "id": _id,
    "displayname": lambda: col(Mailbox.display_name),
    f"{_GROUP}:address": lambda: col(Mailbox.address),
    f"{_GROUP}:department": lambda: col(Agency.code),
}
_EXACT = frozenset({"id", "externalid"})


def users(text: str) -> Condition:
    """Which mailboxes a filter on people means. Raises InvalidFilterException."""
    return _Reader(_USERS, _of_user).read(_parsed(text))


def groups(text: str) -> Condition:
    """Which mailboxes a filter on groups means. Raises InvalidFilterException."""
    return _Reader(_GROUPS, _of_group).read(_parsed(text))


def _parsed(text: str) -> FilterNode:
    try:
        return ScimFilter(text).ast
    except (ValueError, RecursionError) as exc:
        raise InvalidFilterException(filter=text) from exc


def _of_user(name: str, node: Comparison) -> Condition | None:
    """Attributes that are no texts."""
    if name == "active":
        if node.op not in (CompareOperator.eq, CompareOperator.ne) or not isinstance(
            node.value, bool
        ):
            raise InvalidFilterException(filter=str(node))
        wanted = node.value == (node.op is CompareOperator.eq)
        return col(Mailbox.state) == "active" if wanted else col(Mailbox.state) != "active"
    if name == f"{_ENTERPRISE}:manager.value" and node.op is CompareOperator.eq:
        leader = select(Mailbox.person_id).where(cast(col(Mailbox.id), String) == str(node.value))
        return col(Person.manager_id).in_(leader)
    return None


def _of_group(name: str, node: Comparison) -> Condition | None:
    if name in ("members", "members.value") and node.op is CompareOperator.eq:
        inside = select(GroupMember.group_id).where(
            cast(col(GroupMember.member_id), String) == str(node.value)
        )
        return col(Mailbox.id).in_(inside)
    return None


class _Reader:
    """A filter, walked once."""

    def __init__(
        self,
        columns: Mapping[str, _Text],
        other: Callable[[str, Comparison], Condition | None],
    ) -> None:
        self._columns, self._other = columns, other
        self._terms = 0

    def read(self, node: FilterNode) -> Condition:
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise InvalidFilterException(filter="too many terms")
        match node:
            case LogicalExpr():
                parts = [self.read(term) for term in node.terms]
                return and_(*parts) if node.op is LogicalOperator.and_ else or_(*parts)
            case Not():
                return not_(self.read(node.expr))
            case Present():
                present: Condition = self._column(node, node.attr_path) != ""
                return present
            case ValuePath():
                return self._inside(node)
            case Comparison():
                return self._comparison(node)
            case _:
                raise InvalidFilterException(filter=str(node))

    def _inside(self, node: ValuePath) -> Condition:
        """`emails[value eq "x"]`: the lists that can be asked for have one value that counts."""
        if not isinstance(node.val_filter, Comparison):
            raise InvalidFilterException(filter=str(node))
        inner = node.val_filter
        path = AttrPath(node.attr_path.attr, inner.attr_path.attr, node.attr_path.uri)
        return self._comparison(Comparison(path, inner.op, inner.value))

    def _comparison(self, node: Comparison) -> Condition:
        if (found := self._other(_name(node.attr_path), node)) is not None:
            return found
        column = self._column(node, node.attr_path)
        if not isinstance(node.value, str):
            raise InvalidFilterException(filter=str(node))
        value = node.value
        if _name(node.attr_path) not in _EXACT:
            column, value = func.lower(column), _lowered(value)
        return _compared(node, column, value)

    def _column(self, node: FilterNode, path: AttrPath) -> Any:
        column = self._columns.get(_name(path))
        if column is None:
            raise InvalidFilterException(filter=str(node))
        return column()


def _compared(node: Comparison, column: ColumnElement[str], value: str) -> Condition:
    match node.op:
        case CompareOperator.eq:
            return column == value
        case CompareOperator.ne:
            return column != value
        case CompareOperator.co:
            return column.contains(value, autoescape=True)
        case CompareOperator.sw:
            return column.startswith(value, autoescape=True)
        case CompareOperator.ew:
            return column.endswith(value, autoescape=True)
        case _:
            raise InvalidFilterException(filter=str(node))


def _lowered(value: str) -> str:
    """As the database lowers it: SQLite knows ASCII only, and so both sides are lowered alike."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in value)


def _name(path: AttrPath) -> str:
    name = f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr
    core = (
        "urn:ietf:params:scim:schemas:core:2.0:user",
        "urn:ietf:params:scim:schemas:core:2.0:group",
    )
    own = path.uri is not None and path.uri.lower() not in core
    return f"{path.uri}:{name}".lower() if own else name.lower()
