"""A transfer: one person, one key, one history, in another agency from a day on.

With `move` the mail goes along: the same mailbox, under a new address where one is given. With `stay`
it is the agency's: it stays as a recalled mailbox under the old address, and the person begins with an
empty one under the new. Either way rights, roles and memberships of the old agency end that day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, cast

from sqlmodel import Session, col, select

from mailgov.access import branch
from mailgov.addresses import Address
from mailgov.clock import local_date
from mailgov.db.models import Agency, Alias, Domain, Forward, Mailbox, Person, PlannedAct, Post
from mailgov.directory import queries
from mailgov.directory.change import Act, Change, recorded
from mailgov.directory.provisioning import get_agency, get_mailbox
from mailgov.directory.provisioning.agencies import ancestors
from mailgov.directory.provisioning.mailboxes import free_address
from mailgov.directory.renaming import rename_mailbox
from mailgov.errors import Conflict, InputError
from mailgov.lifecycle import planning
from mailgov.lifecycle.access import end_rights, end_sign_ins, kept_offices
from mailgov.lifecycle.ending import RETAIN
from mailgov.lifecycle.planning import Performer

TRANSFER = "mailbox.transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Where somebody goes. The old address is kept for `alias_days`, counted from the day itself.

    `kept_until`: how long mail that stays is kept at least.
    """

    to: str  # code of the agency
    new_address: str = ""  # empty: the old one, where the new agency may use its domain
    alias_days: int = 180
    mail: Literal["move", "stay"] = "move"
    title: str = ""  # of the new post
    kept_until: date | None = None

    def as_arguments(self) -> dict[str, Any]:
        """For a plan."""
        return {
            "to": self.to,
            "new_address": self.new_address,
            "alias_days": self.alias_days,
            "mail": self.mail,
            "title": self.title,
            "kept_until": self.kept_until.isoformat() if self.kept_until else None,
        }

    @classmethod
    def from_arguments(cls, given: Mapping[str, Any]) -> "Transfer":
        """As it was planned."""
        own = {name: value for name, value in given.items() if name != planning.MAILBOX}
        until = own.pop("kept_until")
        return cls(**own, kept_until=date.fromisoformat(until) if until else None)


def transfer(session: Session, act: Act, address: str, how: Transfer) -> Change:
    """Move a person and the mailbox to another agency. There already: nothing happens.

    Raises NotFound `mailbox-unknown`, `agency-unknown`, `domain-unknown`; Conflict
    `mailbox-recalled`, `agency-not-there`, `alias-taken`, `address-was-used`; InputError
    `transfer-needs-person`, `transfer-needs-address`, `domain-of-other-agency`,
    `transfer-stay-needs-address`.
    """
    mailbox = get_mailbox(session, address)
    today = local_date(act.at)
    target = get_agency(session, how.to)
    source = session.get_one(Agency, mailbox.agency_id)
    if mailbox.person_id is None or mailbox.kind != "person":
        raise InputError("transfer-needs-person", address=mailbox.address)
    if mailbox.state == "recalled":
        raise Conflict("mailbox-recalled", address=mailbox.address)
    if target.id == source.id and how.new_address in ("", mailbox.address):
        return Change("mailbox", "transfer", mailbox.address, agency_code=source.code)
    _require_there(target, today)
    new = _new_address(session, mailbox, target, how, today)
    assert target.id is not None
    person = session.get_one(Person, mailbox.person_id)
    _move_person(session, act, person, source, target, how, today)
    old = mailbox.address
    mailbox.agency_id = target.id
    session.add(mailbox)
    session.flush()
    until = today + timedelta(days=how.alias_days - 1) if how.alias_days else None
    fields = {"agency": (source.code, target.code)}
    if new != old:
        fields["address"] = (old, new)
        stays = how.mail == "stay"
        keep_alias = bool(how.alias_days) and not stays
        rename_mailbox(session, act, old, new, alias_until=until, keep_alias=keep_alias)
        if stays:
            _leave_mail(session, act, mailbox, old, source, until, how)
        else:
            fields["alias"] = ("", f"{old}, {until}" if keep_alias else "")
    details: dict[str, Any] = dict(
        end_rights(session, act, mailbox, of_agencies=_left(session, source, target))
    )
    details["keeper_of"] = kept_offices(session, mailbox.person_id)
    change = Change(
        "mailbox",
        "transfer",
        mailbox.address,
        fields,
        agency_code=target.code,
        mailbox=mailbox.address,
        details=details,
    )
    return recorded(session, act, change)


def _require_there(agency: Agency, today: date) -> None:
    begun = agency.valid_from is None or agency.valid_from <= today
    if not begun or (agency.valid_to is not None and agency.valid_to < today):
        raise Conflict("agency-not-there", agency=agency.code, name=agency.name_vi, on=today)


def _new_address(
    session: Session, mailbox: Mailbox, target: Agency, how: Transfer, today: date
) -> str:
    """The address from now on, in a domain that the new agency may use."""
    wanted = Address.parse((how.new_address or mailbox.address).lower())
    owners = {owner.id for owner in ancestors(session, target)}
    domain = session.exec(select(Domain).where(Domain.name == wanted.domain)).first()
    if domain is not None and domain.agency_id not in owners:
        suggestion = _suggested(session, mailbox, target, today)
        if how.new_address:
            owner = session.get_one(Agency, domain.agency_id)
            raise InputError(
                "domain-of-other-agency",
                domain=domain.name,
                owner=owner.code,
                owner_name=owner.name_vi,
                agency=target.code,
            )
        raise InputError(
            "transfer-needs-address",
            address=mailbox.address,
            agency=target.code,
            suggestion=suggestion,
        )
    if how.mail == "stay" and wanted.key == mailbox.address:
        raise InputError("transfer-stay-needs-address", address=mailbox.address)
    return wanted.key


def _suggested(session: Session, mailbox: Mailbox, target: Agency, today: date) -> str:
    """A free address in the domain of the new agency, or of the nearest one above it."""
    for unit in ancestors(session, target):
        query = select(Domain.name).where(Domain.agency_id == unit.id).order_by(col(Domain.id))
        if (name := session.exec(query).first()) is not None:
            same = Address(mailbox.address.partition("@")[0], name)
            if not queries.mailboxes(session, [same.key], today):
                return same.key
            return free_address(session, same, today, target.short_name)
    return ""


def _move_person(
    session: Session,
    act: Act,
    person: Person,
    source: Agency,
    target: Agency,
    how: Transfer,
    today: date,
) -> None:
    """The person, and the post: the old one ends on the day before."""
    assert target.id is not None
    assert person.id is not None
    fields = {"agency": (source.code, target.code)}
    held = select(Post).where(
        Post.person_id == person.id, Post.agency_id == source.id, col(Post.last_day).is_(None)
    )
    for post in session.exec(held).all():
        post.last_day = today - timedelta(days=1)
        session.add(post)
    title = how.title or person.title
    if title:
        session.add(
            Post(
                person_id=person.id,
                agency_id=target.id,
                title=title,
                first_day=today,
                created_at=act.at,
            )
        )
    if title != person.title:
        fields["title"] = (person.title, title)
        person.title = title
    person.agency_id = target.id
    session.add(person)
    change = Change("person", "edit", person.staff_no, fields, agency_code=target.code)
    recorded(session, act, change)


def _left(session: Session, source: Agency, target: Agency) -> list[int | None]:
    """Agencies whose things somebody uses no more: the old branch, but for what the new one is in."""
    above = {unit.id for unit in ancestors(session, target)}
    codes = branch(session, source.code) - branch(session, target.code)
    ids = session.exec(select(Agency.id).where(col(Agency.code).in_(codes))).all()
    return [one for one in ids if one not in above]


def _leave_mail(
    session: Session,
    act: Act,
    mailbox: Mailbox,
    old: str,
    source: Agency,
    until: date | None,
    how: Transfer,
) -> None:
    """The mail stays under the old address as a mailbox of the agency; the person's begins empty.

    The old address goes on leading to the person for as long as an alias would have.
    """
    assert source.id is not None
    today = local_date(act.at)
    home, mailbox.home = mailbox.home, ""
    session.add(mailbox)
    domain = select(Domain).where(Domain.name == Address.parse(old).domain)
    owner = session.exec(domain).one()
    assert owner.id is not None
    last = until or today - timedelta(days=1)
    kept = Mailbox(
        address=old,
        home="" if home == old else home,
        kind="shared",
        display_name=mailbox.display_name,
        agency_id=source.id,
        domain_id=owner.id,
        state="recalled",
        quota_mb=mailbox.quota_mb,
        created_at=mailbox.created_at,
        activated_at=mailbox.activated_at,
        recalled_at=act.at,
        readable_until=last,
        kept_until=how.kept_until,
        contact=mailbox.address,
    )
    session.add(kept)
    session.flush()
    assert kept.id is not None
    for alias in session.exec(select(Alias).where(Alias.mailbox_id == mailbox.id)).all():
        if alias.address.endswith(f"@{owner.name}"):
            alias.mailbox_id = kept.id
            session.add(alias)
    end_sign_ins(session, act, kept, passwords=True)
    fields = {"address": ("", old), "state": ("", "recalled"), "contact": ("", mailbox.address)}
    change = Change("mailbox", "add", old, fields, agency_code=source.code, mailbox=old)
    recorded(session, act, change)
    if until is None:
        return
    session.add(
        Forward(
            mailbox_id=kept.id,
            target=mailbox.address,
            keep_copy=False,
            until=until,
            created_at=act.at,
        )
    )
    planning.plan(
        session,
        kind=RETAIN,
        subject=old,
        on=until + timedelta(days=1),
        arguments={planning.MAILBOX: kept.id},
        actor=act.actor,
        agency_code=source.code,
        at=act.at,
    )


def _perform(session: Session, planned: PlannedAct, now: datetime) -> Mapping[str, Any]:
    how = Transfer.from_arguments(planned.arguments)
    act = Act(planned.actor, now, planned.reason)
    return planning.result_of(transfer(session, act, planning.address_of(session, planned), how))


PERFORMERS: Mapping[str, Performer] = {TRANSFER: _perform}


def is_mail(text: str) -> Literal["move", "stay"]:
    """The word as a choice. Raises InputError `transfer-mail-not-valid`."""
    if text not in ("move", "stay"):
        raise InputError("transfer-mail-not-valid", mail=text)
    return cast(Literal["move", "stay"], text)
