"""The command line with streams of its own, for fixtures that outlive a test."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from mailgov_cli.app import main

from .conftest import Result


def run_outside(folder: Path) -> Callable[..., Result]:
    """Run command lines in a folder; each sees it as the working folder."""

    def run(*args: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        before = Path.cwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(list(args))
        finally:
            os.chdir(before)
        return Result(out.getvalue(), err.getvalue(), code)

    return run
