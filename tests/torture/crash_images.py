"""Power cuts: the disk as it would be found, many times under load; each is mounted and recovered."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .books import Row
from .load import Key, Load
from .stage import Stage, stage
from .world import World

_PROGRAM = Path(__file__).with_name("volatile_disk.py")
_NO_SYNC = (
    "strace", "-D", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "--trace=fsync,fdatasync",
    "--inject=fsync,fdatasync:retval=0",
)  # fmt: skip
CONTROLS = ("no-fsync", "nosync-body", "nosync-mailbox")


class VolatileDisk:
    """A disk whose cache is lost in a power cut, with a file system that is mounted at `data`."""

    def __init__(self, folder: Path) -> None:
        self._fuse, self.mounted = folder / "fuse", folder / "disk"
        self._fuse.mkdir()
        self.mounted.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(self._fuse)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told("mounted")
        disk = self._fuse / "disk"
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0", str(disk))
        _run("mount", "-o", "loop", str(disk), str(self.mounted))

    def _told(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said == word, f"the disk said {said!r}"

    def crash(self, seed: int, image: Path) -> None:
        """What a power cut now would leave."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"crash {seed} {image}\n")
        self._process.stdin.flush()
        self._told("done")

    def close(self) -> None:
        """Unmount and end."""
        _run("umount", str(self.mounted))
        _run("umount", str(self._fuse))
        self._process.communicate(timeout=30)


@contextmanager
def volatile_disk(folder: Path) -> Iterator[VolatileDisk]:
    """Such a disk; gone at the end."""
    disk = VolatileDisk(folder)
    try:
        yield disk
    finally:
        disk.close()


def power_cuts(times: int, folder: Path, chance: random.Random, *, control: str = "") -> Row:
    """Take images under load and recover each; `control` leaves syncs out, so mail must be lost."""
    row = Row(f"power cut{f', {control}: must lose' if control else ''}", times)
    with volatile_disk(folder) as disk, stage(folder, data=disk.mounted / "data") as on:
        _run("sync", "-f", str(disk.mounted))  # what was prepared is not what is tried
        taken = _images(on, disk, times, chance, control)
        for number, image in enumerate(taken):
            found = _recovered(on, image, folder / f"after.{number}")
            image.path.unlink()
            row.accepted += found.accepted
            row.delivered += found.delivered
            row.bounced += found.bounced
            row.held += found.held
            row.queued += found.queued
            row.lost += found.lost
            row.twice_mailbox += found.twice_mailbox
            row.twice_smtp += found.twice_smtp
            row.troubles += [] if control else found.troubles
    if control:
        row.note = f"{row.lost} lost without these syncs, as it must be"
        row.troubles = [] if row.lost else ["nothing was lost: the test does not see"]
        row.lost = 0
    return row


@dataclass(frozen=True)
class Image:
    """A disk after a power cut, and what others know of the time before it."""

    path: Path
    load: Load  # answered by then
    sent: Mapping[Key, Sequence[str]]  # copies that others had when the image was begun
    sent_after: Mapping[Key, Sequence[str]]  # and when it was done


def _images(
    on: Stage, disk: VolatileDisk, times: int, chance: random.Random, control: str
) -> list[Image]:
    """Take images of a disk under load."""
    fault = control if control.startswith("nosync") else ""
    server = on.start(fault, before=_NO_SYNC if control == "no-fsync" else ())
    stop = threading.Event()
    sending = threading.Thread(target=on.load.run, args=(server,), kwargs={"stop": stop})
    sending.start()
    taken = []
    for number in range(times):
        stop.wait(chance.uniform(0.5, 1.5))
        known, sent = on.load.so_far(), on.outside.copies()
        path = disk.mounted.parent / f"image.{number}"
        disk.crash(chance.getrandbits(32), path)
        taken.append(Image(path, known, sent, on.outside.copies()))
    stop.set()
    sending.join()
    server.kill()
    return taken


def _recovered(on: Stage, image: Image, folder: Path) -> Row:
    """Mount, let the server recover and deliver, and draw up the balance."""
    row = Row("", 1)
    mounted = folder / "disk"
    mounted.mkdir(parents=True)
    _run("mount", "-o", "loop", str(image.path), str(mounted))
    try:
        world = World(folder, on.world.smarthost, data=mounted / "data")
        branch = Stage(world, on.outside, image.load, before=image.sent_after)
        for key, senders in image.sent_after.items():
            if senders != image.sent.get(key):  # sent while the image was taken
                branch.windows |= {(sender, key) for sender in senders}
        for name in {sender for senders in image.sent.values() for sender in senders}:
            branch.note_flights(name)
        branch.drain(row)
    finally:
        _run("umount", str(mounted))
    return row


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
