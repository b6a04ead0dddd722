"""The `Tracker` over `.wandb` files: read where they lie, scores are written beside them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError, DQIError, RunNotFound
from dqi_tracking.trackers.base import Query, Reading, View
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.wandb_offline.beside import (
    amend_beside,
    erase_beside,
    read_stamp,
    write_beside,
)
from dqi_tracking.trackers.wandb_offline.columns import read_columns
from dqi_tracking.trackers.wandb_offline.content import (
    Content,
    history_from,
    read_content,
    series_from,
)
from dqi_tracking.trackers.wandb_offline.folder import LogFile, log_files, refused, shown
from dqi_tracking.trackers.wandb_offline.history import OWN
from dqi_tracking.trackers.wandb_offline.records import Head, end_of, head_of
from dqi_tracking.types import RunRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import Stamp


class WandbOfflineTracker:
    """Offline runs in a folder.

    Parameters
    ----------
    address : str
        A folder that holds runs at any depth, or one `.wandb` file.
    settings : Settings
        Metric keys and aliases.
    """

    batch = 16
    reads_several = True
    jobs = 1
    keeps_view = False

    def __init__(self, address: str, settings: Settings) -> None:
        self.address = shown(address)
        try:
            self._path = Path(address).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"`{self.address}`: {error}", fix="correct the path") from error
        self._settings = settings
        self._keys = KeyResolver(settings)
        self._files: dict[str, LogFile] = {}

    @classmethod
    def open(cls, address: str, settings: Settings) -> WandbOfflineTracker:
        """Open a folder or a file; whether runs are there is seen when they are looked for.

        Raises
        ------
        ConfigError
            When the address names a home that there is not.
        """
        return cls(address, settings)

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs, the latest started first, from the heads and ends of their files.

        A run without a recorded end counts as finished: nothing tells a run that was cut short
        from one that goes on, and reading says so. A file whose head cannot be read is listed by
        its name, and a folder that cannot be listed by its path.

        Columns are `summary.x` and `config.x`; for them alone files are read to their ends, as far
        as they are whole.

        Raises
        ------
        ConfigError
            When `query.where` is given: there is no filter language.
        StoreNotFound
            When there is no `.wandb` file.
        AuthError, ReadRejected
            When the folder cannot be listed.
        """
        if query.where:
            raise ConfigError("offline runs have no filters", fix="leave --where out")
        n_left = query.limit
        for ref, file in sorted(self._listed(), key=lambda run: -(run[0].started or run[0].ended)):
            if n_left == 0:
                return
            if query.wants(ref):
                n_left = None if n_left is None else n_left - 1
                yield ref if file.problem else _with_contents(ref, file, query)

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield the history of each run, up to where its file is damaged.

        `History.warnings` says how much was read of a file that is damaged or has no end. The
        reference that comes back tells the metrics.
        """
        for ref in refs:
            try:
                reading = self._reading(ref)
            except DQIError as error:
                reading = Reading(ref, error=error)
            yield reading

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Read some metrics of a run in one pass over its file, as far as that is whole.

        Of the histogram of a gradient, as `wandb.watch` logs it, the norm is read: see
        `trackers.histograms`.
        """
        content = self._content(ref, frozenset(keys).__contains__, norms=True)
        return series_from(content, keys, ref)

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's metrics, from one pass over its file."""
        # names alone: a run's points may be more than the memory holds
        content = self._content(ref, lambda _: False)
        return tuple(sorted(set(content.columns.names) - OWN))

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Write `dqi/phases.json`, `dqi/phases.html` and, last, `dqi/summary.json` beside a run.

        Raises
        ------
        RunNotFound
            When there is no such run.
        WriteRejected
            When the disk does not take it.
        """
        write_beside(self._file(ref), stamp, files, ref.run_id)

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Write the summary beside a run again, changed.

        Raises
        ------
        RunNotFound
            When there is no such run.
        WriteRejected
            When the disk does not take it.
        """
        amend_beside(self._file(ref), stamp, ref.run_id)

    def erase(self, ref: RunRef) -> str:
        """Take off what `write` put there.

        Raises
        ------
        RunNotFound
            When there is no such run.
        WriteRejected
            When the disk does not let go of it.
        """
        erase_beside(self._file(ref), ref.run_id)
        return ""

    def view(self, ref: RunRef | None = None) -> View:
        """Return nothing: W&B shows a run once it was synchronised."""
        del ref
        return View("", "")

    def save_view(self) -> View:
        """Return nothing: there is no UI."""
        return self.view()

    def drop_view(self) -> None:
        """Do nothing: there is no view."""

    def close(self) -> None:
        """Give back nothing: files are closed as soon as they were read."""

    def _reading(self, ref: RunRef) -> Reading:
        content = self._content(ref, self._keys.concerns)
        content.is_part = ref.run_id.endswith(_part(self._file(ref)))
        return history_from(content, ref, self._keys, self._settings)

    def _content(
        self, ref: RunRef, concerns: Callable[[str], bool], *, norms: bool = False
    ) -> Content:
        file = self._file(ref)
        try:
            with file.path.open("rb") as opened:
                return read_content(opened, ref, shown(file.path.name), concerns, norms=norms)
        except OSError as error:
            raise refused(error, f"`{shown(file.path)}`", ref.run_id) from error

    def _file(self, ref: RunRef) -> LogFile:
        """Return the run's file; raise what is wrong with it, or that there is none."""
        if ref.run_id not in self._files:
            # it was not listed through this object
            self._listed()
        if ref.run_id not in self._files:
            raise RunNotFound(
                f"no run `{ref.run_id}` at `{self.address}`",
                fix="list the runs that are there",
                run=ref.run_id,
            )
        file = self._files[ref.run_id]
        if file.problem:
            raise file.problem
        return file

    def _listed(self) -> list[tuple[RunRef, LogFile]]:
        files = log_files(self._path)
        refs = [_ref(file) for file in files]
        n_files = Counter(ref.run_id for ref in refs)
        # a run that was resumed offline has a file for each part, and steps that begin again
        runs = [
            (
                replace(ref, run_id=ref.run_id + _part(file)) if n_files[ref.run_id] > 1 else ref,
                file,
            )
            for ref, file in zip(refs, files, strict=True)
        ]
        self._files = {ref.run_id: file for ref, file in runs}
        return runs


def _with_contents(ref: RunRef, file: LogFile, query: Query) -> RunRef:
    columns = read_columns(file, query.columns) if query.columns else {}
    return replace(ref, stamp=read_stamp(file), columns=columns)


def _part(file: LogFile) -> str:
    """Return what tells the files of one run apart."""
    return f"@{file.name}"


def _ref(file: LogFile) -> RunRef:
    head, end = Head(), None
    if not file.problem:
        try:
            with file.path.open("rb") as opened:
                head = head_of(opened, file.size)
                end = end_of(opened, file.size) if head.run_id else None
        except OSError:
            # reading says what is wrong
            pass
    ended = file.modified
    if end and end.runtime > 0 and head.started:
        # that of the file changes when it is copied
        ended = head.started + 1000 * end.runtime
    return RunRef(
        run_id=head.run_id or file.run_id,
        name=head.name or head.run_id or file.run_id,
        group=head.project,
        status="FAILED" if end and end.exit_code else "FINISHED",
        started=head.started,
        ended=ended,
        listed=False,
        revision=f"{file.size} bytes",
        stamp=None,
    )
