"""The ruleset of each agency: the files of its ancestors and its own, laid over one another.

Which agencies stand above it is asked of the directory for every message, so that a change of the
tree holds at once. Files are read again when the folder says that one has changed, looked at once
a second at most. A file that is edited into a fault leaves the rules in force that held before it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlmodel import Session, select

from mailgov.db import Database
from mailgov.db.models import Agency
from mailgov.errors import InputError, Unavailable
from mailgov.logs import logger
from mailgov.rulesets.files import agency_files, below, lay
from mailgov_policies import Facts, Problem, Rule, Ruleset, Verdict, joint_verdict, judge

_FRESH_SECONDS = 1.0
_DEEPEST = 16  # levels of the tree

Stamp = Mapping[Path, tuple[int, int]]

log = logger("rulesets")


class AgencyRulesets:
    """Judges by the rules of those concerned. One for each process.

    `base` holds for all; `folder` has the files of agencies, none when it is None.
    """

    def __init__(
        self,
        base: Ruleset,
        folder: Path | None,
        database: Database,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = base
        self._folder = folder
        self._database = database
        self._monotonic = monotonic
        self._files: Mapping[str, Path] = {}
        self._stamp: Stamp = {}
        self._looked_at = float("-inf")
        self._laid: dict[tuple[str, ...], Ruleset] = {}
        self._before: dict[tuple[str, ...], Ruleset] = {}
        self._own: Mapping[str, Rule] | None = None  # of all files; read when asked for

    def check(self) -> None:
        """Read every file once. Raises InputError with all that is wrong with any of them."""
        if self._folder is None:
            return
        faulty: dict[str, InputError] = {}
        for path in agency_files(self._folder).values():
            try:
                lay(path, below(path, self._base))
            except InputError as exc:  # of a file above it too, which is told once
                faulty.setdefault(str(exc.fields.get("file")), exc)
        if len(faulty) == 1:
            raise next(iter(faulty.values()))
        if faulty:
            problems = [one for name, exc in faulty.items() for one in _told_of(name, exc)]
            raise InputError("rulesets-not-valid", files=len(faulty), problems=tuple(problems))

    async def judge(self, facts: Facts, on: date) -> Verdict:
        """The verdict on a message that day.

        Mail that is sent obeys the sender's agency; mail that arrives, that of each recipient: then
        the gravest outcome counts. Raises Unavailable `ruleset-not-valid` when an agency's rules
        can't be read, and when the database can't serve.
        """
        if self._folder is None:
            return judge(facts, self._base, on)
        parts = await self._parts(facts)
        return joint_verdict([judge(part, ruleset, on) for part, ruleset in parts])

    async def _parts(self, facts: Facts) -> list[tuple[Facts, Ruleset]]:
        """The facts as each ruleset is asked about them: with the recipients that it binds."""
        envelope = facts.envelope
        if envelope.direction != "inbound" or not envelope.recipients:
            return [(facts, await self.of(envelope.agency))]
        bound: dict[int, tuple[Ruleset, set[str]]] = {}
        for agency in dict.fromkeys(recipient.agency for recipient in envelope.recipients):
            ruleset = await self.of(agency)
            bound.setdefault(id(ruleset), (ruleset, set()))[1].add(agency)
        return [
            (replace(facts, envelope=replace(envelope, recipients=recipients)), ruleset)
            for ruleset, agencies in bound.values()
            if (recipients := tuple(r for r in envelope.recipients if r.agency in agencies))
        ]

    async def of(self, agency: str) -> Ruleset:
        """The rules of an agency. Raises Unavailable."""
        if self._folder is None:
            return self._base
        await asyncio.to_thread(self._look)
        if not agency or not self._files:
            return self._base
        codes = await self._database.query(lambda session: lineage(session, agency))
        return await asyncio.to_thread(self._of, tuple(c for c in codes if c in self._files))

    async def own_rule(self, key: str) -> Rule | None:
        """The rule of that name that some ruleset has added, for its words. Raises Unavailable."""
        if (rule := self._base.rule(key)) is not None or self._folder is None:
            return rule
        return (await asyncio.to_thread(self._own_rules)).get(key)

    def _own_rules(self) -> Mapping[str, Rule]:
        self._look()
        if self._own is None:
            self._own = {
                rule.key: rule for path in self._files.values() for rule in self._added(path)
            }
        return self._own

    def _added(self, path: Path) -> tuple[Rule, ...]:
        try:
            return lay(path, below(path, self._base)).own
        except InputError:  # it may need what stands above it; `_of` tells what is wrong
            return ()

    def laid(self, session: Session, agency: str, *, above: bool = False) -> Ruleset:
        """The same for those who wait; with `above` without the agency's own file.

        Raises Unavailable as `of`.
        """
        if self._folder is None:
            return self._base
        self._look()
        codes = tuple(code for code in lineage(session, agency) if code in self._files)
        return self._of(tuple(code for code in codes if not above or code != agency))

    def _look(self) -> None:
        """Notice files that are new, gone or changed."""
        assert self._folder is not None
        now = self._monotonic()
        if now - self._looked_at < _FRESH_SECONDS:
            return
        try:
            files = agency_files(self._folder)
            stamp = {path: _stamp(path) for path in files.values()}
        except (InputError, OSError) as exc:
            log.warning("rulesets.unreadable", folder=str(self._folder), reason=str(exc))
            if self._looked_at < 0:
                raise Unavailable("ruleset-unreadable", file=self._folder, reason=exc) from exc
            return
        self._looked_at = now
        if stamp != self._stamp:
            self._files, self._stamp = files, stamp
            self._before, self._laid = {**self._before, **self._laid}, {}
            self._own = None

    def _of(self, codes: tuple[str, ...]) -> Ruleset:
        """The files of these agencies over each other, the highest first."""
        if not codes:
            return self._base
        if codes in self._laid:
            return self._laid[codes]
        path = self._files[codes[-1]]
        try:
            ruleset = lay(path, self._of(codes[:-1]))
        except InputError as exc:
            log.warning("rulesets.not-valid", file=str(path), reason=str(exc))
            if codes not in self._before:
                raise Unavailable(exc.code, **exc.fields) from exc
            ruleset = self._before[codes]
        self._laid[codes] = ruleset
        return ruleset


def _told_of(file: str, error: InputError) -> list[Problem | str]:
    """The faults of a file with its name; a file that can't be read has one."""
    problems = error.fields.get("problems")
    if isinstance(problems, tuple):
        return [replace(one, file=Path(file).name) for one in problems]
    return [f"{Path(file).name}: {error.fields.get('reason', error.code)}"]


def lineage(session: Session, code: str) -> tuple[str, ...]:
    """Codes of the agencies above this one, the highest first, and its own; empty when unknown."""
    found: list[str] = []
    row = session.exec(select(Agency.code, Agency.parent_id).where(Agency.code == code)).first()
    while row is not None and len(found) < _DEEPEST:
        found.append(row[0])
        above = select(Agency.code, Agency.parent_id).where(Agency.id == row[1])
        row = session.exec(above).first() if row[1] is not None else None
    return tuple(reversed(found))


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size
