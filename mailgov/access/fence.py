"""A session that sees one branch of the agency tree and nothing else.

Every select, update and delete of the object-relational kind gets the branch as a condition, on
every table that holds something of an agency, wherever the statement stands: what lies outside is not
found, as if it did not exist. What is added or changed is looked at before it is written. A table
that the fence does not know shows nothing. Statements of the plain kind, which the queue and the
journal use, take the condition from `inside`.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import (
    Executable,
    Integer,
    Select,
    Text,
    cast,
    event,
    exists,
    false,
    func,
    or_,
    true,
)
from sqlalchemy import select as plain_select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, SQLModel, col, select

from mailgov.db import models
from mailgov.db.models import Agency, Domain, Job, Mailbox, MessageRow
from mailgov.errors import NotAllowed

_INFO = "fence"
_WHOLE = "outside-the-fence"

_AGENCY: Any = Agency.metadata.tables["agency"]


@dataclass
class Fence:
    """The branch that a session is kept to."""

    tops: tuple[str, ...]  # codes of its agencies at the top
    actor: str
    ids: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    above: frozenset[int] = frozenset()  # agencies that the tops lie in, which lend their domains
    criteria: tuple[Any, ...] = field(default=(), repr=False)


def fence(session: Session, tops: Collection[str] | None, actor: str) -> None:
    """Keep a fresh session to these branches; None: to everything there is."""
    if tops is None:
        return
    codes, ids, above = _branch(session, tops)
    made = Fence(tuple(sorted(tops)), actor, ids, codes, above)
    made.criteria = tuple(_criteria(session, made))
    session.info[_INFO] = made
    event.listen(session, "do_orm_execute", _narrowed)
    event.listen(session, "before_flush", _looked_at)


def fence_of(session: Session) -> Fence | None:
    """The fence of a session; None: it sees everything."""
    found = session.info.get(_INFO)
    return found if isinstance(found, Fence) else None


_Statement = TypeVar("_Statement", bound=Executable)


def whole(statement: _Statement) -> _Statement:
    """The statement as it is, past the fence: for questions whose answer shows nothing of others."""
    return statement.execution_options(**{_WHOLE: True})


def sees(session: Session, agency_id: int) -> bool:
    """Whether an agency, found past the fence, lies inside it."""
    found = fence_of(session)
    return found is None or agency_id in found.ids


def inside(session: Session, agency_code: Any) -> list[ColumnElement[bool]]:
    """The condition that a column with codes of agencies lies in the branch; none without a fence."""
    found = fence_of(session)
    if found is None:
        return []
    return [agency_code.in_(_values(session, sorted(found.codes), Text))]


def _branch(
    session: Session, tops: Collection[str]
) -> tuple[frozenset[str], frozenset[int], frozenset[int]]:
    """Codes and ids of everything in the branches, and the ids of what lies above them."""
    columns = (_AGENCY.c.id, _AGENCY.c.code, _AGENCY.c.parent_id)
    top = plain_select(*columns).where(_AGENCY.c.code.in_(list(tops)))
    below = top.cte("below", recursive=True)
    below = below.union(plain_select(*columns).join(below, _AGENCY.c.parent_id == below.c.id))
    above = top.cte("above", recursive=True)
    above = above.union(plain_select(*columns).join(above, _AGENCY.c.id == above.c.parent_id))
    connection = session.connection()
    rows = connection.execute(plain_select(below.c.id, below.c.code)).all()
    upper = connection.execute(plain_select(above.c.id)).scalars()
    ids = frozenset(row[0] for row in rows)
    return frozenset(row[1] for row in rows), ids, frozenset(upper) - ids


def _values(session: Session, values: Collection[Any], kind: type[Any]) -> Select[Any]:
    """A list of any length as one bound value: databases allow only so many of them."""
    text = json.dumps(list(values))
    if session.get_bind().dialect.name == "sqlite":
        return plain_select(func.json_each(text).table_valued("value").c.value)
    each = func.jsonb_array_elements_text(cast(text, JSONB)).column_valued("each")
    return plain_select(cast(each, kind))


# What lies inside ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Branch:
    """The branch as statements take it. Tables in conditions are aliases: the statement around them
    may name the same table, and would take its place."""

    ids: Select[Any]  # of its agencies
    codes: Select[Any]
    actor: str


_Test = Callable[[Any, _Branch], ColumnElement[bool]]


def _by_agency(column: str = "agency_id") -> _Test:
    return lambda model, branch: getattr(model, column).in_(branch.ids)


def _by_code(model: Any, branch: _Branch) -> ColumnElement[bool]:
    return col(model.agency_code).in_(branch.codes)


def _by_mailbox(column: str = "mailbox_id") -> _Test:
    box: Any = Mailbox.metadata.tables["mailbox"].alias()
    return lambda model, branch: getattr(model, column).in_(
        plain_select(box.c.id).where(box.c.agency_id.in_(branch.ids))
    )


def _by_domain(model: Any, branch: _Branch) -> ColumnElement[bool]:
    domain: Any = Domain.metadata.tables["domain"].alias()
    theirs = plain_select(domain.c.id).where(domain.c.agency_id.in_(branch.ids))
    return col(model.domain_id).in_(theirs)


def _by_message(model: Any, branch: _Branch) -> ColumnElement[bool]:
    message: Any = MessageRow.metadata.tables["message"].alias()
    return exists().where(message.c.id == model.message_id, message.c.agency_code.in_(branch.codes))


def _own_or_inside(model: Any, branch: _Branch) -> ColumnElement[bool]:
    """What somebody did, and what others did for this branch alone."""
    return or_(col(model.actor) == branch.actor, col(model.agency_code).in_(branch.codes))


def _by_job(model: Any, branch: _Branch) -> ColumnElement[bool]:
    job: Any = Job.metadata.tables["job"].alias()
    theirs = or_(job.c.actor == branch.actor, job.c.agency_code.in_(branch.codes))
    return exists().where(job.c.id == model.job_id, theirs)


def _everybody(_model: Any, _branch: _Branch) -> ColumnElement[bool]:
    return true()


INSIDE: Mapping[str, _Test] = {
    "instance": _everybody,  # of the installation: nothing of an agency
    "agency": _by_agency("id"),
    "agency_past": _by_agency(),
    "person": _by_agency(),
    "mailbox": _by_agency(),
    "domain": _by_agency(),
    "role_grant": _by_agency(),
    "dkim_key": _by_domain,
    "domain_succession": _by_domain,
    "alias": _by_mailbox(),
    "credential": _by_mailbox(),
    "delegation": _by_mailbox(),
    "forward": _by_mailbox(),
    "absence": _by_mailbox(),
    "group_member": _by_mailbox("group_id"),
    "group_mode": _by_mailbox("group_id"),
    "group_moderator": _by_mailbox("group_id"),
    "second_factor": _by_mailbox(),
    "recovery_code": _by_mailbox(),
    "known_place": _by_mailbox(),
    "web_session": _by_mailbox(),
    "activation": _by_mailbox(),
    "told": _by_mailbox(),
    "former_address": _by_mailbox(),
    "office_keepers": _by_mailbox(),
    "absence_answer": _by_mailbox(),
    "draft": _by_mailbox(),
    "post": _by_agency(),
    "event": _by_code,
    "message": _by_code,
    "verdict": _by_message,
    "recipient": _by_message,
    "planned_act": _by_code,
    "job": _own_or_inside,
    "job_row": _by_job,
    "approval": _own_or_inside,
}
"""By table, what makes a row one of the branch. Tables that are not here show nothing inside a fence."""


def _criteria(session: Session, found: Fence) -> list[Any]:
    branch = _Branch(
        _values(session, sorted(found.ids), Integer),
        _values(session, sorted(found.codes), Text),
        found.actor,
    )
    made = []
    for model in _models():
        test = INSIDE.get(str(model.__tablename__))
        condition = test(model, branch) if test else false()
        made.append(with_loader_criteria(model, condition, include_aliases=True))
    return made


def _models() -> list[Any]:
    """Every table of ours as the model that it belongs to."""
    found = [getattr(models, name) for name in models.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, SQLModel)]


def _narrowed(state: ORMExecuteState) -> None:
    found = state.session.info.get(_INFO)
    if not isinstance(found, Fence) or state.execution_options.get(_WHOLE):
        return
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(*found.criteria)


# What is written -------------------------------------------------------------------------------


def _looked_at(session: Session, _context: Any, _instances: Any) -> None:
    """Nothing is written outside: neither something new nor something moved there."""
    found = fence_of(session)
    if found is None:
        return
    changed = [one for one in session.dirty if session.is_modified(one)]
    with session.no_autoflush:
        for one in (*session.new, *changed, *session.deleted):
            if not _lies_inside(session, found, one):
                raise NotAllowed("outside-branch", agency=", ".join(found.tops))


def _lies_inside(session: Session, found: Fence, one: Any) -> bool:
    table = one.__tablename__
    if table == "agency":
        # One at the top keeps its place; everything else stays below something inside.
        return one.parent_id in found.ids or (one.id in found.ids and one.code in found.tops)
    if table in _WITH_AGENCY:
        return one.agency_id in found.ids
    if table in _ACTED:
        return one.actor == found.actor or one.agency_code in found.codes
    if table == "planned_act":
        return one.agency_code in found.codes
    if table == "job_row":
        return session.exec(select(Job.id).where(Job.id == one.job_id)).first() is not None
    if table in ("dkim_key", "domain_succession"):
        owners: Any = select(Domain.id).where(Domain.id == one.domain_id)
    elif table in INSIDE:
        mailbox_id = one.group_id if table.startswith("group_") else one.mailbox_id
        owners = select(Mailbox.id).where(Mailbox.id == mailbox_id)
    else:
        return False
    return session.exec(owners).first() is not None


_WITH_AGENCY = frozenset({"agency_past", "person", "mailbox", "domain", "role_grant", "post"})
_ACTED = frozenset({"job", "approval"})
