"""Where `.wandb` files lie below an address."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dqi_tracking.errors import AuthError, ReadRejected, RunNotFound, StoreNotFound
from dqi_tracking.names import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dqi_tracking.errors import TrackerError

SUFFIX = ".wandb"
_Log = tuple["os.DirEntry[str]", os.stat_result]
_OF_A_RUN = frozenset({"files", "logs", "tmp", FOLDER})
"""Folders that stand beside a run's file: thousands of files, and no runs."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One `.wandb` file.

    Attributes
    ----------
    path : Path
    name : str
        The path below the address, as can be encoded in UTF-8.
    size : int
        Bytes.
    modified : int
        Milliseconds since the epoch.
    is_alone : bool
        Whether the folder holds no other.
    problem : TrackerError, optional
        Why the file cannot be read; or the folder, where `path` is one that cannot be listed.
    """

    path: Path
    name: str
    size: int = 0
    modified: int = 0
    is_alone: bool = True
    problem: TrackerError | None = None

    @property
    def place(self) -> Path:
        """Folder of what is written beside the run: one for each file."""
        folder = self.path.parent / FOLDER
        # the whole name with its ending: a stem could be `..`
        return folder if self.is_alone else folder / self.path.name

    @property
    def run_id(self) -> str:
        """Identifier of the run by the name that the client gives its files: ``run-ID.wandb``."""
        if self.problem:
            return self.name
        return shown(self.path.name)[: -len(SUFFIX)].removeprefix("run-")


def log_files(address: Path) -> list[LogFile]:
    """Return the files of runs at an address: in a folder at any depth, or the file itself.

    Links to folders are not followed, so that `latest-run` gives no run twice; nor does a file
    with several names.

    Raises
    ------
    StoreNotFound
        When there are none.
    AuthError, ReadRejected
        When the folder itself cannot be listed.
    """
    try:
        is_folder = stat.S_ISDIR(address.stat().st_mode)
        found = list(_below(address) if is_folder else _named(address))
    except (FileNotFoundError, NotADirectoryError):
        found = []
    except OSError as error:
        raise refused(error, f"`{shown(address)}`") from error
    if not found:
        raise StoreNotFound(
            f"no {SUFFIX} file at `{shown(address)}`",
            fix="name the `wandb` folder of a training script, one run's folder, or a "
            f"{SUFFIX} file (links to folders are not followed)",
        )
    return found


def refused(error: OSError, what: str, run: str | None = None) -> TrackerError:
    """Return the error that an `OSError` on reading means."""
    if isinstance(error, FileNotFoundError):
        return RunNotFound(f"{what} is gone", fix="list the runs again", run=run)
    if isinstance(error, PermissionError):
        return AuthError(f"{what} may not be read", fix="let this user read it", run=run)
    return ReadRejected(
        f"{what} cannot be read: {error.strerror or error}", fix="check the disk", run=run
    )


def shown(path: Path | str) -> str:
    """Return a path as text that can be encoded, whatever bytes its name is of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _below(address: Path) -> Iterator[LogFile]:
    met: set[tuple[int, int]] = set()
    folders = [address]
    while folders:
        folder = folders.pop()
        try:
            entries = _entries(folder)
        except OSError as error:
            if folder == address:
                raise
            name = shown(folder.relative_to(address))
            yield LogFile(folder, name, problem=refused(error, f"folder `{name}`", name))
            continue
        logs = _logs(entries)
        for entry, status in logs:
            identity = (status.st_dev, status.st_ino)
            if identity not in met:
                yield _log_file(folder / entry.name, status, address, logs)
            met.add(identity)
        folders.extend(
            folder / entry.name
            for entry in reversed(entries)
            if entry.is_dir(follow_symlinks=False) and not (logs and entry.name in _OF_A_RUN)
        )


def _named(path: Path) -> Iterator[LogFile]:
    logs = _logs(_entries(path.parent))
    for entry, status in logs:
        if entry.name == path.name:
            yield _log_file(path, status, path.parent, logs)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder; of several names of one file its own comes before links to it."""
    with os.scandir(folder) as listing:
        return sorted(listing, key=lambda entry: (entry.is_symlink(), entry.name))


def _logs(entries: list[os.DirEntry[str]]) -> list[_Log]:
    logs: list[_Log] = []
    for entry in entries:
        if not entry.name.lower().endswith(SUFFIX):
            continue
        try:
            status = entry.stat()
        except OSError:
            # gone since it was listed, or a link to nowhere
            continue
        if stat.S_ISREG(status.st_mode):
            logs.append((entry, status))
    return logs


def _log_file(path: Path, status: os.stat_result, address: Path, logs: list[_Log]) -> LogFile:
    return LogFile(
        path,
        shown(path.relative_to(address)),
        status.st_size,
        status.st_mtime_ns // 1_000_000,
        is_alone=len(logs) == 1,
    )
