"""Whose mailbox a provider's claims mean. Accounts are never made here."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlmodel import Session, select

from mailgov.addresses import Address
from mailgov.db.models import Mailbox, Person
from mailgov.directory import queries
from mailgov.errors import InputError
from mailgov.oidc.provider import Claims


@dataclass(frozen=True, slots=True)
class Found:
    """An account, and whether the provider has seen a second factor."""

    account: queries.Account
    second_factor: bool


def find_account(
    session: Session,
    claims: Claims,
    today: date,
    *,
    match: Literal["email", "staff-number"],
    staff_claim: str,
    second_factor: Collection[str],
) -> Found | None:
    """The open mailbox of a person that the claims mean; None when there is none.

    An address counts only where the provider has verified it. `second_factor` are the values of
    `amr` (RFC 8176) and `acr` that stand for one.
    """
    key = (
        _verified_address(claims) if match == "email" else _of_number(session, claims, staff_claim)
    )
    account = queries.account(session, key, today) if key else None
    if account is None or account.kind != "person":
        return None
    if account.state != "active" and not account.only_reads:
        return None
    amr = claims.get("amr")
    said = {str(claims.get("acr", "")), *(map(str, amr) if isinstance(amr, list) else ())}
    return Found(account, bool(said & set(second_factor)))


def _verified_address(claims: Claims) -> str:
    if claims.get("email_verified") is not True:
        return ""
    try:
        return Address.parse(str(claims.get("email", ""))).key
    except InputError:
        return ""


def _of_number(session: Session, claims: Claims, claim: str) -> str:
    number = claims.get(claim)
    if not isinstance(number, str) or not number.strip():
        return ""
    query = (
        select(Mailbox.address)
        .join(Person)
        .where(Person.staff_no == number.strip(), Mailbox.kind == "person")
    )
    return session.exec(query.where(Mailbox.state != "recalled")).first() or ""
