"""What is written beside a run: two files, and the summary that says that they are whole."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, cast

from dqi_tracking.errors import WriteRejected
from dqi_tracking.names import FOLDER, METRICS, OWN_FILES
from dqi_tracking.trackers.summary import from_summary, to_summary
from dqi_tracking.trackers.wandb_offline.folder import shown
from dqi_tracking.types import Stamp
from dqi_tracking.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.trackers.wandb_offline.folder import LogFile

SUMMARY = "summary.json"
MAX_SUMMARY = 1 << 20

_FILE = "file"
"""Key of the `.wandb` file that the summary is of: others may be put into its folder later."""


def read_stamp(file: LogFile) -> Stamp | None:
    """Return what was written beside a run.

    Returns
    -------
    Stamp or None
        Without a fingerprint where only part of it is there or can be read; None where nothing
        is there.
    """
    summary: Any = None
    try:
        with (file.place / SUMMARY).open("rb") as opened:
            summary = json.loads(opened.read(MAX_SUMMARY))
    except (FileNotFoundError, NotADirectoryError):
        if not any((file.place / name).exists() for name in OWN_FILES):
            return None
    except (OSError, ValueError, RecursionError):
        pass
    stamp = None
    if isinstance(summary, dict):
        told = cast("dict[str, Any]", summary)
        stamp = from_summary(told) if told.get(_FILE) == shown(file.path.name) else None
    # what is left of a write or an erasure that was killed is still there to be taken off
    return stamp or Stamp(dict.fromkeys(METRICS, math.nan), {"status": ""})


def write_beside(file: LogFile, stamp: Stamp, files: Mapping[str, bytes], run: str) -> None:
    """Put the files beside a run and, last of all, the summary: it is the commit mark.

    Raises
    ------
    WriteRejected
        When the disk does not take one of them. An older summary then still stands.
    """
    summary = {_FILE: shown(file.path.name), **to_summary(stamp)}
    contents = {**files, SUMMARY: json.dumps(summary, indent=1).encode()}
    try:
        _refuse_link(file, run)
        file.place.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole(file.place / name, content)
    except OSError as error:
        raise WriteRejected(
            f"`{shown(file.place)}` does not take the score: {error.strerror or error}",
            fix="make room on the disk and let this user write there, or leave --write out",
            run=run,
        ) from error


def amend_beside(file: LogFile, stamp: Stamp, run: str) -> None:
    """Change what a stamp tells in the summary that is there; without one, nothing is scored.

    Raises
    ------
    WriteRejected
        As `write_beside`.
    """
    stands = read_stamp(file)
    if stands is None or "fingerprint" not in stands.facts:
        return
    changed = Stamp({**stands.metrics, **stamp.metrics}, {**stands.facts, **stamp.facts})
    write_beside(file, changed, {}, run)


def erase_beside(file: LogFile, run: str) -> None:
    """Take off what `write_beside` put there, the summary first, and folders that are then empty.

    Raises
    ------
    WriteRejected
        When the disk does not let go of it.
    """
    try:
        _refuse_link(file, run)
        for name in (SUMMARY, *OWN_FILES):
            (file.place / name).unlink(missing_ok=True)
            # of a write that was killed
            for left in file.place.glob(f".{name}.*.tmp"):
                left.unlink(missing_ok=True)
        for folder in (file.place, file.path.parent / FOLDER):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise WriteRejected(
            f"`{shown(file.place)}` cannot be taken off: {error.strerror or error}",
            fix="let this user write there",
            run=run,
        ) from error


def _refuse_link(file: LogFile, run: str) -> None:
    # folders of runs are passed around: a link in one must not lead a write out of it
    for folder in (file.path.parent / FOLDER, file.place):
        if folder.is_symlink():
            raise WriteRejected(
                f"`{shown(folder)}` is a link", fix="put a folder in its place", run=run
            )
