"""Nobody writes in another's name: generated forgeries and honest letters on the real road.

How each shape is decided stands in docs/addresses.md.
"""

import re
from collections import Counter

from ...support.submission import Submission
from .shapes import COUNT, Message, forgeries, honest


async def replies_to(submission: Submission, messages: list[Message]) -> list[tuple[str, str]]:
    replies = await submission.submit([(one.sender, one.content) for one in messages])
    return list(zip((one.name for one in messages), replies, strict=True))


def reasons(answers: list[tuple[str, str]]) -> Counter[str]:
    """How often which code was the reason."""
    found = (re.match(r"(\d{3})[ -]\S+ (\[[\w-]+\])?", reply) for _, reply in answers)
    return Counter(" ".join(filter(None, match.groups())) if match else "?" for match in found)


async def test_no_forgery_passes(submission: Submission) -> None:
    messages = forgeries()
    assert len(messages) == len({one.name for one in messages}) == COUNT
    answers = await replies_to(submission, messages)
    print(f"\n{COUNT} forgeries: {dict(reasons(answers))}")
    assert [name for name, reply in answers if reply.startswith("2")] == []
    # Refused for good, not put off by some trouble.
    assert [(name, reply) for name, reply in answers if not reply.startswith("5")] == []
    assert submission.kept() == []


async def test_honest_letters_pass(submission: Submission) -> None:
    messages = honest()
    assert len(messages) >= 200
    answers = await replies_to(submission, messages)
    print(f"\n{len(messages)} honest letters: {dict(reasons(answers))}")
    assert [(name, reply) for name, reply in answers if not reply.startswith("2")] == []
    assert len(submission.kept()) == len(messages)
