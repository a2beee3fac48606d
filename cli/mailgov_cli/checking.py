"""Judging files at the terminal: the gate without relay, directory and queue.

What the session and the directory would say comes from options or from a manifest; the content is
read in the same sandboxed processes as mail from strangers, and judged by the same engine.
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path

from mailgov import message
from mailgov.addresses import is_within
from mailgov.config import Config
from mailgov.errors import InputError
from mailgov.readers import ReaderPool
from mailgov.trust_roots import read_trust_roots
from mailgov_policies import (
    Authentication,
    Content,
    Envelope,
    Facts,
    RecipientFacts,
    Ruleset,
    Verdict,
    judge,
)
from mailgov_policies.domains import domain_of
from mailgov_policies.facts import AuthResult
from mailgov_policies.freemail import is_freemail

DIRECTIONS = ("submission", "inbound")
AUTH_RESULTS: tuple[AuthResult, ...] = (
    "pass",
    "fail",
    "softfail",
    "neutral",
    "none",
    "temperror",
    "permerror",
)
_AT_ONCE = 16  # messages in memory while the readers work
_FEW = 8  # messages that are read sooner by one reader than after starting more

_METHOD = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
_DMARC_POLICY = re.compile(
    r"(?:\bpolicy\.(?:published-domain-policy|dmarc)\s*=\s*|\(\s*p=)(none|quarantine|reject)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the directory and the configuration would say."""

    official_suffixes: tuple[str, ...] = ("gov.vn", "chinhphu.vn")
    local_domains: tuple[str, ...] | None = None  # None: our side of each message
    free_domains: tuple[str, ...] = ()  # besides those of the table
    may_send_as: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by login
    max_content_bytes: int = 25 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """A message to judge, and how it came."""

    file: str  # as it was named
    data: bytes
    direction: str = "submission"
    mail_from: str | None = None  # None: the address in From
    recipients: tuple[str, ...] = ()  # none: those in To and Cc
    login: str | None = None  # None: the sender
    authentication: Authentication = field(default_factory=Authentication)
    helo: str = ""
    surroundings: Surroundings = field(default_factory=Surroundings)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, without its bytes, and what was found."""

    case: Case
    facts: Facts
    verdict: Verdict


def read_file(name: str) -> bytes:
    """The bytes of a message; `-` is stdin. Bare line feeds of text files become CRLF.

    Raises InputError `message-unreadable`.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        raise InputError("message-unreadable", file=name, reason=exc.strerror or exc) from exc
    # Programs save mail with the line ends of the system; on the wire they would be CRLF.
    return data if b"\r\n" in data else data.replace(b"\n", b"\r\n")


def read_authentication(path: Path) -> Authentication:
    """The results in a file that holds Authentication-Results (RFC 8601).

    Raises InputError `file-unreadable`, `auth-results-not-valid`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("file-unreadable", file=path, reason=exc) from exc
    found = {method.lower(): result.lower() for method, result in _METHOD.findall(text)}
    if not found or not set(found.values()) <= set(AUTH_RESULTS):
        raise InputError("auth-results-not-valid", file=path)
    policy = _DMARC_POLICY.search(text)
    return authentication_of(found, policy[1].lower() if policy else "")


def authentication_of(results: dict[str, str], dmarc_policy: str = "") -> Authentication:
    """Results by method; methods that are not named are `none`. Raises KeyError, ValueError."""
    known: dict[str, AuthResult] = {result: result for result in AUTH_RESULTS}
    return Authentication(
        spf=known[results.get("spf", "none")],
        dkim=known[results.get("dkim", "none")],
        dmarc=known[results.get("dmarc", "none")],
        dmarc_policy=dmarc_policy,
    )


def judge_all(
    cases: Iterable[Case],
    count: int,
    config: Config,
    ruleset: Ruleset,
    on: date,
    trust_roots: Sequence[Path],
) -> Iterator[Judged]:
    """Every case, read by sandboxed readers and judged on that day.

    `count` is how many cases there are at most; `trust_roots` vouch for signatures. Raises
    Unavailable, InputError `trust-roots-unreadable`.
    """
    roots = read_trust_roots(trust_roots)
    readers = config.readers
    if count <= _FEW:
        readers = readers.model_copy(update={"processes": 1})
    with asyncio.Runner() as runner:
        pool = ReaderPool(readers, config.limits, trust_roots=roots)
        runner.run(pool.start())
        try:
            remaining = iter(cases)
            while batch := tuple(islice(remaining, _AT_ONCE)):
                for case, content in zip(batch, runner.run(_contents(pool, batch)), strict=True):
                    facts = facts_of(case, content)
                    yield Judged(replace(case, data=b""), facts, judge(facts, ruleset, on))
        finally:
            runner.run(pool.close())


async def _contents(pool: ReaderPool, cases: Sequence[Case]) -> list[Content]:
    return await asyncio.gather(*(pool.read(_body(case.data)) for case in cases))


def _body(data: bytes) -> message.Body:
    return message.Body(len(data), hashlib.sha256(data).digest(), data=data)


def facts_of(case: Case, content: Content) -> Facts:
    """Content and surroundings put together."""
    header = content.header
    authors = [person.address for person in header.from_]
    mail_from = case.mail_from if case.mail_from is not None else next(iter(authors), "")
    mail_from = mail_from.lower()
    recipients = case.recipients or tuple(p.address for p in (*header.to, *header.cc))
    around = case.surroundings
    if around.local_domains is None:
        ours = [mail_from] if case.direction == "submission" else recipients
        around = replace(around, local_domains=tuple({domain_of(a): None for a in ours if a}))
    login = (case.login if case.login is not None else mail_from).lower()
    submitted = case.direction == "submission"
    return Facts(
        Envelope(
            direction="submission" if submitted else "inbound",
            mail_from=mail_from,
            recipients=tuple(_recipient(address.lower(), around) for address in recipients),
            login=login if submitted else "",
            may_send_as=around.may_send_as.get(login, (login,)) if submitted else (),
            sender_local=domain_of(mail_from) in (around.local_domains or ()),
            local_domains=around.local_domains or (),
            official_suffixes=around.official_suffixes,
            freemail_domains=tuple(
                dict.fromkeys(
                    domain_of(address)
                    for address in (mail_from, *authors, *recipients)
                    if is_freemail(domain_of(address), around.free_domains)
                )
            ),
            authentication=case.authentication,
            helo=case.helo,
            max_content_bytes=around.max_content_bytes,
        ),
        content,
    )


def _recipient(address: str, around: Surroundings) -> RecipientFacts:
    domain = domain_of(address)
    ours = around.local_domains or ()
    return RecipientFacts(
        address=address,
        domain=domain,
        local=domain in ours,
        official=domain in ours or is_within(domain, around.official_suffixes),
        freemail=is_freemail(domain, around.free_domains),
    )
