"""Syncs that fail are the last ones; a quota is found by writing."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailgov import durable


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    yield
    durable.trust_again()


def broken(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def test_after_a_failed_sync_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def fsync(handle: int) -> None:
        made.append(handle)
        raise broken(errno.EIO)

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):
        with pytest.raises(OSError, match=r"error|earlier"):
            durable.sync_path(tmp_path)
    assert len(made) == 1
    assert "fsync" in durable.failure()


def test_a_sync_of_the_same_file_waits_until_a_failure_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def fsync(handle: int) -> None:
        made.append(handle)
        begun.set()
        go_on.wait(30)
        raise broken(errno.EIO)

    monkeypatch.setattr(os, "fsync", fsync)
    told: list[OSError] = []

    def sync() -> None:
        try:
            durable.sync_path(tmp_path)
        except OSError as exc:
            told.append(exc)

    first, second = threading.Thread(target=sync), threading.Thread(target=sync)
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.1)
    go_on.set()
    first.join(30)
    second.join(30)
    assert len(made) == 1
    assert len(told) == 2


@pytest.mark.parametrize(
    ("code", "has_room"), [(None, True), (errno.EDQUOT, False), (errno.ENOSPC, False)]
)
def test_room_is_what_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, has_room: bool
) -> None:
    class Full:
        def write(self, _data: bytes) -> None:
            if code is not None:
                raise broken(code)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            return

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    assert durable.has_room(tmp_path) is has_room


def test_a_folder_that_takes_nothing_is_another_trouble(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        durable.has_room(tmp_path / "none")
