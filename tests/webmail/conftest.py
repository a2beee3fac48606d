"""A webmail for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webmail import Browser, Site, make_data, make_site


@pytest.fixture(scope="session")
def webmail_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Database and spool to copy."""
    folder = tmp_path_factory.mktemp("webmail")
    make_data(folder)
    return folder


@pytest.fixture
def data_folder(webmail_data: Path, tmp_path: Path) -> Path:
    """Database and spool of this test."""
    return Path(shutil.copytree(webmail_data, tmp_path / "data"))


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    """A webmail with An and the office, nobody signed in."""
    made = make_site(data_folder)
    yield made
    made.close()


@pytest.fixture
def an(site: Site) -> Browser:
    """An, signed in, in a browser without script."""
    return site.signed_in()
