"""Any order of claims, results, crashes and time: nothing is lost, nothing ends twice."""

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlmodel import SQLModel

from mailgov.db import Database
from mailgov.queue import QueueItem
from mailgov.queue.conserve import conserve
from mailgov.queue.item import Notice, Result
from mailgov.queue.results import count_ours

from .samples import accept, bench, message

DESTINATIONS = ["a.vn", "b.vn", "c.vn"]


class QueueLife(RuleBasedStateMachine):
    """One queue; `held` are the claims that somebody still believes to have."""

    @initialize()
    def prepare(self) -> None:
        """An empty queue in a folder of its own."""
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        path = Path(self.folder.name)
        self.database = Database(f"sqlite:///{path / 'mailgov.db'}", readers=1)
        with self.database.write() as session:
            SQLModel.metadata.create_all(session.connection())
        self.made = bench(self.database, path)
        self.claimed: list[QueueItem] = []
        self.accepted = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for something asynchronous."""
        return self.loop.run_until_complete(work)

    @rule(domains=st.lists(st.sampled_from(DESTINATIONS), min_size=1, max_size=4))
    def accept(self, domains: list[str]) -> None:
        """A message comes in."""
        recipients = [f"u{number}@{domain}" for number, domain in enumerate(domains)]
        accept(self.database, message(*recipients, at=self.made.now))
        self.accepted += len(recipients)

    @rule(count=st.integers(1, 3), bound=st.integers(0, 2))
    def claim(self, count: int, bound: int) -> None:
        """A worker takes some."""
        items = self.run(self.made.queue.claim(count, lambda _: bound))
        believed = {item.recipient_id for item in self.claimed if self.is_ours(item)}
        assert believed.isdisjoint(item.recipient_id for item in items)
        self.claimed += items

    def is_ours(self, item: QueueItem) -> bool:
        """Whether a claim still counts."""
        with self.database.read() as session:
            return bool(count_ours(session, [item]))

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), state=st.sampled_from(["delivered", "queued", "bounced"]))
    def settle(self, data: st.DataObject, state: Any) -> None:
        """A result comes, maybe too late; a bounce brings a notice."""
        item = data.draw(st.sampled_from(self.claimed))
        self.claimed.remove(item)
        counts = self.is_ours(item)
        at = self.made.now + timedelta(minutes=5) if state == "queued" else None
        notices = []
        if state == "bounced":
            told = message("an@d.vn", sender="", at=self.made.now)
            notices.append(Notice(told, {item.recipient_id: "failure"}))
        counted = self.run(self.made.queue.settle([Result(item, state, "reply", at)], notices))
        assert len(counted) == int(counts)
        self.accepted += int(counts and state == "bounced")

    @precondition(lambda self: self.claimed)
    @rule()
    def give_back(self) -> None:
        """A worker stops in order."""
        self.run(self.made.queue.release(self.claimed))
        self.claimed = []

    @rule()
    def crash(self) -> None:
        """The process dies and starts again; late results of the dead may still come."""
        self.made = bench(self.database, Path(self.folder.name))
        self.run(self.made.queue.recover())

    @rule(minutes=st.sampled_from([1, 5, 15, 60]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.made.later(minutes=minutes)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every accepted recipient is somewhere, once."""
        if not hasattr(self, "database"):
            return
        with self.database.read() as session:
            balance = conserve(session)
        assert balance.discrepancies == []
        assert balance.states.total() == balance.accepted == self.accepted

    def teardown(self) -> None:
        """Close what was opened."""
        if hasattr(self, "database"):
            self.loop.close()
            self.database.close()
            self.folder.cleanup()


TestQueueLife = QueueLife.TestCase
TestQueueLife.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
