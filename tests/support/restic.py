"""restic, as Debian packs it."""

import os
import shutil

import pytest


def require_restic() -> None:
    """Skip by name where restic is not installed; in CI that is a failure."""
    if shutil.which("restic") is None:
        if os.environ.get("CI"):
            pytest.fail("restic is not installed")
        pytest.skip("no restic on this machine")
