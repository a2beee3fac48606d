"""Failures and places on both engines, also when several write them at once."""

import asyncio
from datetime import datetime, timedelta

from sqlmodel import select

from mailgov.config import Limits, SignIn
from mailgov.db import Database
from mailgov.db.models import Instance, KnownPlace, SignInFailure
from mailgov.directory.provisioning import add_app_password
from mailgov.directory.sign_in import Attempt, SignIns

from ...support.directory import AN, NOW, act, fill_directory

TIMES = 12


async def test_failures_and_places_of_many_at_once(any_database: Database) -> None:
    with any_database.write() as session:
        fill_directory(session)
    moment = NOW

    def now() -> datetime:
        return moment

    first, second = (SignIns(any_database, now, Limits(), SignIn()) for _ in range(2))
    wrong = Attempt(AN, "", "imap", "203.0.113.9")
    await asyncio.gather(
        *(one.checked_elsewhere(wrong, success=False) for one in (first, second) * (TIMES // 2))
    )
    right = Attempt(AN, "", "imap", "10.1.2.3")
    with any_database.write() as session:
        new = add_app_password(session, act(), AN, label="máy")
    number = int(new.change.changes["id"][1])
    await asyncio.gather(
        *(
            one.checked_elsewhere(right, success=True, app_password=number)
            for one in (first, second)
        )
    )
    with any_database.read() as session:
        (failure,) = session.exec(select(SignInFailure)).all()
        places = session.exec(select(KnownPlace.value)).all()
        keys = session.exec(select(Instance).where(Instance.key == "sign-in-key")).all()
    assert (failure.failures, failure.since) == (TIMES, NOW)
    assert (places, len(keys)) == (["10.1.2.0/24"], 1)
    moment += timedelta(days=1)
    await first.checked_elsewhere(wrong, success=False)
    with any_database.read() as session:
        (failure,) = session.exec(select(SignInFailure)).all()
    assert (failure.failures, failure.since) == (1, moment)
    for one in (first, second):
        one.close()
