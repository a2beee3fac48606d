"""Who may do what in which branch."""

import pytest

from mailgov import access
from mailgov.access import Role
from mailgov.db import Database
from mailgov.errors import NotAllowed

from ..support.directory import fill_directory


def test_a_branch_is_an_agency_and_all_below(any_database: Database) -> None:
    with any_database.write() as session:
        fill_directory(session)
    with any_database.read() as session:
        assert access.branch(session, "H99") == {"H99", "H99.02", "H99.02.01", "H99.47"}
        assert access.branch(session, "H99.02") == {"H99.02", "H99.02.01"}
        assert access.branch(session, "H98") == frozenset()


@pytest.mark.parametrize(
    ("roles", "act", "inside", "outside"),
    [
        ([Role("it", "H99.02")], "administer", "H99.02.01", "H99"),
        ([Role("it", "H99.02")], "trace", "H99.02", "H99.47"),
        ([Role("it", "H99.02")], "open-rows", None, "H99.02"),
        ([Role("auditor", "H99.47")], "report", "H99.47", "H99.02"),
        ([Role("auditor", "H99")], "administer", None, "H99"),
        ([Role("auditor")], "open-rows", "H99.02", None),
        ([Role("security-officer", "H99")], "secure", "H99.02", None),
        ([Role("it", "H99.47"), Role("auditor", "H99.02")], "report", "H99.47", "H99"),
        ([Role("king", "H99")], "report", None, "H99"),
        ([], "report", None, "H99"),
    ],
)
def test_roles_reach_their_branch_and_no_further(
    database: Database,
    roles: list[Role],
    act: access.Act,
    inside: str | None,
    outside: str | None,
) -> None:
    with database.write() as session:
        fill_directory(session)
    with database.read() as session:
        if inside is not None:
            access.require(session, roles, act, inside)
        if outside is not None:
            with pytest.raises(NotAllowed, match="not-allowed"):
                access.require(session, roles, act, outside)


def test_a_scope_says_whether_there_is_anything_at_all() -> None:
    assert not access.Scope()
    assert access.EVERYTHING
    assert "anything" in access.EVERYTHING
