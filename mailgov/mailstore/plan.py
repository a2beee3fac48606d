"""What a Dovecot is to do, before it is said in the language of one of its versions."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Version = Literal["2.3", "2.4"]
Feature = Literal["sieve", "managesieve", "lmtp", "xapian"]
Listener = tuple[str, int]

SHARED = "Dùng chung"
"""Folder below which holders of delegations find the mailboxes that they may read."""
# What a filter of a user may not do, because the platform does it under its own rules: automatic
# answers, notices, refusals.
FORBIDDEN_IN_FILTERS = (
    "vacation", "vacation-seconds", "enotify", "reject", "vnd.dovecot.report",
)  # fmt: skip
# Acts that are written to the log, of which some are acts of use.
LOGGED_ACTS = ("flag_change", "copy", "delete", "expunge", "save")
_PARTS: dict[Feature, str] = {
    "sieve": "modules/lib90_sieve_plugin.so",
    "managesieve": "managesieve",
    "lmtp": "lmtp",
    "xapian": "modules/lib21_fts_xapian_plugin.so",
}
FEATURES: frozenset[Feature] = frozenset(_PARTS)
_LIBRARIES = Path("/usr/lib/dovecot")


@dataclass(frozen=True, slots=True)
class Places:
    """Files and identity of one Dovecot."""

    folder: Path  # configuration and password files
    run: Path  # sockets and process ids
    user: str
    group: str
    uid: int
    gid: int

    @property
    def configuration(self) -> Path:
        return self.folder / "dovecot.conf"

    @property
    def users(self) -> Path:
        return self.folder / "users"

    @property
    def homes(self) -> Path:
        """Where mail lies, also that of mailboxes that nobody opens."""
        return self.folder / "homes"

    @property
    def apps(self) -> Path:
        return self.folder / "apps"

    @property
    def masters(self) -> tuple[Path, Path]:
        """The tokens of the webmail that are good now: the even one, the odd one."""
        return self.folder / "masters-even", self.folder / "masters-odd"

    @property
    def shared(self) -> Path:
        """Who finds whose mailbox among those shared with them."""
        return self.folder / "shared"

    @property
    def first_filter(self) -> Path:
        """The filter that runs before those of users."""
        return self.folder / "first.sieve"

    @property
    def database(self) -> Path:
        """Connection and questions, where passwords come from PostgreSQL."""
        return self.folder / "database.conf"

    @property
    def lmtp(self) -> Path:
        return self.run / "lmtp"


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a sign-in is asked about and reported (auth policy), and the field that proves us."""

    url: str
    header: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Questions:
    """SQL that answers who users are, and how to reach the PostgreSQL that knows."""

    connection: str
    master: str
    password: str
    app_password: str
    user: str
    everybody: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a configuration says."""

    places: Places
    imap: Listener
    in_clear: bool  # only on loopback
    certificate: Path
    private_key: Path
    connections: int
    connections_per_user: int
    features: frozenset[Feature] = frozenset()
    sieve: Listener | None = None  # ManageSieve
    lmtp: Listener | None = None  # beside the socket file
    full_mailbox: Literal["temporary", "permanent"] = "temporary"
    app_key: str = ""
    asking: Asking | None = None
    questions: Questions | None = None  # else files that mailgov writes
    is_child: bool = True  # of ours; else of the system's, as its own service
    trusted_proxies: tuple[str, ...] = ()
    is_proxy: bool = False  # passes sessions on to the backend of each mailbox
    backend_authorities: Path | None = None  # who may vouch for backends

    @property
    def protocols(self) -> list[str]:
        """What it speaks."""
        found = ["imap"]
        if "lmtp" in self.features:
            found.append("lmtp")
        if self.sieve is not None and "managesieve" in self.features:
            found.append("sieve")
        return found

    @property
    def filters(self) -> bool:
        """Whether users have filters: mail must come in over LMTP for that."""
        return {"sieve", "lmtp"} <= self.features


def features(libraries: Path = _LIBRARIES) -> frozenset[Feature]:
    """What of Dovecot's further packages is installed. Blocks on the disk."""
    return frozenset(name for name, part in _PARTS.items() if (libraries / part).exists())


def installed_version(binary: str) -> str:
    """The version of the program, such as `2.3.19.1`; empty when it is not there. Blocks."""
    program = shutil.which(binary)
    if program is None or shutil.which("setpriv") is None:
        return ""
    answer = subprocess.run(  # noqa: S603 - the program the operator named
        [program, "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    return answer.stdout.split(" ")[0].strip()
