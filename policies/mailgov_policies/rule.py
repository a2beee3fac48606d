"""What a rule is: a name, a version, and a pure function from facts to what it saw."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mailgov_policies.facts import Facts
from mailgov_policies.verdict import Action, Hit

DIRECTIONS = ("submission", "inbound", "internal")

Setting = int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """Numbers and lists of a rule: its own defaults, with what the row of a ruleset changes."""

    values: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))

    def number(self, name: str) -> float:
        """The number of that name."""
        value = self.values[name]
        assert isinstance(value, int | float)
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """The list of that name."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def changed(self, changes: Mapping[str, Setting]) -> "Settings":
        """The same settings with these laid over them."""
        return Settings(MappingProxyType({**self.values, **changes}))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It says what it saw; the ruleset says how grave that is."""

    key: str  # the public code of its findings, everywhere
    id: str  # row in docs/basis.md: A01 …
    version: int  # raise it whenever the same message could be judged otherwise
    check: Callable[[Facts, Settings], Iterator[Hit]]
    evidence: tuple[str, ...]  # keys that every hit fills, for the places in the texts
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
    cases: tuple[str, ...] = ()  # values of the evidence `case`, each with an action of its own
    directions: tuple[str, ...] = DIRECTIONS  # where the rule has a meaning at all
    least: Action = Action.PASS  # the mildest action a ruleset may give it
    words: Mapping[str, str] = field(  # of a rule that a ruleset adds: its sentence, by language
        default_factory=lambda: MappingProxyType({})
    )
    condition: str = ""  # of such a rule: when it strikes
