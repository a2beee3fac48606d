"""A webmail for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webmail import Browser, Site, make_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A webmail with An and the office, nobody signed in."""
    made = make_site(tmp_path)
    yield made
    made.close()


@pytest.fixture
def an(site: Site) -> Browser:
    """An, signed in, in a browser without script."""
    return site.signed_in()
