"""Mailboxes as administrators see them: lists of any length, and everything about one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mailgov.addresses import Address
from mailgov.errors import NotFound
from mailgov.lookups.branches import branches
from mailgov.lookups.history import changes_of_mailbox
from mailgov.lookups.source import Record, Source, day, moment

MAILBOX_FIELDS = (
    "address",
    "name",
    "kind",
    "agency",
    "state",
    "quota_mb",
    "activated_at",
    "last_sign_in_at",
)

_LAST_SIGN_IN = """(SELECT max(credential.last_used_at) FROM credential
    WHERE credential.mailbox_id = mailbox.id)"""

_LIST = f"""SELECT mailbox.address, mailbox.display_name, mailbox.kind, agency.code AS agency,
    mailbox.state, mailbox.quota_mb, mailbox.activated_at, {_LAST_SIGN_IN} AS last_sign_in_at
FROM mailbox JOIN agency ON agency.id = mailbox.agency_id"""


def mailboxes(
    source: Source,
    *,
    within: str = "",
    state: str = "",
    kind: str = "",
    inactive_since: datetime | None = None,
    after: str = "",
    limit: int | None = None,
) -> Iterator[Record]:
    """Mailboxes in the order of their addresses, one by one, so that any number fits in memory.

    `inactive_since`: only active ones that were there by then and that nobody signed in to since.
    `after` is the last address of the page before. Raises NotFound `agency-unknown`.
    """
    where = branches(source, "mailbox.agency_id", within)
    conditions, values = _conditions(state, kind, inactive_since, after)
    conditions = [*where.conditions, *conditions]
    query = where.tables + _LIST
    if conditions:
        query += " WHERE " + " AND ".join(conditions)
    query += " ORDER BY mailbox.address"
    if limit is not None:
        query += " LIMIT :most"
        values["most"] = limit
    return map(_listed, source.rows(query, **values, **where.values))


def _conditions(
    state: str, kind: str, inactive_since: datetime | None, after: str
) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for value, name, condition in (
        (state, "state", "mailbox.state = :state"),
        (kind, "kind", "mailbox.kind = :kind"),
        (after.lower(), "after", "mailbox.address > :after"),
    ):
        if value:
            conditions.append(condition)
            values[name] = value
    if inactive_since is not None:
        conditions += [
            "mailbox.state = 'active'",
            "mailbox.kind <> 'group'",
            "mailbox.created_at < :since",
            """NOT EXISTS (SELECT 1 FROM credential WHERE credential.mailbox_id = mailbox.id
                AND credential.last_used_at >= :since)""",
        ]
        values["since"] = inactive_since
    return conditions, values


def _listed(row: Any) -> Record:
    return {
        "address": row["address"],
        "name": row["display_name"],
        "kind": row["kind"],
        "agency": row["agency"],
        "state": row["state"],
        "quota_mb": row["quota_mb"],
        "activated_at": moment(row["activated_at"]),
        "last_sign_in_at": moment(row["last_sign_in_at"]),
    }


def mailbox(source: Source, address: str) -> Record:
    """Everything about one mailbox; never a word of mail.

    Raises InputError `address-not-valid`, NotFound `mailbox-unknown`.
    """
    key = Address.parse(address).key
    seen = branches(source, "mailbox.agency_id")
    conditions = " AND ".join(("mailbox.address = :address", *seen.conditions))
    query = f"{seen.tables}{_ONE} WHERE {conditions}"
    row = next(iter(source.rows(query, address=key, **seen.values)), None)
    if row is None:
        raise NotFound("mailbox-unknown", address=key)
    number = row["id"]
    password = next(iter(source.rows(_LATEST, id=number)), None)
    had = (one["address"] for one in source.rows(_FORMER, id=number))
    former = [one for one in dict.fromkeys(had) if one != row["address"]]
    return {
        "address": row["address"],
        "name": row["display_name"],
        "kind": row["kind"],
        "staff_no": row["staff_no"] or "",
        "title": row["title"] or "",
        "agency": row["agency"],
        "agency_name": row["agency_name"],
        "state": row["state"],
        "suspend_reason": row["suspend_reason"],
        "suspended_at": moment(row["suspended_at"]),
        "suspended_until": day(row["suspended_until"]),
        "locked_at": moment(row["locked_at"]),
        "recalled_at": moment(row["recalled_at"]),
        "readable_until": day(row["readable_until"]),
        "kept_until": day(row["kept_until"]),
        "contact": row["contact"],
        "receipt": row["receipt"],
        "quota_mb": row["quota_mb"],
        "interagency_only": bool(row["interagency_only"]),
        "public_contact": bool(row["public_contact"]),
        "password": "set" if password else "none",
        "created_at": moment(row["created_at"]),
        "activated_at": moment(row["activated_at"]),
        "last_sign_in_at": moment(password["last_used_at"]) if password else None,
        "aliases": [one["address"] for one in source.rows(_ALIASES, id=number)],
        "send_as": [
            {"mailbox": one["address"], "rights": one["rights"], "until": day(one["until"])}
            for one in _inside(source, _DELEGATIONS, "mailbox.agency_id", number)
        ],
        "roles": [
            {"role": one["role"], "agency": one["code"] or "*"}
            for one in _inside(source, _ROLES, "role_grant.agency_id", number)
        ],
        "former_addresses": former,
        "history": changes_of_mailbox(source, (row["address"], *former)),
    }


def _inside(source: Source, query: str, agency: str, number: int) -> Iterator[Any]:
    """What belongs to a mailbox and to the branches that the source is kept to, by name."""
    seen = branches(source, agency)
    conditions = "".join(f" AND {condition}" for condition in seen.conditions)
    return iter(
        source.rows(f"{seen.tables}{query}{conditions} ORDER BY 1", id=number, **seen.values)
    )


_ONE = """SELECT mailbox.*, agency.code AS agency, agency.name_vi AS agency_name,
    person.staff_no, person.title
FROM mailbox JOIN agency ON agency.id = mailbox.agency_id
LEFT JOIN person ON person.id = mailbox.person_id"""

_LATEST = """SELECT last_used_at FROM credential
WHERE mailbox_id = :id AND kind = 'password' AND revoked_at IS NULL ORDER BY id DESC LIMIT 1"""

_ALIASES = "SELECT address FROM alias WHERE mailbox_id = :id ORDER BY address"

_FORMER = "SELECT address FROM former_address WHERE mailbox_id = :id ORDER BY id DESC"

_DELEGATIONS = """SELECT mailbox.address, delegation.rights, delegation.until
FROM delegation JOIN mailbox ON mailbox.id = delegation.mailbox_id
WHERE delegation.holder_id = :id"""

_ROLES = """SELECT role_grant.role, agency.code
FROM role_grant LEFT JOIN agency ON agency.id = role_grant.agency_id
WHERE role_grant.mailbox_id = :id"""
