"""A relay for each test, certificates for all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ...support.relay import Authority, Relay, running_relay


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Certificates below the test's folder."""
    return Authority(tmp_path)


@pytest.fixture
async def relay(tmp_path: Path, authority: Authority) -> AsyncIterator[Relay]:
    """A relay with default limits."""
    async with running_relay(tmp_path, authority) as relay:
        yield relay
