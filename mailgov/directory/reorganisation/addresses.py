"""Who is called how after a merger: the same local part in the new domain where that is free.

Whoever has an address keeps it. Among those who come, the agency that was named first comes first,
then whoever had a mailbox earlier; the others get a number, since the unit that told them apart is
no more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlmodel import Session, col, select

from mailgov.access import whole
from mailgov.db.models import Agency, Alias, FormerAddress, Mailbox
from mailgov.directory.former import kept_since
from mailgov.directory.naming import free_forms
from mailgov.errors import Conflict

_AT_ONCE = 1000  # values in one statement


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox that a merger concerns."""

    id: int
    address: str
    kind: str
    name: str
    agency_id: int
    domain_id: int
    state: str
    home: str


@dataclass(frozen=True, slots=True)
class NewAddress:
    """The address that a mailbox gets."""

    box: Box
    new: str
    wanted: str  # what it would be if that were free
    clash: str = ""  # who has that: name and agency
    leads_to: int = 0  # mailbox that the old address leads to from then on, if it is another one


def give_addresses(
    session: Session,
    boxes: Sequence[Box],
    domains: Mapping[int, str],
    office: Box | None,
    former_offices: Collection[int],
    today: date,
) -> list[NewAddress]:
    """New addresses for mailboxes by their domain's successor.

    A former office gets an address that says of which unit it was, and its old address leads to the
    office of the merged agency. Raises Conflict `no-free-address`.
    """
    taken = _taken(session, set(domains.values()), today)
    given: list[tuple[Box, str, str, int]] = []
    for box in boxes:
        local, _, old_domain = box.address.partition("@")
        is_former = box.id in former_offices
        if is_former:
            local = f"{local}.{old_domain.partition('.')[0]}"
        wanted = f"{local}@{domains[box.domain_id]}"
        new = _free(local, domains[box.domain_id], taken, box.id)
        holder = taken.get(wanted, 0) if new != wanted else 0
        taken[new] = box.id
        given.append((box, new, wanted, holder))
    names = _holders(session, {holder for *_, holder in given if holder})
    lead = office.id if office else 0
    return [
        NewAddress(box, new, wanted, names.get(holder, ""), lead if box.id in former_offices else 0)
        for box, new, wanted, holder in given
    ]


def _free(local: str, domain: str, taken: Mapping[str, int], box_id: int) -> str:
    first = f"{local}@{domain}"
    if taken.get(first, box_id) == box_id:
        return first
    for form in free_forms(local):
        if (key := f"{form}@{domain}") not in taken:
            return key
    raise Conflict("no-free-address", address=first)


def _taken(session: Session, domains: Collection[str], today: date) -> dict[str, int]:
    """Every address of the domains with its mailbox: own ones, aliases, and former ones kept back."""
    found: dict[str, int] = {}
    for domain in sorted(domains):
        ending = f"@{domain}"
        former = select(FormerAddress.address, FormerAddress.mailbox_id).where(
            col(FormerAddress.address).endswith(ending, autoescape=True),
            col(FormerAddress.until) > kept_since(today),
        )
        homes = select(Mailbox.home, Mailbox.id).where(
            col(Mailbox.home).endswith(ending, autoescape=True)
        )
        aliases = select(Alias.address, Alias.mailbox_id).where(
            col(Alias.address).endswith(ending, autoescape=True)
        )
        own = select(Mailbox.address, Mailbox.id).where(
            col(Mailbox.address).endswith(ending, autoescape=True)
        )
        for query in (former, homes, aliases, own):
            # Also those of others, whom somebody who acts in one branch does not see.
            found |= {address: number or 0 for address, number in session.exec(whole(query))}
    return found


def _holders(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Names with agencies, as people are told who has an address."""
    found: dict[int, str] = {}
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        query = (
            select(Mailbox.id, Mailbox.display_name, Agency.name_vi)
            .join(Agency, col(Agency.id) == col(Mailbox.agency_id))
            .where(col(Mailbox.id).in_(ordered[start : start + _AT_ONCE]))
        )
        found |= {one: f"{name} ({agency})" for one, name, agency in session.exec(query) if one}
    return found
