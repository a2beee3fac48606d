"""The directory as resources."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scim2_models import Context, Meta, Reference
from sqlalchemy import func
from sqlmodel import Session, col, select

from mailgov.db.models import Agency, Mailbox, Person
from mailgov.db.models import GroupMember as MemberRow
from mailgov.scim.filters import Condition
from mailgov.scim.resources import (
    Email,
    EnterpriseUser,
    GroupAddress,
    GroupMember,
    GroupResource,
    Manager,
    Name,
    PhoneNumber,
    UserResource,
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the resources that were asked for."""

    total: int
    resources: list[Any]


def user_name_parts(full_name: str) -> tuple[str, str]:
    """Family name with middle names, and given name: a Vietnamese name ends with it."""
    family, _, given = full_name.rpartition(" ")
    return family, given


class Shown:
    """Reads resources in one session; `base` is the address of the interface."""

    def __init__(self, session: Session, base: str) -> None:
        self._session, self._base = session, base

    def users(self, condition: Condition | None, start: int, count: int) -> Page:
        """People with mailboxes that are not recalled, in the order they came."""
        query = (
            select(Mailbox, Person, Agency.code)
            .join(Person, col(Mailbox.person_id) == col(Person.id))
            .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
            .where(Mailbox.kind == "person", Mailbox.state != "recalled")
        )
        if condition is not None:
            query = query.where(condition)
        total = self._session.exec(select(func.count()).select_from(query.subquery())).one()
        rows = self._session.exec(query.order_by(col(Mailbox.id)).offset(start).limit(count))
        return Page(total, [self._user(*row) for row in rows])

    def groups(self, condition: Condition | None, start: int, count: int) -> Page:
        """Groups that are not ended."""
        query = (
            select(Mailbox, Agency.code)
            .join(Agency, col(Mailbox.agency_id) == col(Agency.id))
            .where(Mailbox.kind == "group", Mailbox.state != "recalled")
        )
        if condition is not None:
            query = query.where(condition)
        total = self._session.exec(select(func.count()).select_from(query.subquery())).one()
        rows = self._session.exec(query.order_by(col(Mailbox.id)).offset(start).limit(count))
        return Page(total, [self._group(*row) for row in rows])

    def _user(self, mailbox: Mailbox, person: Person, code: str) -> Any:
        family, given = user_name_parts(person.full_name)
        shown = UserResource(
            id=str(mailbox.id),
            external_id=person.staff_no,
            user_name=mailbox.address,
            name=Name(formatted=person.full_name, family_name=family or None, given_name=given),
            display_name=person.full_name,
            title=person.title or None,
            active=mailbox.state == "active",
            emails=[Email(value=mailbox.address, type="work", primary=True)],
            phone_numbers=[PhoneNumber(value=person.phone, type="work")] if person.phone else None,
        )
        shown[EnterpriseUser] = EnterpriseUser(
            employee_number=person.staff_no, department=code, manager=self._manager(person)
        )
        return self._marked(shown, "User", mailbox.created_at)

    def _manager(self, person: Person) -> Manager | None:
        if person.manager_id is None:
            return None
        row = self._session.exec(
            select(Mailbox.id, Person.full_name)
            .join(Person, col(Mailbox.person_id) == col(Person.id))
            .where(
                Person.id == person.manager_id,
                Mailbox.kind == "person",
                Mailbox.state != "recalled",
            )
        ).first()
        if row is None:
            return None
        where = Reference[UserResource](f"{self._base}/Users/{row[0]}")
        return Manager(value=str(row[0]), ref=where, display_name=row[1])

    def _group(self, mailbox: Mailbox, code: str) -> Any:
        shown = GroupResource(
            id=str(mailbox.id),
            display_name=mailbox.display_name,
            members=self._members(mailbox) or None,
        )
        shown[GroupAddress] = GroupAddress(address=mailbox.address, department=code)
        return self._marked(shown, "Group", mailbox.created_at)

    def _members(self, mailbox: Mailbox) -> Sequence[GroupMember]:
        rows = self._session.exec(
            select(Mailbox.id, Mailbox.kind, Mailbox.display_name)
            .join(MemberRow, col(MemberRow.member_id) == col(Mailbox.id))
            .where(MemberRow.group_id == mailbox.id)
            .order_by(col(MemberRow.id))
        )
        return [
            GroupMember(
                value=str(number),
                type="Group" if kind == "group" else "User",
                ref=f"{self._base}/{'Groups' if kind == 'group' else 'Users'}/{number}",
                display=name,
            )
            for number, kind, name in rows
        ]

    def _marked(self, shown: Any, kind: str, created: datetime) -> Any:
        shown.meta = Meta(
            resource_type=kind, created=created, location=f"{self._base}/{kind}s/{shown.id}"
        )
        told = shown.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
        shown.meta.version = f'W/"{digest.hexdigest()[:32]}"'
        return shown
