"""Signing in by password and app password, and what guessing leads to."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from mailgov.config import Limits, SignIn
from mailgov.db import Database
from mailgov.db.models import Credential, EventRow, KnownPlace, Mailbox, SecondFactor, SignInFailure
from mailgov.directory import Directory, listing, sign_in
from mailgov.directory.provisioning import (
    add_app_password,
    grant_send_as,
    resume,
    revoke_app_password,
    revoke_delegation,
    set_password,
    suspend,
)
from mailgov.directory.sign_in import Attempt, Channel
from mailgov.directory.tokens import may_be_app_password, new_app_password
from mailgov.errors import Conflict, InputError, NotAllowed, NotFound

from ...support.directory import AN, NOW, OFFICE, PASSWORD, SUFFIXES, act

HOME, NEAR, FAR = "10.1.2.3", "10.1.2.200", "203.0.113.9"


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def now() -> Now:
    return Now()


Open = Callable[..., Directory]


@pytest.fixture
def opened(filled: Database, now: Now) -> Iterator[Open]:
    """Directories on the one database, as processes that come one after the other."""
    made = []

    def make(limits: dict[str, int] | None = None, **settings: Any) -> Directory:
        directory = Directory(
            filled,
            now,
            Limits().model_copy(update=limits or {}),
            official_suffixes=SUFFIXES,
            settings=SignIn(**settings),
        )
        made.append(directory)
        return directory

    yield make
    for directory in made:
        directory.close()


def app_password(database: Database, *scopes: str, address: str = AN) -> str:
    with database.write() as session:
        new = add_app_password(
            session, act(), address, label="máy bàn", scopes=scopes or ("imap", "smtp")
        )
    return new.password


def turn_on_second_factor(database: Database) -> None:
    with database.write() as session:
        mailbox = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        session.add(SecondFactor(mailbox_id=mailbox.id or 0, secret="", confirmed_at=NOW))


def events(database: Database, kind: str) -> list[dict[str, Any]]:
    with database.read() as session:
        rows = session.exec(
            select(EventRow).where(EventRow.kind == kind).order_by(col(EventRow.id))
        )
        return [{"mailbox": row.mailbox, **row.data} for row in rows]


# App passwords


def test_app_passwords_are_random_and_of_one_form() -> None:
    made = {new_app_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(one) == 34 and may_be_app_password(one) for one in made)
    assert not any(may_be_app_password(text) for text in ("", "a-b-c-d-e-f-g", PASSWORD))


@pytest.mark.parametrize("scopes", [("imap",), ("smtp",), ("dav",), ("imap", "smtp")])
async def test_an_app_password_opens_what_it_is_for_and_nothing_else(
    opened: Open, filled: Database, scopes: tuple[str, ...]
) -> None:
    password = app_password(filled, *scopes)
    channels: tuple[Channel, ...] = ("web", "smtp", "imap", "dav")
    directory = opened()
    answers = {
        channel: await directory.sign_in(AN, password, channel=channel, ip=HOME)
        for channel in channels
    }
    assert {channel for channel, account in answers.items() if account} == set(scopes)


async def test_an_app_password_opens_no_other_mailbox(opened: Open, filled: Database) -> None:
    password = app_password(filled)
    assert await opened().sign_in(OFFICE, password, channel="smtp", ip=HOME) is None


async def test_only_a_digest_is_kept(filled: Database) -> None:
    password = app_password(filled)
    with filled.read() as session:
        row = session.exec(select(Credential).where(Credential.kind == "app")).one()
    assert password not in f"{row!r} {row.hash} {row.verifier}"
    assert len(row.hash) == 64
    assert password not in str(events(filled, "directory.changed"))


async def test_an_app_password_works_until_it_is_revoked(opened: Open, filled: Database) -> None:
    directory = opened()
    password, other = app_password(filled), app_password(filled)
    with filled.write() as session:
        row = session.exec(select(Credential).where(Credential.kind == "app")).first()
        assert row is not None
        change = revoke_app_password(session, act("mất máy"), AN, row.id or 0)
        assert revoke_app_password(session, act("mất máy"), AN, row.id or 0).nothing
    assert (change.verb, change.changes["label"]) == ("revoke", ("máy bàn", ""))
    assert await directory.sign_in(AN, password, channel="imap", ip=HOME) is None
    assert await directory.sign_in(AN, other, channel="imap", ip=HOME) is not None


@pytest.mark.parametrize("state", ["suspended", "recalled"])
async def test_a_closed_mailbox_opens_with_nothing(
    opened: Open, filled: Database, state: str
) -> None:
    directory, password = opened(), app_password(filled)
    with filled.write() as session:
        mailbox = session.exec(select(Mailbox).where(Mailbox.address == AN)).one()
        mailbox.state = state
    tried: list[tuple[str, Channel]] = [(password, "smtp"), (password, "imap"), (PASSWORD, "imap")]
    if state == "recalled":  # a suspended one is read in the webmail
        tried.append((PASSWORD, "web"))
    for secret, channel in tried:
        assert await directory.sign_in(AN, secret, channel=channel, ip=HOME) is None


async def test_a_new_password_leaves_programs_alone(opened: Open, filled: Database) -> None:
    password = app_password(filled)
    with filled.write() as session:
        set_password(session, act(), AN, "Mua dong 7 cay so!")
    assert await opened().sign_in(AN, password, channel="imap", ip=HOME) is not None


async def test_last_use_is_noted_with_its_place(opened: Open, filled: Database, now: Now) -> None:
    directory, password = opened(), app_password(filled)
    await directory.sign_in(AN, password, channel="imap", ip=HOME)
    now.moment += timedelta(minutes=59)
    await directory.sign_in(AN, password, channel="imap", ip=FAR)
    with filled.read() as session:
        row = session.exec(select(Credential).where(Credential.kind == "app")).one()
        assert (row.last_used_at, row.last_used_from) == (NOW, HOME)
    now.moment += timedelta(minutes=2)
    await directory.sign_in(AN, password, channel="imap", ip=FAR)
    with filled.read() as session:
        row = session.exec(select(Credential).where(Credential.kind == "app")).one()
        assert (row.last_used_at, row.last_used_from) == (now.moment, FAR)
    assert len(events(filled, "sign-in")) == 2  # of a program that signs in again and again


@pytest.mark.parametrize(
    ("label", "scopes", "code"),
    [
        ("", ("imap",), "app-password-label"),
        ("a" * 61, ("imap",), "app-password-label"),
        ("a\nb\x07", ("imap",), "app-password-label"),
        ("máy", (), "app-password-scope"),
        ("máy", ("web",), "app-password-scope"),
    ],
)
def test_an_app_password_needs_a_name_and_a_purpose(
    filled: Database, label: str, scopes: tuple[str, ...], code: str
) -> None:
    with filled.write() as session, pytest.raises(InputError, match=code):
        add_app_password(session, act(), AN, label=label, scopes=scopes)


def test_there_are_so_many_app_passwords_and_no_more(filled: Database) -> None:
    with filled.write() as session:
        for _ in range(3):
            add_app_password(session, act(), AN, label="máy", most=3)
        with pytest.raises(Conflict, match="app-passwords-too-many"):
            add_app_password(session, act(), AN, label="máy", most=3)


def test_nobody_revokes_what_is_anothers(filled: Database) -> None:
    app_password(filled)
    with filled.write() as session:
        row = session.exec(select(Credential).where(Credential.kind == "app")).one()
        main = session.exec(select(Credential).where(Credential.kind == "password")).one()
        for address, number in ((OFFICE, row.id), (AN, main.id), (AN, 99)):
            with pytest.raises(NotFound, match="app-password-unknown"):
                revoke_app_password(session, act(), address, number or 0)


async def test_scram_needs_the_app_password_and_tells_nobodys_name_apart(
    opened: Open, filled: Database
) -> None:
    directory, password = opened(), app_password(filled, "smtp")
    app_password(filled, "imap")
    scram = await directory.sign_ins.scram(Attempt(AN, "", "smtp", HOME))
    (app,) = scram.apps
    algorithm, parameters, keys = app.verifier.split("$")
    assert (algorithm, parameters) == (
        "SCRAM-SHA-256",
        f"4096:{base64.b64encode(scram.salt).decode()}",
    )
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), scram.salt, scram.iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    assert base64.b64decode(keys.split(":")[0]) == hashlib.sha256(client).digest()
    assert await directory.sign_ins.proved(scram, app) == AN
    nobody = await directory.sign_ins.scram(Attempt("khong.co@tinhmau.test", "", "smtp", HOME))
    again = await directory.sign_ins.scram(Attempt("KHONG.co@tinhmau.test", "", "smtp", HOME))
    assert len(nobody.salt) == len(scram.salt)
    assert (nobody.salt, nobody.apps) == (again.salt, ())
    assert await directory.sign_ins.proved(nobody, None) is None


# What opens programs


@pytest.mark.parametrize(
    ("programs", "second_factor", "opens"),
    [
        ("password", False, True),
        ("password", True, True),
        ("until-second-factor", False, True),
        ("until-second-factor", True, False),
        ("app-password", False, False),
        ("app-password", True, False),
    ],
)
@pytest.mark.parametrize("channel", ["smtp", "imap", "dav"])
async def test_whether_the_persons_password_opens_programs(
    opened: Open,
    filled: Database,
    programs: str,
    second_factor: bool,
    opens: bool,
    channel: Channel,
) -> None:
    if second_factor:
        turn_on_second_factor(filled)
    directory = opened(programs=programs)
    account = await directory.sign_in(AN, PASSWORD, channel=channel, ip=HOME)
    assert (account is not None) is opens
    web = await directory.sign_in(AN, PASSWORD, channel="web", ip=HOME)
    assert web is not None
    assert web.second_factor is second_factor


async def test_with_a_second_factor_the_password_alone_is_no_sign_in(
    opened: Open, filled: Database
) -> None:
    turn_on_second_factor(filled)
    await opened().sign_in(AN, PASSWORD, channel="web", ip=HOME)
    assert events(filled, "sign-in") == []
    with filled.read() as session:
        assert session.exec(select(KnownPlace)).all() == []


# Guessing


async def guess(directory: Directory, name: str, ip: str, times: int = 1) -> list[str]:
    """What a stranger gets to hear, in turn."""
    heard = []
    for _ in range(times):
        try:
            account = await directory.sign_in(name, "sai-mat-khau", channel="web", ip=ip)
            heard.append("wrong" if account is None else "right")
        except NotAllowed as error:
            heard.append(error.code)
    return heard


@pytest.mark.parametrize("name", [AN, "khong.co@tinhmau.test", "khong phai dia chi"])
async def test_strangers_hear_the_same_whether_the_name_is_somebodys(
    opened: Open, filled: Database, now: Now, name: str
) -> None:
    limits = {"failed_logins_per_minute": 2, "failed_logins_per_day": 3}
    directory = opened(limits)
    assert await guess(directory, name, FAR, 3) == ["wrong", "wrong", "sign-in-later"]
    now.moment += timedelta(minutes=2)
    assert await guess(directory, name, FAR, 2) == ["wrong", "sign-in-later"]
    again = opened(limits)  # the day is remembered over a start
    now.moment += timedelta(minutes=2)
    assert await guess(again, name.upper(), FAR) == ["sign-in-later"]
    now.moment += timedelta(days=1)
    assert await guess(again, name, FAR) == ["wrong"]
    with filled.read() as session:
        rows = session.exec(select(SignInFailure)).all()
    assert [(len(row.name_hash), row.network, row.failures) for row in rows] == [
        (64, "203.0.113.0/24", 1)
    ]


async def test_strangers_all_over_the_world_lock_nobody_out_where_she_is_known(
    opened: Open, filled: Database, now: Now
) -> None:
    directory = opened({"failed_logins_of_account": 5})
    assert await directory.sign_in(AN, PASSWORD, ip=HOME, browser="token") is not None
    for number in range(8):
        now.moment += timedelta(seconds=10)
        heard = await guess(directory, AN, f"198.51.{number}.7")
        assert heard == (["wrong"] if number < 5 else ["sign-in-later"])
    assert await directory.sign_in(AN, PASSWORD, ip=NEAR) is not None  # the known network
    assert await directory.sign_in(AN, PASSWORD, ip=FAR, browser="token") is not None
    password = app_password(filled)
    assert await directory.sign_in(AN, password, channel="imap", ip="192.0.2.77") is not None
    with pytest.raises(NotAllowed, match="sign-in-later"):
        await directory.sign_in(AN, PASSWORD, ip="198.18.2.78")
    now.moment += timedelta(days=1)
    assert await directory.sign_in(AN, PASSWORD, ip="198.18.2.78") is not None


async def test_a_stranger_in_the_same_network_stops_neither_browser_nor_program(
    opened: Open, filled: Database, now: Now
) -> None:
    directory = opened({"failed_logins_per_minute": 3})
    assert await directory.sign_in(AN, PASSWORD, ip=HOME, browser="token") is not None
    assert (await guess(directory, AN, NEAR, 4))[-1] == "sign-in-later"
    assert await directory.sign_in(AN, PASSWORD, ip=HOME, browser="token") is not None
    assert await directory.sign_in(AN, app_password(filled), channel="smtp", ip=HOME) is not None


async def test_places_are_forgotten(opened: Open, filled: Database, now: Now) -> None:
    directory = opened({"failed_logins_of_account": 1})
    await directory.sign_in(AN, PASSWORD, ip=HOME)
    now.moment += timedelta(days=61)
    await guess(directory, AN, FAR)
    with pytest.raises(NotAllowed):
        await directory.sign_in(AN, PASSWORD, ip=HOME)


async def test_another_browsers_token_is_no_pass(opened: Open, now: Now) -> None:
    directory = opened({"failed_logins_of_account": 1})
    await directory.sign_in(AN, PASSWORD, ip=HOME, browser="token")
    await guess(directory, AN, FAR)
    with pytest.raises(NotAllowed):
        await directory.sign_in(AN, PASSWORD, ip=FAR, browser="other")


async def test_held_guessing_is_told_once_an_hour(opened: Open, filled: Database, now: Now) -> None:
    directory = opened({"failed_logins_per_minute": 1})
    await guess(directory, AN, FAR, 5)
    held = {"channel": "web", "bound": "place-minute", "network": "203.0.113.0/24"}
    assert events(filled, "sign-ins.held") == [{"mailbox": AN, **held}]
    now.moment += timedelta(hours=1)
    await guess(directory, AN, FAR, 3)
    assert len(events(filled, "sign-ins.held")) == 2


async def test_a_flood_of_names_leaves_a_bounded_table(
    opened: Open, filled: Database, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_MOST_FAILURES", 5)
    directory = opened()
    for number in range(9):
        now.moment += timedelta(minutes=11)
        await guess(directory, f"ten{number}@tinhmau.test", FAR)
    with filled.read() as session:
        assert len(session.exec(select(SignInFailure)).all()) <= 6


async def test_a_resumed_mailbox_takes_its_programs_back(opened: Open, filled: Database) -> None:
    directory, password = opened(), app_password(filled)
    with filled.write() as session:
        suspend(session, act("nghỉ"), AN)
    assert await directory.sign_in(AN, password, channel="smtp", ip=HOME) is None
    with filled.write() as session:
        resume(session, act(), AN)
    assert await directory.sign_in(AN, password, channel="smtp", ip=HOME) is not None


async def test_whoever_looks_at_sign_ins_says_why(opened: Open, filled: Database, now: Now) -> None:
    directory = opened({"failed_logins_per_minute": 1})
    await directory.sign_in(AN, PASSWORD, ip=HOME)
    await guess(directory, AN, FAR, 2)
    with filled.write() as session:
        rows = listing.sign_ins(session, act("nghi lộ mật khẩu"), AN)
        assert listing.sign_ins(session, act("như trên"), AN, since=NOW + timedelta(1)) == []
        with pytest.raises(InputError, match="reason-missing"):
            listing.sign_ins(session, act(" "), AN)
    assert [(row["channel"], row["result"], row["from"]) for row in rows] == [
        ("web", "held", "203.0.113.0/24"),
        ("web", "no", FAR),
        ("web", "yes", HOME),
    ]
    looked = events(filled, "report.run")
    assert [one["reason"] for one in looked] == ["nghi lộ mật khẩu", "như trên"]


async def test_a_delegation_ends_when_it_is_revoked(opened: Open, filled: Database) -> None:
    directory = opened()
    with filled.write() as session:
        for rights in ("send-as", "on-behalf", "read"):
            grant_send_as(session, act(), mailbox=OFFICE, holder=AN, rights=rights)
    account = await directory.account(AN)
    assert account is not None
    assert (account.may_send_as, account.on_behalf_of) == ((AN, OFFICE), (OFFICE,))
    with filled.write() as session:
        for rights in ("send-as", "on-behalf"):
            change = revoke_delegation(session, act(), mailbox=OFFICE, holder=AN, rights=rights)
            assert change.verb == "revoke"
            assert revoke_delegation(
                session, act(), mailbox=OFFICE, holder=AN, rights=rights
            ).nothing
    account = await directory.account(AN)
    assert account is not None
    assert (account.may_send_as, account.on_behalf_of) == ((AN,), ())


@pytest.mark.parametrize(
    ("until", "closed", "holds"),
    [
        (date(2026, 11, 21), False, True),
        (date(2026, 11, 20), False, False),
        (None, True, False),
    ],
    ids=["last day", "day after", "mailbox is suspended"],
)
async def test_writing_on_behalf_has_an_end(
    opened: Open, filled: Database, until: date | None, closed: bool, holds: bool
) -> None:
    with filled.write() as session:
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN, rights="on-behalf", until=until)
        if closed:
            suspend(session, act("kiểm tra"), OFFICE)
    account = await opened().account(AN)
    assert account is not None
    assert account.on_behalf_of == ((OFFICE,) if holds else ())


async def test_a_server_that_checks_passwords_itself_has_the_same_bounds(
    opened: Open, filled: Database
) -> None:
    directory = opened({"failed_logins_per_minute": 2})
    attempt = Attempt(AN, "", "imap", FAR)
    for _ in range(2):
        assert await directory.sign_ins.permits(attempt)
        await directory.sign_ins.checked_elsewhere(attempt, success=False)
    assert not await directory.sign_ins.permits(attempt)
    assert await directory.sign_ins.permits(Attempt(AN, "", "imap", HOME))
    assert [one["success"] for one in events(filled, "sign-in")] == [False, False]
    assert [one["bound"] for one in events(filled, "sign-ins.held")] == ["place-minute"]
    nobody = Attempt("khong.co@tinhmau.test", "", "imap", FAR)
    await directory.sign_ins.checked_elsewhere(nobody, success=False)
    assert await directory.sign_ins.permits(nobody)


async def test_use_at_such_a_server_is_noted(opened: Open, filled: Database) -> None:
    directory = opened()
    app_password(filled)
    with filled.read() as session:
        number = session.exec(select(Credential.id).where(Credential.kind == "app")).one()
    attempt = Attempt(AN, "", "imap", FAR)
    await directory.sign_ins.checked_elsewhere(attempt, success=True, app_password=number)
    await directory.sign_ins.checked_elsewhere(attempt, success=True, app_password=number)
    with filled.read() as session:
        used = session.get_one(Credential, number).last_used_from
        places = session.exec(select(KnownPlace.value)).all()
    assert (used, places) == (FAR, ["203.0.113.0/24"])
    assert len(events(filled, "sign-in")) == 1
