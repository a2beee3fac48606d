"""The judge of the torture is judged: which copies are explained, and which are not."""

import pytest

from .books import unexplained

KEY = ("<1@torture.test>", "nguoinhan@ngoai.example")


@pytest.mark.parametrize(
    ("senders", "under_way_at_the_kill_of", "errors"),
    [
        ([], [], 0),
        (["one"], [], 0),
        (["one"], ["one"], 0),
        (["one", "two"], ["one"], 0),
        (["one", "two", "three"], ["one", "two"], 0),
        (["one", "two"], [], 1),  # the first one's result was known, or should have been
        (["one", "two"], ["two"], 1),
        (["one", "two", "three"], ["one"], 1),
        (["one", "one"], ["one"], 1),  # a process knows what it has sent
        (["one", "two", "one"], ["one", "two"], 1),
    ],
)
def test_each_copy_but_the_last_was_under_way_when_its_sender_was_killed(
    senders: list[str], under_way_at_the_kill_of: list[str], errors: int
) -> None:
    windows = {(name, KEY) for name in under_way_at_the_kill_of}
    assert len(list(unexplained({KEY: senders}, windows))) == errors
