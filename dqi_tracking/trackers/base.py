"""The `Tracker` protocol: what every tracker can do, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dqi_tracking.errors import ReadRejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dqi_tracking.errors import DQIError
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import History, RunRef, Stamp

FINISHED = frozenset({"FINISHED"})
FAILED = frozenset({"FAILED", "KILLED", "CRASHED", "PREEMPTED"})
RUNNING = frozenset({"RUNNING", "SCHEDULED", "PENDING", "PREEMPTING"})


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs of the address are meant.

    Attributes
    ----------
    where : str
        Filter in the tracker's own language; empty for all.
    include_failed, include_running : bool
        Finished runs are always meant; deleted ones never.
    since : int
        Only runs that ended (or, while running, started) at or after this time, in milliseconds
        since the epoch.
    limit : int, optional
        At most so many, the newest first.
    columns : tuple of str
        What else to bring along of each run, by the tracker's own names: `metrics.x`, `params.x`,
        `tags.x` of MLflow, `summary.x`, `config.x` of W&B, a column of a curve file. ``"*"``
        means all there are.
    """

    where: str = ""
    include_failed: bool = False
    include_running: bool = False
    since: int = 0
    limit: int | None = None
    columns: tuple[str, ...] = ()

    def wants(self, ref: RunRef) -> bool:
        """Tell whether the run's status and time are among those asked for."""
        wanted = (
            ref.status in FINISHED
            or (self.include_failed and ref.status in FAILED)
            or (self.include_running and ref.status in RUNNING)
        )
        return wanted and (ref.ended or ref.started) >= self.since


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one run: a history, or the error that says why not."""

    ref: RunRef
    history: History | None = None
    error: DQIError | None = None

    def found(self) -> History:
        """Return the history, or raise the error."""
        if self.history is None:
            raise self.error or ReadRejected(
                "the tracker gave nothing", fix="run `dqi doctor`", run=self.ref.run_id
            )
        return self.history


class View(NamedTuple):
    """A page of the tracker's own UI; both empty where there is none."""

    url: str
    command: str
    """What starts the UI first, for a store that no server serves yet."""
    is_sorted: bool = True
    """Whether the link of a table sorts it by `dqi`."""


class Tracker(Protocol):
    """A place that holds runs, opened at one address.

    Implementations translate their backend's errors into `dqi_tracking.errors`, and hold no
    state that two threads could not share.
    """

    address: str
    """What was opened, without credentials."""
    reads_several: bool
    """Whether `series` reads many metrics of a run at once, and not by a request each."""
    batch: int
    """Runs that are best read at once."""
    jobs: int
    """Runs that are best worked on at the same time, where a person does not say."""
    keeps_view: bool
    """Whether a backfill or a ranking keeps the saved view of its own accord: False where there is
    none, or where only a person may ask for it."""

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs that the query means, newest first.

        Costs a request a page, never one a run.

        Raises
        ------
        TrackerError
            When the address holds nothing, is not reached, refuses, or rejects the filter.
        """
        ...

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield one `Reading` for each run, in order, reading many at once where possible.

        What is wrong with one run comes as its `Reading.error`, so that the others are read.
        """
        ...

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Read any metrics of one run, at once where the backend has a way to.

        Parameters
        ----------
        ref : RunRef
        keys : sequence of str
            Names of metrics, each at most once.

        Returns
        -------
        dict of str to Series
            Those of them that hold a point, in the order of `keys`, over the tracker's own steps;
            rows of one step in the order of logging, NaN and infinities as they were logged.
            The histogram of a gradient, as W&B holds it, comes as the norm estimated from it.

        Raises
        ------
        TrackerError
            When the run cannot be read, or one of the metrics holds text.
        """
        ...

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of all metrics of one run, sorted.

        Names of the backend's own columns are not among them; names of what holds no numbers,
        such as images, and histograms of gradients may be.

        Raises
        ------
        TrackerError
            When the run is gone or cannot be read.
        """
        ...

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Put files, metrics and facts on a run, the fact `fingerprint` last of all.

        Parameters
        ----------
        ref : RunRef
            The run; its status, end time and a person's own tags stay as they are.
        stamp : Stamp
            Metrics (NaN allowed) and facts.
        files : mapping of str to bytes
            Contents by file name, below `dqi/`.

        Raises
        ------
        TrackerError
            When something was not written. The run then carries no new fingerprint.
        """
        ...

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Put some metrics and facts on a scored run, and leave the rest of its score as it is.

        Parameters
        ----------
        ref : RunRef
            The run; where somebody scored it again meanwhile, it may be left as it is.
        stamp : Stamp
            What to put there alone: NaN and an empty fact take off what was there.
            `Stamp.standing_at` is the time of its metrics.

        Raises
        ------
        TrackerError
            When something was not written. The score stands all the same.
        """
        ...

    def erase(self, ref: RunRef) -> str:
        """Take off a run what `write` put there, the commit mark first.

        Returns
        -------
        str
            What had to stay, and why; empty where nothing did.

        Raises
        ------
        TrackerError
            When something could not be taken off. The run then no longer counts as scored.
        """
        ...

    def view(self, ref: RunRef | None = None) -> View:
        """Return where the tracker's own UI shows the run, or the table sorted by `dqi`."""
        ...

    def save_view(self) -> View:
        """Keep the tracker's own saved view of its runs, sorted by `dqi`, and return its page.

        Nothing is written where it is there already. A tracker without such views returns what
        `view` does.

        Raises
        ------
        ConfigError
            When the address is of something that has no view.
        TrackerError
            When the tracker does not know such views, refuses or is not reached.
        """
        ...

    def drop_view(self) -> None:
        """Take off the saved view, if the tracker keeps one of its own accord and it is there.

        Raises
        ------
        TrackerError
            When the tracker refuses or is not reached.
        """
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...
