"""A simple model of a year: who is where, called how, and who may do what, on any day.

It knows nothing of the platform: boxes and people in dictionaries, changed by the three lines that a rule
of the house takes, and asked day by day.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

DAY = timedelta(days=1)
QUOTA_MB = 5120


@dataclass
class Box:
    """A mailbox."""

    name: str  # of the model, never changes
    agency: str
    address: str
    staff: str = ""  # empty: what somebody left behind
    state: str = "active"
    quota_mb: int = QUOTA_MB
    aliases: dict[str, date] = field(default_factory=dict)  # with their last days
    suspended_until: date | None = None
    readable_until: date | None = None
    contact: "Box | None" = None
    forward: "tuple[Box, date] | None" = None
    locked: bool = False

    def opens(self) -> bool:
        """Whether its holder gets in."""
        return bool(self.staff) and self.state == "active" and not self.locked

    def passes_on(self, today: date) -> "Box | None":
        """Who gets its mail."""
        if self.forward is None or today > self.forward[1]:
            return None
        return self.forward[0]

    def at_the_door(self, today: date) -> tuple[str, str, str, int]:
        """Own address, state as senders find it, whom they are told, and quota."""
        state, told = self.state, ""
        if state == "recalled":
            if self.passes_on(today):
                state = "passing"
            if self.contact and self.readable_until and today <= self.readable_until:
                told = self.contact.address
        return self.address, state, told, self.quota_mb


@dataclass
class Model:
    """Everybody."""

    boxes: dict[str, Box] = field(default_factory=dict)

    def morning(self, today: date) -> None:
        """What ends by itself: suspensions on the day after their last one."""
        for box in self.boxes.values():
            if box.suspended_until and today > box.suspended_until:
                box.state, box.suspended_until = "active", None

    def transfer(self, name: str, to: str, address: str, days: int, mail: str, today: date) -> None:
        """Somebody goes to another agency."""
        box, last = self.boxes[name], today + days * DAY - DAY
        source, box.agency = box.agency, to
        old, box.address = box.address, address or box.address
        if not address:
            return
        if mail == "stay":
            kept = Box(f"{name}-left", source, old, state="recalled", quota_mb=box.quota_mb)
            kept.contact, kept.readable_until, kept.forward = box, last, (box, last)
            self.boxes[kept.name] = kept
        elif days:
            box.aliases[old] = last

    def leave(self, name: str, readable: date, contact: str, *, forward: bool) -> None:
        """Somebody leaves for good."""
        box = self.boxes[name]
        box.state, box.suspended_until, box.readable_until = "recalled", None, readable
        box.contact = self.boxes[contact] if contact else None
        box.forward = (self.boxes[contact], readable) if forward else None

    def merge(
        self, sources: list[str], into: str, domain: str, how: str, last: date, today: date
    ) -> None:
        """Agencies go into another; with `alias` and `rename` their people are called anew."""
        domains = {f"xa{code[-2:]}.tinh.test" for code in sources}
        last = last if how == "alias" else today - DAY
        for box in self.boxes.values():
            for alias in box.aliases if how != "keep" else ():
                if alias.partition("@")[2] in domains:  # the old domain ends for all
                    box.aliases[alias] = min(last, box.aliases[alias])
            if box.agency not in sources:
                continue
            box.agency = into
            if how == "keep" or box.state == "recalled":
                continue
            local, _, old_domain = box.address.partition("@")
            if old_domain not in domains:
                continue
            old, box.address = box.address, f"{local}@{domain}"
            if how == "alias":
                box.aliases[old] = last

    # What is asked ------------------------------------------------------------------------------

    def doors(self, today: date) -> dict[str, tuple[str, str, str, int]]:
        """Every address that leads somewhere, and where."""
        found = {}
        for box in self.boxes.values():
            for alias, last in box.aliases.items():
                if today <= last:
                    found[alias] = box.at_the_door(today)
        for box in self.boxes.values():
            found[box.address] = box.at_the_door(today)
        return found

    def open(self) -> set[str]:
        """Addresses whose holders get in."""
        return {box.address for box in self.boxes.values() if box.opens()}

    def passing(self, today: date) -> set[tuple[str, str]]:
        """From whom mail goes to whom."""
        return {
            (box.address, target.address)
            for box in self.boxes.values()
            if (target := box.passes_on(today)) and target.state == "active"
        }

    def figures(self, left: dict[str, date], today: date) -> dict[str, tuple[int, int]]:
        """By agency: people on the staff list, and those of them with an open mailbox."""
        found: dict[str, tuple[int, int]] = {}
        for box in self.boxes.values():
            if not box.staff or (box.staff in left and left[box.staff] <= today):
                continue
            people, provided = found.get(box.agency, (0, 0))
            found[box.agency] = (people + 1, provided + (box.state == "active"))
        return found
