"""What SCIM changes, by the services that every face uses: one event for each change, no way around a rule."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from scim2_models import InvalidValueException, MutabilityException
from sqlmodel import Session, col, select

from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.config import Config
from mailgov.db.models import Agency, Mailbox, Person
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import (
    NewMailbox,
    add_group,
    add_mailbox,
    add_member,
    get_mailbox,
    remove_group,
    remove_member,
)
from mailgov.directory.renaming import rename_mailbox
from mailgov.errors import NotFound
from mailgov.lifecycle.editing import edit_mailbox
from mailgov.lifecycle.ending import Recall, recall
from mailgov.lifecycle.suspension import resume, suspend
from mailgov.lifecycle.terms import office_of, terms
from mailgov.lifecycle.transfers import Transfer, transfer
from mailgov.scim.resources import EnterpriseUser, GroupAddress, Name

ALIAS_DAYS = 180


@dataclass(frozen=True, slots=True)
class Changing:
    """One transaction of one caller."""

    session: Session
    act: Act
    config: Config

    # People ------------------------------------------------------------------------------------

    def add_user(self, new: Any) -> str:
        """Give a mailbox to somebody; returns the id. Raises what `add_mailbox` raises."""
        official = _official(new)
        department = official.department
        if not department:
            raise InvalidValueException(detail="department: code of the agency")
        name = _full_name(new, None)
        address = Address.parse((new.user_name or "").lower()).key
        add_mailbox(
            self.session,
            self.act,
            NewMailbox(
                address=address,
                agency=department,
                name=name,
                staff_no=_staff_number(new, official),
                title=new.title or "",
            ),
        )
        mailbox = get_mailbox(self.session, address)
        if phone := _phone(new):
            edit_mailbox(self.session, self.act, address, phone=phone)
        self._set_manager(mailbox, official)
        if new.active is False:
            suspend(self.session, self.act, address)
        return str(mailbox.id)

    def change_user(self, number: str, old: Any, new: Any) -> None:
        """Make of the old resource the new one. Whoever is to have no access loses it first."""
        mailbox = self._mailbox(number, "person")
        official, before = _official(new), _official(old)
        staff_number = _staff_number(new, official) or old.external_id
        if staff_number != old.external_id:
            raise MutabilityException(detail="externalId, employeeNumber: the staff number stays")
        if old.active and new.active is False:
            suspend(self.session, self.act, mailbox.address)
        if new.user_name and new.user_name.lower() != old.user_name:
            until = local_date(self.act.at) + timedelta(days=ALIAS_DAYS - 1)
            self._require_domain(new.user_name, mailbox)
            rename_mailbox(
                self.session, self.act, mailbox.address, new.user_name, alias_until=until
            )
        if official.department and official.department != before.department:
            how = Transfer(to=official.department, title=new.title or "")
            transfer(self.session, self.act, mailbox.address, how)
        elif not official.department:
            raise InvalidValueException(detail="department: code of the agency")
        self._edit(mailbox, old, new)
        self._set_manager(mailbox, official)
        if not old.active and new.active:
            resume(self.session, self.act, mailbox.address)

    def _edit(self, mailbox: Mailbox, old: Any, new: Any) -> None:
        name, phone, title = _full_name(new, old), _phone(new), new.title or ""
        edit_mailbox(
            self.session,
            self.act,
            mailbox.address,
            name=name if name != old.display_name else None,
            title=title if title != (old.title or "") else None,
            phone=phone if phone != _phone(old) else None,
        )

    def _require_domain(self, address: str, mailbox: Mailbox) -> None:
        """The address lies in a domain that the agency may use. Raises what a transfer raises."""
        code = self.session.get_one(Agency, mailbox.agency_id).code
        probe = NewMailbox(address=address, agency=code, kind="shared")
        with self.session.begin_nested() as attempt:
            add_mailbox(self.session, self.act, probe)
            attempt.rollback()

    def _set_manager(self, mailbox: Mailbox, official: EnterpriseUser) -> None:
        person = self.session.get_one(Person, mailbox.person_id)
        leader: int | None = None
        if official.manager is not None and official.manager.value:
            leader = self._leader(official.manager.value)
        if leader == person.manager_id:
            return
        names = (self._number(person.manager_id), self._number(leader))
        person.manager_id = leader
        self.session.add(person)
        code = self.session.get_one(Agency, person.agency_id).code
        change = Change("person", "edit", person.staff_no, {"manager": names}, agency_code=code)
        recorded(self.session, self.act, change)

    def _leader(self, number: str) -> int | None:
        try:
            return self._mailbox(number, "person").person_id
        except NotFound as exc:
            raise InvalidValueException(detail="manager.value: no such user") from exc

    def _number(self, person_id: int | None) -> str:
        person = self.session.get(Person, person_id) if person_id else None
        return person.staff_no if person else ""

    def remove_user(self, number: str) -> None:
        """Recall a mailbox: closed at once, kept for as long as the law says."""
        mailbox = self._mailbox(number, "person")
        days = terms(self.session, mailbox, local_date(self.act.at), self.config.lifecycle)
        agency = self.session.get_one(Agency, mailbox.agency_id)
        how = Recall(
            readable_until=days.readable_until,
            kept_until=days.kept_until,
            contact=office_of(self.session, agency),
        )
        recall(self.session, self.act, mailbox.address, how)

    # Groups ------------------------------------------------------------------------------------

    def add_group(self, new: Any) -> str:
        """Give a group its address and members; returns the id."""
        own = new[GroupAddress]
        if own is None or not (own.address and own.department):
            raise InvalidValueException(detail=f"{GroupAddress.__schema__}: address, department")
        address = Address.parse(own.address.lower()).key
        add_group(
            self.session,
            self.act,
            address=address,
            agency=own.department,
            name=new.display_name or "",
        )
        for member in new.members or []:
            self._add_member(address, member.value)
        return str(get_mailbox(self.session, address).id)

    def change_group(self, number: str, old: Any, new: Any) -> None:
        """Make of the old group the new one; branches in it stay."""
        group = self._mailbox(number, "group")
        if new.display_name and new.display_name != old.display_name:
            edit_mailbox(self.session, self.act, group.address, name=new.display_name)
        before = [one.value for one in old.members or []]
        after = [one.value for one in new.members or []]
        for value in before:
            if value not in after:
                member = self.session.get_one(Mailbox, int(value))
                remove_member(self.session, self.act, group.address, member.address)
        for value in after:
            if value not in before:
                self._add_member(group.address, value)

    def _add_member(self, group: str, value: str | None) -> None:
        try:
            member = self._mailbox(value or "", "")
        except NotFound as exc:
            raise InvalidValueException(detail=f"members.value: {value}") from exc
        most = self.config.limits.group_recipients
        add_member(self.session, self.act, group, member.address, most)

    def remove_group(self, number: str) -> None:
        """End a group."""
        remove_group(self.session, self.act, self._mailbox(number, "group").address)

    def _mailbox(self, number: str, kind: str) -> Mailbox:
        """Raises NotFound `mailbox-unknown`, also for what lies in another branch."""
        row = None
        if number.isascii() and number.isdigit() and len(number) < 18:
            query = select(Mailbox).where(
                Mailbox.id == int(number), col(Mailbox.state) != "recalled"
            )
            row = self.session.exec(query.where(Mailbox.kind == kind) if kind else query).first()
        if row is None:
            raise NotFound("mailbox-unknown", address=number[:20])
        return row


def _official(resource: Any) -> EnterpriseUser:
    found = resource[EnterpriseUser]
    return found if isinstance(found, EnterpriseUser) else EnterpriseUser()


def _staff_number(new: Any, official: EnterpriseUser) -> str:
    """externalId and employeeNumber are one thing. Raises InvalidValueException where they differ."""
    given = {one.strip() for one in (new.external_id, official.employee_number) if one}
    if len(given) > 1:
        raise InvalidValueException(detail="externalId, employeeNumber: one staff number")
    return given.pop() if given else ""


def _full_name(new: Any, old: Any) -> str:
    """The name that was changed, in whichever form; of a new person the fullest form."""
    formatted, parts = _forms(new.name)
    if old is None:
        return formatted or parts or new.display_name or ""
    before, had = _forms(old.name)
    if formatted and formatted != before:
        return formatted
    if parts and parts != had:
        return parts
    return new.display_name or old.display_name or ""


def _forms(name: Name | None) -> tuple[str, str]:
    """A name as written, and as put together."""
    if name is None:
        return "", ""
    parts = " ".join(one for one in (name.family_name, name.given_name) if one)
    return name.formatted or "", parts


def _phone(resource: Any) -> str:
    numbers = [one.value for one in resource.phone_numbers or [] if one.value]
    return numbers[0] if numbers else ""
