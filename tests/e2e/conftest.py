"""The platform of the whole folder: prepared once, its outgoing mail caught by a sink."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.platform import Platform, start
from ..support.sink import Sink


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    """The world beyond the province."""
    sink = Sink().start()
    yield sink
    sink.stop()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data of a platform that was started once and stopped; copy it, never start it."""
    folder = tmp_path_factory.mktemp("prepared") / "demo"
    platform = start(folder, "--no-samples")
    assert platform.stop() == 0
    return folder


@pytest.fixture(scope="session")
def platform(
    prepared: Path, sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform that all tests of the folder share; each uses subjects of its own."""
    from ..support.platform import copy_of

    folder = copy_of(prepared, tmp_path_factory.mktemp("shared") / "demo")
    environment = {"MAILGOV_DELIVERY__SMARTHOST": sink.address}
    platform = start(folder, "--no-samples", environment=environment)
    yield platform
    assert platform.stop() == 0
