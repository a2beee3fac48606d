"""The agency tree as a report needs it: a top, its parts, and which part a unit lies in."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session, select

from mailgov.db.models import Agency
from mailgov.errors import NotFound


@dataclass(frozen=True, slots=True)
class Unit:
    """An agency in a report."""

    code: str
    name_vi: str
    name_en: str
    level: str
    headcount: int
    parent: str  # code; empty at the top of the state


@dataclass(frozen=True, slots=True)
class Tree:
    """A branch: `top` None means the whole forest."""

    top: Unit | None
    units: Mapping[str, Unit]  # every unit of the branch, by code, the top included

    @classmethod
    def read(cls, session: Session, agency: str = "") -> "Tree":
        """The branch of an agency as it stands. Raises NotFound `agency-unknown`."""
        rows = list(session.exec(select(Agency).order_by(Agency.code)))
        codes = {row.id: row.code for row in rows}
        every = {
            row.code: Unit(
                row.code, row.name_vi, row.name_en, row.level, row.headcount,
                codes.get(row.parent_id, ""),
            )
            for row in rows
        }  # fmt: skip
        if not agency:
            return cls(None, every)
        if agency not in every:
            raise NotFound("agency-unknown", agency=agency)
        inside = {code: unit for code, unit in every.items() if _lies_in(code, agency, every)}
        return cls(every[agency], inside)

    @property
    def parts(self) -> list[Unit]:
        """The units just below the top, and the top itself for its own people; by code."""
        own = [self.top] if self.top else []
        below = self.top.code if self.top else ""
        return own + [
            unit for unit in self.units.values() if unit.parent == below and unit != self.top
        ]

    def branch_below_top(self, code: str) -> str:
        """The code of the part that a unit of the branch lies in."""
        top = self.top.code if self.top else ""
        while code != top and (parent := self.units[code].parent) != top:
            code = parent
        return code

    def __contains__(self, code: object) -> bool:
        return code in self.units


def _lies_in(code: str, branch: str, units: Mapping[str, Unit]) -> bool:
    while code and code != branch:
        code = units[code].parent
    return code == branch
