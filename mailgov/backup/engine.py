"""restic as the engine of backups: encrypted, incremental, on a disk or a server of its own."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailgov.config import BackupSettings
from mailgov.errors import ConfigError, NotFound, Unavailable

_OURS = "mailgov"  # tag of our snapshots in a repository that others may share


class Restic:
    """One repository. Every method blocks, as long as the disk or the network takes."""

    def __init__(self, settings: BackupSettings) -> None:
        if not settings.repository or settings.password_file is None:
            raise ConfigError("backup-not-set")
        self._repository = settings.repository
        self._password_file = settings.password_file
        self._program = shutil.which(settings.program)
        if self._program is None:
            raise Unavailable("backup-engine-missing", program=settings.program)

    def initialise(self) -> None:
        """Make the repository. Raises Unavailable `backup-failed`."""
        self._run("init")

    def backup(self, folder: Path) -> dict[str, Any]:
        """Add a snapshot of a folder; returns restic's summary.

        The change time of files says nothing, for the picture is made of links. Raises Unavailable
        `backup-failed`, also when a file could not be read: then the picture is not whole.
        """
        lines = self._run(
            "backup",
            "--json",
            "--tag",
            _OURS,
            "--ignore-ctime",
            "--exclude-caches",
            ".",
            cwd=folder,
        )
        summary: dict[str, Any] = {}
        for line in lines:
            if line.get("message_type") == "summary":
                summary = line
        return summary

    def snapshots(self) -> list[dict[str, Any]]:
        """Our snapshots, oldest first."""
        [found] = self._run("snapshots", "--json", "--tag", _OURS)
        return sorted(found or [], key=lambda snapshot: str(snapshot["time"]))

    def snapshot(self, name: str) -> dict[str, Any]:
        """The snapshot of that id, or the last one for `latest`. Raises NotFound `backup-unknown`."""
        found = self.snapshots()
        if name == "latest" and found:
            return found[-1]
        for snapshot in found:
            if len(name) >= 4 and str(snapshot["id"]).startswith(name):
                return snapshot
        raise NotFound("backup-unknown", backup=name)

    def restore(self, snapshot_id: str, target: Path, *, include: str = "") -> None:
        """Bring back a snapshot, or one path of it, below `target`, which is then as the root was."""
        chosen = ("--include", include) if include else ()
        self._run("restore", snapshot_id, "--target", str(target), "--verify", *chosen)

    def check(self, read_percent: int) -> None:
        """Check the repository, reading that share of its data. Raises Unavailable `backup-failed`."""
        self._run("check", f"--read-data-subset={read_percent}%")

    def forget(self, *, daily: int, weekly: int, monthly: int) -> None:
        """Drop snapshots beyond these numbers, and the data that no other needs."""
        self._run(
            "forget",
            "--prune",
            "--tag",
            _OURS,
            "--group-by",
            "tags",
            *("--keep-daily", str(daily)),
            *("--keep-weekly", str(weekly)),
            *("--keep-monthly", str(monthly)),
        )

    def _run(self, *arguments: str, cwd: Path | None = None) -> list[Any]:
        _require_private(self._password_file)
        assert self._program is not None
        done = subprocess.run(  # noqa: S603 - the program of the settings, arguments of ours
            [self._program, "--repo", self._repository, *arguments],
            cwd=cwd,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": os.environ.get("HOME", "/"),
                "RESTIC_PASSWORD_FILE": str(self._password_file.absolute()),
                **{k: v for k, v in os.environ.items() if k.startswith(("AWS_", "RESTIC_REST_"))},
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise Unavailable("backup-failed", reason=(lines or [str(done.returncode)])[-1][:300])
        return list(_json_lines(done.stdout)) if "--json" in arguments else []


def _json_lines(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith(("{", "[")):
            yield json.loads(line)


def _require_private(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except OSError as exc:
        raise ConfigError("backup-password-missing", file=file) from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError("backup-password-readable", file=file)
