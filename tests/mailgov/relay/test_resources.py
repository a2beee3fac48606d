"""Disk and memory: what is let through at the edge, and how often it is measured."""

import resource
from pathlib import Path

import pytest

from mailgov.config import Limits
from mailgov.relay.resources import (
    Disk,
    FreeSpace,
    Memory,
    allow_descriptors,
    disk_of,
    resident_bytes,
)

MIB = 1 << 20


def limits(**changes: float) -> Limits:
    return Limits().model_copy(
        update={"free_bytes": 0, "free_share": 0.0, "free_inodes_share": 0.0, **changes}
    )


def space(disk: Disk, **changes: float) -> FreeSpace:
    return FreeSpace(lambda: disk, limits(**changes))


def test_free_space_is_measured_once_a_second() -> None:
    measured = iter([Disk(1000, 0), Disk(400, 0)])
    free = FreeSpace(lambda: next(measured), limits(free_bytes=300))
    assert free.allows(700, 0, 0.0)
    assert not free.allows(701, 0, 0.5)
    assert not free.allows(101, 0, 1.0)
    assert free.allows(100, 0, 1.1)


@pytest.mark.parametrize(("free", "allowed"), [(51, True), (50, True), (49, False)])
def test_a_share_of_the_disk_stays_free_for_small_messages_too(free: int, allowed: bool) -> None:
    assert space(Disk(free, 1000), free_share=0.05).allows(0, 0, 0.0) is allowed


@pytest.mark.parametrize(("free", "allowed"), [(101, True), (100, True), (99, False)])
def test_so_does_a_share_of_the_inodes(free: int, allowed: bool) -> None:
    disk = Disk(1 << 40, 1 << 40, free, 1000)
    assert space(disk, free_inodes_share=0.1).allows(0, 0, 0.0) is allowed


def test_a_file_system_without_inodes_is_not_short_of_them() -> None:
    assert space(Disk(1000, 1000, 0, 0), free_inodes_share=0.1).allows(0, 0, 0.0)


@pytest.mark.parametrize(("bodies", "allowed"), [(1, True), (2, True), (3, False)])
def test_room_is_kept_for_messages_that_are_just_coming_in(bodies: int, allowed: bool) -> None:
    """One and a half of the largest size for each."""
    assert space(Disk(3 * MIB, 0), message_bytes=MIB).allows(0, bodies, 0.0) is allowed


@pytest.mark.parametrize(
    ("held", "short", "full"),
    [(800, False, False), (801, True, False), (900, True, False), (901, True, True)],
)
def test_memory(held: int, short: bool, full: bool) -> None:
    memory = Memory(lambda: held, limits(memory_bytes=1000))
    assert memory.is_short(0.0) is short
    assert memory.is_full(0.0) is full


def test_memory_is_measured_once_a_second() -> None:
    measured = iter([0, 1000])
    memory = Memory(lambda: next(measured), limits(memory_bytes=1000))
    assert [memory.is_short(now) for now in (0.0, 0.9, 1.0, 1.1)] == [False, False, True, True]


def test_what_this_machine_says(tmp_path: Path) -> None:
    disk = disk_of(tmp_path)
    assert 0 < disk.free_bytes <= disk.bytes
    assert 10 * MIB < resident_bytes() < 1 << 40


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [(1024, 524_288, 3024), (1024, 2000, 2000), (8000, 8000, 8000), (1024, -1, 3024), (-1, -1, -1)],
)
def test_descriptors_for_all_connections(
    soft: int, hard: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems give a process 1,024 unless it asks for more."""
    changed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: changed.append(limits))
    assert allow_descriptors(2000) == wanted
    assert changed == ([] if wanted == soft else [(wanted, hard)])


@pytest.mark.parametrize(("bodies", "crowded"), [(0, False), (1, False), (2, True)])
def test_messages_that_claim_half_the_disk_must_hurry(bodies: int, crowded: bool) -> None:
    assert space(Disk(4 * MIB, 0), message_bytes=MIB).is_crowded(bodies, 0.0) is crowded
