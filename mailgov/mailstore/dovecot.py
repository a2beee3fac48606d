"""Dovecot as a child of ours: start, supervision, stop.

It runs as whoever runs us. Root is special: Dovecot refuses to open mail as root, so its processes
become the packaged user `dovecot`, with the one capability to read and write files that are root's
(CAP_DAC_OVERRIDE). So nothing below the data folder changes hands, and the same folder serves either
engine. `setpriv` of util-linux does this, and ties the child's life to ours.

Its index files and uidlists are its own business: nobody else writes them.
"""

import asyncio
import grp
import os
import pwd
import re
import secrets
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mailgov.clock import Clock, utc_now
from mailgov.config import Config
from mailgov.errors import ConfigError, Unavailable
from mailgov.logs import logger
from mailgov.mailstore import master, sharing
from mailgov.mailstore.acts import Act, read_act
from mailgov.mailstore.languages import LANGUAGES
from mailgov.mailstore.plan import Asking, Places, Plan, Version, features, installed_version
from mailgov.mailstore.policy import PolicyServer
from mailgov.mailstore.reach import is_loopback, not_bound, split
from mailgov.mailstore.users import (
    Change,
    User,
    apps_file,
    homes_file,
    passwd_file,
    write_whole,
)

START_SECONDS, STOP_SECONDS = 20.0, 10.0
TOKENS_SECONDS = 10.0  # between looks at the clock, much less than half a period of `master`
NOTICED_SECONDS = 1.1  # Dovecot looks at its password file once in a second of the clock
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
_SOCKET_PATH_BYTES = 107  # sockaddr_un; the longest name below base_dir has under 30
_SOCKET_NAME_BYTES = 30
_UNFIT_PATH = re.compile(r"[:\"#%\\\n]")  # signs with a meaning in Dovecot's files
_ENDED_BY_US = "Killed with signal 15"
_LEVELS = {"Debug": "debug", "Info": "debug", "Warning": "warning"}
_LOG_LINE = re.compile(
    r"(?P<service>.*?): (?P<level>Debug|Info|Warning|Error|Fatal|Panic): (?P<text>.*)"
)

log = logger("mailstore")


def usable(config: Config) -> bool:
    """Whether Dovecot, of a version whose language we write, can be run here. Blocks."""
    if _language(installed_version(config.mailstore.dovecot_binary)) is None:
        return False
    try:
        _identity()
    except Unavailable:
        return False
    return not _UNFIT_PATH.search(str(config.data.path))


def _language(version: str) -> Version | None:
    return next((known for known in LANGUAGES if version.startswith(f"{known}.")), None)


class DovecotChild:
    """One Dovecot, started again when it dies. `apply` tells it who its users are.

    `app_key` is what digests of app passwords begin with; empty: there are none. `policy` bounds
    guessing; it starts and ends with Dovecot. `on_act` is told what people do to their mail.
    """

    def __init__(
        self,
        config: Config,
        app_key: str = "",
        policy: PolicyServer | None = None,
        on_act: Callable[[Act], None] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._config = config
        self._app_key = app_key
        self._policy = policy
        self._on_act = on_act
        self._clock = clock
        self._key = b""
        self._masters = master.Good("", "")  # as they are in the files
        self._renewal: asyncio.Task[None] | None = None
        self._rights: dict[str, User] = {}  # whose files of rights are as the directory says
        self._folder = config.data.path / "dovecot"
        self._places: Places | None = None
        self._listen = ("", 0)
        self.filters_at: tuple[str, int] | None = None  # where ManageSieve listens
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._logs: asyncio.Task[None] | None = None
        self._last_error = ""
        self._unsubscribed: set[tuple[str, str]] = set()

    async def apply(self, change: Change) -> None:
        """Take over the users as they are now and end the sessions of those who are out.

        Raises Unavailable `mailstore-start-failed` when the file can't be written.
        """
        try:
            found = await asyncio.to_thread(self._write_users, change)
        except OSError as exc:
            raise Unavailable("mailstore-start-failed", reason=exc.strerror) from exc
        self._unsubscribed |= found
        if self._process is not None:
            if change.ended:
                await asyncio.sleep(NOTICED_SECONDS)
            for address in sorted(change.ended):
                await self._administer("kick", address)  # that there was no session is no trouble
            await self._subscribe()

    def _write_users(self, change: Change) -> set[tuple[str, str]]:
        """Write every file about users; holder and mailbox of what was not shared before."""
        data, everybody = self._config.data.path, change.users + change.closed
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = [user for user in everybody if self._has_new_rights(user)]
        sharing.write_rights(changed, data)
        self._rights |= {user.address: user for user in everybody}
        shared = self._folder / "shared"
        before = shared.read_text("utf-8") if shared.exists() else ""
        text = sharing.shared_file(everybody)
        write_whole(shared, text)
        write_whole(self._folder / "apps", apps_file(change.users))
        write_whole(self._folder / "homes", homes_file(everybody, data))
        write_whole(self._folder / "users", passwd_file(change.users))
        return sharing.pairs(text) - sharing.pairs(before)

    def _has_new_rights(self, user: User) -> bool:
        known = self._rights.get(user.address)
        return known is None or (known.shared_with, known.read_only, known.home) != (
            user.shared_with, user.read_only, user.home,
        )  # fmt: skip

    async def _subscribe(self) -> None:
        """Let holders of delegations find the inbox: mail programs show what is subscribed."""
        while self._unsubscribed:
            holder, address = self._unsubscribed.pop()
            folder = sharing.shared_inbox(address)
            await self._administer("mailbox", "subscribe", "-u", holder, folder)

    async def _administer(self, *words: str) -> None:
        """Run Dovecot's program for administrators, as the user that it runs as itself."""
        assert self._places is not None
        command = ["doveadm", "-c", str(self._places.configuration), *words]
        try:
            process = await asyncio.create_subprocess_exec(
                *_as_its_user(command, self._places),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            _, said = await process.communicate()
        except OSError as exc:
            log.error("doveadm.failed", about=words, cause=str(exc))  # noqa: TRY400 - the cause says it all
        else:
            log.debug(
                "doveadm",
                about=words,
                code=process.returncode,
                said=said.decode("utf-8", "replace"),
            )

    async def start(self) -> str:
        """Start, and return `host:port` once it greets. `apply` must have been called before.

        Raises ConfigError `certificate-missing`, or `mailstore-path-not-valid` for a data folder that
        Dovecot's files can't name; Unavailable `mailstore-engine-missing`, `port-busy`,
        `port-unavailable` or `mailstore-start-failed`.
        """
        if self._policy is not None:
            await self._policy.start()
        self._listen = await asyncio.to_thread(self._prepare)
        await self._launch()
        self._supervisor = asyncio.create_task(self._supervise(), name="dovecot")
        self._renewal = asyncio.create_task(self._renew(), name="dovecot tokens")
        await self._subscribe()
        host, port = self._listen
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def wait(self) -> None:
        """Return when it was stopped; raise what ended its supervision otherwise."""
        assert self._supervisor is not None
        with suppress(asyncio.CancelledError):
            await asyncio.shield(self._supervisor)

    async def stop(self) -> None:
        """Close every session and end it. May be called at any time."""
        tasks = [task for task in (self._supervisor, self._renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end()
        if self._policy is not None:
            await self._policy.stop()
        await asyncio.to_thread(_remove_run_folder, self._folder / "run")

    def _prepare(self) -> tuple[str, int]:
        """Everything on the disk that a start needs. Returns the address to listen on."""
        data = self._config.data.path
        if _UNFIT_PATH.search(str(data)):
            raise ConfigError("mailstore-path-not-valid", path=data)
        binary = self._config.mailstore.dovecot_binary
        language = _language(installed_version(binary))
        if language is None:
            raise Unavailable("mailstore-engine-missing", program=binary)
        if not is_loopback(split(self._config.mailstore.imap)[0]):
            for file in (self._config.certificate, self._config.private_key):
                if not file.is_file():
                    raise ConfigError("certificate-missing", file=file)
        user, group = _identity()
        uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "mail").mkdir(mode=0o700, exist_ok=True)
        _end_leftover(self._folder)
        places = Places(self._folder, self._run_folder(), user, group, uid, gid)
        shutil.chown(places.run, user, group)
        self._key = master.key(data)
        self._write_masters(places)
        plan = self._plan(places, _free_address("imap", self._config.mailstore.imap))
        if self._config.mailstore.filters and not {"sieve", "managesieve", "lmtp"} <= plan.features:
            raise Unavailable("mailstore-engine-missing", program="dovecot-sieve")
        if plan.filters:
            write_whole(places.first_filter, sharing.FIRST_FILTER)
        write_whole(places.configuration, LANGUAGES[language](plan))
        self._places = places
        self.filters_at = plan.sieve
        return plan.imap

    def would_say(self, version: Version) -> str:
        """The configuration as it would be written at a start; starts nothing. Blocks.

        Raises Unavailable `mailstore-engine-missing` where Dovecot's user is missing.
        """
        user, group = _identity()
        uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
        places = Places(self._folder, self._folder / "run", user, group, uid, gid)
        return LANGUAGES[version](
            self._plan(places, split(self._config.mailstore.imap), probe=False)
        )

    def _plan(self, places: Places, imap: tuple[str, int], *, probe: bool = True) -> Plan:
        """What this Dovecot is to do; with `probe` ports that are to be free are found to be."""
        config, policy = self._config, self._policy
        wanted, settings = features(), config.mailstore
        filters = settings.filters
        if not filters:
            wanted -= {"sieve", "managesieve", "lmtp"}
        if not settings.full_text:
            wanted -= {"xapian"}
        sieve = split(settings.managesieve)
        if filters and probe:
            sieve = _free_address("managesieve", settings.managesieve)
        asking = Asking(policy.url, policy.header, secrets.token_hex(16)) if policy else None
        return Plan(
            places=places,
            imap=imap,
            in_clear=is_loopback(imap[0]),
            certificate=config.certificate,
            private_key=config.private_key,
            connections=config.limits.connections,
            connections_per_user=config.limits.connections_per_user,
            features=wanted,
            sieve=sieve if filters else None,
            full_mailbox=settings.full_mailbox,
            app_key=self._app_key,
            asking=asking,
        )

    def _run_folder(self) -> Path:
        """A new, empty folder for sockets: what a killed Dovecot left would confuse the next."""
        run = self._folder / "run"
        _remove_run_folder(run)
        if len(os.fsencode(run)) + _SOCKET_NAME_BYTES > _SOCKET_PATH_BYTES:
            elsewhere = Path(tempfile.mkdtemp(prefix="mailgov-"))
            elsewhere.chmod(0o755)
            run.symlink_to(elsewhere)
            return elsewhere
        run.mkdir(mode=0o755)
        return run

    async def _launch(self) -> None:
        """Start the program and wait for its greeting."""
        assert self._places is not None
        self._last_error = ""
        self._process = await asyncio.create_subprocess_exec(
            *_command(self._config.mailstore.dovecot_binary, self._places),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C in a terminal is for us; we stop the child ourselves
        )
        await asyncio.to_thread(
            write_whole, self._folder / "pid", f"{self._process.pid} {self._places.configuration}\n"
        )
        logs = asyncio.create_task(self._forward_log(self._process), name="dovecot log")
        self._logs = logs
        greeting = asyncio.create_task(
            _greeted(*self._listen, tls=not is_loopback(self._listen[0])), name="dovecot greeting"
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.wait((logs, greeting), return_when="FIRST_COMPLETED")
        except TimeoutError:
            self._last_error = self._last_error or "no greeting"
        if not greeting.done():
            greeting.cancel()
            await self._end()
            raise Unavailable("mailstore-start-failed", reason=self._last_error)

    async def _supervise(self) -> None:
        """Start it again whenever it ends, with growing pauses."""
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None
            started = loop.time()
            code = await self._process.wait()
            if loop.time() - started > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.error("dovecot.ended", code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                await self._launch()
            except Unavailable as exc:
                log.error("dovecot.start-failed", cause=str(exc))  # noqa: TRY400 - its own log has said more

    async def _renew(self) -> None:
        """Keep the files of the webmail's tokens as the clock says."""
        assert self._places is not None
        while True:
            await asyncio.sleep(TOKENS_SECONDS)
            try:
                await asyncio.to_thread(self._write_masters, self._places)
            except OSError as exc:
                log.error("dovecot.tokens-failed", cause=exc.strerror)  # noqa: TRY400 - tried again soon

    def _write_masters(self, places: Places) -> None:
        """Write what has changed of the two tokens; the one in use stays as it is. Blocks."""
        now = master.good(self._key, self._clock())
        for file, token, written in zip(places.masters, now, self._masters, strict=True):
            if token != written:
                write_whole(file, f"{master.USER}:{master.hashed(token)}\n")
        self._masters = now

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._logs is not None:
            await asyncio.wait((self._logs,), timeout=STOP_SECONDS)

    async def _forward_log(self, process: asyncio.subprocess.Process) -> None:
        """What it writes becomes events of our log, until it ends."""
        assert process.stderr is not None
        while line := await process.stderr.readline():
            text = line.decode("utf-8", "replace").strip()
            found = _LOG_LINE.fullmatch(text)
            level = _LEVELS.get(found["level"], "error") if found else "error"
            service, text = (found["service"], found["text"]) if found else ("dovecot", text)
            if self._on_act is not None and (act := read_act(service, text)):
                self._on_act(act)
            if text.startswith(_ENDED_BY_US):
                level = "debug"
            getattr(log, level)("dovecot", service=service, text=text)
            if level == "error":
                self._last_error = text


def _identity() -> tuple[str, str]:
    """User and group for its processes. Raises Unavailable `mailstore-engine-missing`."""
    try:
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        packaged = pwd.getpwnam("dovecot")
        return packaged.pw_name, grp.getgrgid(packaged.pw_gid).gr_name
    except KeyError as exc:  # a number without a name, as in some containers; no packaged user
        raise Unavailable("mailstore-engine-missing", program="dovecot") from exc


def _command(binary: str, places: Places) -> list[str]:
    program = shutil.which(binary) or binary
    return _as_its_user([program, "-F", "-c", str(places.configuration)], places)


def _as_its_user(command: list[str], places: Places) -> list[str]:
    # Should we be killed, it must not live on and keep the port.
    tie = ["setpriv", "--pdeathsig", "TERM"]
    if os.geteuid() == 0:
        tie += ["--reuid", places.user, "--regid", places.group, "--clear-groups"]
        tie += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        # Without this bit access(2) asks for the user alone, and Dovecot takes folders as read-only.
        tie += ["--securebits=+no_setuid_fixup"]
    return [*tie, *command]


def _remove_run_folder(run: Path) -> None:
    """Remove the folder of sockets, which lies elsewhere when its path would be too long."""
    shutil.rmtree(run.resolve(), ignore_errors=True)
    if run.is_symlink():
        run.unlink()


def _end_leftover(folder: Path) -> None:
    """End a Dovecot that outlived the process which started it, so that its port is free."""
    try:
        pid, configuration = (folder / "pid").read_text("utf-8").strip().split(" ", 1)
        handle = os.pidfd_open(int(pid))
    except (OSError, ValueError):
        return
    try:
        if configuration.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            select.select([handle], [], [], STOP_SECONDS)
    except OSError:
        return  # it ended just now
    finally:
        os.close(handle)


def _free_address(name: str, listen: str) -> tuple[str, int]:
    """The address to listen on, its port chosen when it was 0. Raises Unavailable."""
    host, port = split(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise not_bound(exc, listen, name) from exc
        return host, probe.getsockname()[1]


async def _greeted(host: str, port: int, *, tls: bool) -> None:
    """Return once an IMAP server greets at the address; refused connections are tried again."""
    at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    pause = 0.01
    while not await _greets(at, port, _any_certificate() if tls else None):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)


async def _greets(host: str, port: int, tls: ssl.SSLContext | None) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        try:
            return (await reader.readline()).startswith(b"* OK")
        finally:
            writer.close()
            await writer.wait_closed()
    except OSError:
        return False


def _any_certificate() -> ssl.SSLContext:
    """For our own greeting: whether the certificate is good is for clients to say."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
