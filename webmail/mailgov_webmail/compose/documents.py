"""The picker of document types: own recent ones, those of the e-mail regulations, the 29 forms."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailgov.texts import Language
from mailgov_policies.document_types import document_types, email_categories


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the picker."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Group:
    """Lines under one heading; `key` names the heading's text."""

    key: str
    choices: tuple[Choice, ...]


def groups(language: Language, recent: Iterable[str]) -> tuple[Group, ...]:
    """Headings and lines in their order. A line may stand under `recent` and once below."""
    own = tuple(Choice(key, label(key, language)) for key in recent if label(key, language))
    listed = tuple(_regulated(language))
    forms = tuple(
        Choice(kind.id, label(kind.id, language))
        for kind in document_types().values()
        if kind.formal
    )
    found = (Group("recent", own), Group("regulated", listed), Group("forms", forms))
    return tuple(group for group in found if group.choices)


def label(key: str, language: Language) -> str:
    """The name of a type or category, with the abbreviation used in notations: `Báo cáo (BC)`."""
    kind = document_types().get(key)
    if kind is not None:
        name = kind.vi if language == "vi" else kind.en
        return f"{name} ({kind.abbreviation})" if kind.abbreviation else name
    category = email_categories().get(key)
    if category is None:
        return ""
    return category.vi if language == "vi" else category.en


def _regulated(language: Language) -> Iterator[Choice]:
    """The kinds that e-mail regulations name. Where one is a form of the decree, it is that form."""
    forms = {kind.vi: kind.id for kind in document_types().values() if kind.email_basis == "listed"}
    for category in email_categories().values():
        key = forms.get(category.vi, category.id)
        yield Choice(key, label(key, language))
