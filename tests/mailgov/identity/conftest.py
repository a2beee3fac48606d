"""The road of a submission, once for each test, on data made once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ...support.relay import Authority
from ...support.submission import Submission, make_data, running_submission


@pytest.fixture(scope="session")
def submission_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy."""
    folder = tmp_path_factory.mktemp("identity")
    make_data(folder)
    return folder


@pytest.fixture
async def submission(submission_data: Path, tmp_path: Path) -> AsyncIterator[Submission]:
    """A running front."""
    authority = Authority(tmp_path)
    async with running_submission(submission_data, tmp_path / "data", authority) as running:
        yield running
