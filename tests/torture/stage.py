"""Where a fault is tried: an installation, the load on it, and what lies outside of it."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import books
from .books import Row, balance, eventually
from .load import Key, Load
from .load import World as Outside
from .world import DiedAtStart, Server, World

REACH_SECONDS, DRAIN_SECONDS = 120.0, 240.0
DISTRUST_EXIT_CODE = 9
_NUMBERS = itertools.count(1)


@dataclass
class Stage:
    """A world, the load on it, and what lies outside of it."""

    world: World
    outside: Outside
    load: Load = field(default_factory=Load)
    windows: set[tuple[str, Key]] = field(default_factory=set)  # by process: under way at its kill
    before: Mapping[Key, Sequence[str]] = field(default_factory=dict)  # sent before all this
    _names: set[str] = field(default_factory=set)
    _notes_lost: int = 0

    def start(
        self,
        fault: str = "",
        *,
        roles: Sequence[str] = ("relay", "deliver"),
        before: Sequence[str] = (),
    ) -> Server:
        """A server with a name of its own, so that others can say who sent what.

        Raises DiedAtStart when the fault struck before it was ready.
        """
        self.world.hostname = f"life-{next(_NUMBERS)}.tinhmau.gov.vn"
        self._names.add(self.world.hostname)
        self.world.write_config()
        try:
            return self.world.start(fault, roles=roles, before=before)
        except DiedAtStart:
            self.note_flights(self.world.hostname)
            raise

    def load_for(self, server: Server, seconds: float) -> None:
        """Send for a while, or until the server dies."""
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        self.load.run(server, stop=stop)
        timer.cancel()

    def load_until(self, server: Server, check: Callable[[], bool]) -> None:
        """Send until something has come about, or the server dies; not for ever."""
        stop = threading.Event()
        sending = threading.Thread(target=self.load.run, args=(server,), kwargs={"stop": stop})
        sending.start()
        eventually(lambda: server.is_dead or check(), REACH_SECONDS)
        stop.set()
        sending.join()

    def kill(self, server: Server) -> None:
        """End it at once; what it had under way may be sent once more."""
        server.kill()
        self.note_flights(server.name)

    def note_flights(self, name: str) -> None:
        """What has a lease was under way when the process of that name was killed."""
        self.windows |= {(name, key) for key in books.under_way(self.world)}

    def note_end(self, server: Server) -> None:
        """A server that ended by itself has left a note of what was under way, or said that it can't."""
        lost = self.world.log.read_text().count("results.lost")
        if lost > self._notes_lost:
            self.note_flights(server.name)
        self._notes_lost = lost

    def copies(self) -> dict[Key, list[str]]:
        """What the world was given by our servers and before them, each copy by its sender."""
        copies = {key: list(senders) for key, senders in self.before.items()}
        for key, senders in self.outside.copies().items():
            if ours := [sender for sender in senders if sender in self._names]:
                copies[key] = copies.get(key, []) + ours
        return copies

    def drain(self, row: Row, server: Server | None = None) -> None:
        """Let a server without faults deliver everything, stop it, and draw up the balance."""
        server = server or self.start()
        if not eventually(lambda: books.queued(self.world) == 0, DRAIN_SECONDS):
            row.troubles.append("not drained")
        if spared := books.poison(self.world):
            # Somebody has looked at them: the kills were ours, not the message's.
            for queue_id in spared:  # many at once need two persons
                self.world.cli("queue", "release", queue_id, "--reason", "torture")
            row.note = f"{len(spared)} messages had been set aside after three kills; released"
            if not eventually(lambda: books.queued(self.world) == 0, DRAIN_SECONDS):
                row.troubles.append("not drained after a release")
        if (code := server.stop()) != 0:
            row.troubles.append(f"stopped with exit code {code}")
        balance(self.world, self.copies(), self.windows, self.load, row)
        told = self.world.cli("audit", "conserve")[0]
        if not told["balanced"]:
            row.troubles.append(f"mailgov audit conserve: {told}")


@contextmanager
def stage(folder: Path, *, url: str = "", data: Path | None = None) -> Iterator[Stage]:
    """A new installation in a folder."""
    with Outside() as outside:
        world = World(folder, outside.address, url, data or folder / "data")
        yield Stage(world.settle(), outside)
