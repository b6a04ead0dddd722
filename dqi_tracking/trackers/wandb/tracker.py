"""The `Tracker` over the public API of W&B."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import (
    ConfigError,
    ReadRejected,
    RunNotFound,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.trackers.base import FAILED, FINISHED, RUNNING, Query, View
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.limits import Deadline, Pace
from dqi_tracking.trackers.series import readings
from dqi_tracking.trackers.summary import amended, to_summary
from dqi_tracking.trackers.wandb.artifacts import WRITER, ArtifactWriter
from dqi_tracking.trackers.wandb.client import Client
from dqi_tracking.trackers.wandb.failures import translated
from dqi_tracking.trackers.wandb.files import attach, detach
from dqi_tracking.trackers.wandb.history import HistoryReader
from dqi_tracking.trackers.wandb.listing import ref_of
from dqi_tracking.trackers.wandb.summary import SummaryWriter
from dqi_tracking.trackers.wandb.workspace import save_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Reading
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import RunRef, Stamp

PAGE = 100
"""Runs a request of the listing: each comes with its config, summary and names of metrics."""
LOGIN_SECONDS = 60.0
CLOSING_SECONDS = 60.0


class WandbTracker:
    """The runs of one project, or one single run.

    Parameters
    ----------
    client : Client
    settings : Settings
    run_id : str
        A single run; empty for those of the project.
    """

    batch = 4
    reads_several = True
    jobs = 4
    """Runs wait for a far server most of the time."""
    keeps_view = False
    """A saved view is made when it is asked for: it needs a package more, and others see it."""

    def __init__(self, client: Client, settings: Settings, *, run_id: str = "") -> None:
        self.address = client.address
        self._client = client
        self._run_id = run_id
        self._seconds = settings.deadline
        self._pace = Pace(settings.max_requests_per_minute)
        self._keys = KeyResolver(settings)
        self._histories = HistoryReader(client, self._keys, self._pace, settings.deadline)
        self._summaries = SummaryWriter(client, self._pace)
        self._artifacts = ArtifactWriter(client, self._pace) if settings.artifact else None

    @classmethod
    def open(cls, address: str, settings: Settings) -> WandbTracker:
        """Open ``wandb:ENTITY/PROJECT`` or ``wandb:ENTITY/PROJECT/RUN_ID``.

        Raises
        ------
        ConfigError
            When the address names no project.
        AuthError, TransientTrackerError, TrackerError
            As W&B answers to the login.
        """
        parts = address.partition(":")[2].strip("/").split("/")
        if len(parts) == 4 and parts[2] == "runs":
            del parts[2]
        if len(parts) not in (2, 3) or not all(parts):
            raise ConfigError(
                f"address `{address}` names no project of W&B",
                fix="use wandb:ENTITY/PROJECT, or wandb:ENTITY/PROJECT/RUN_ID",
            )
        client = Client(parts[0], parts[1], timeout=settings.deadline)
        return cls(client, settings, run_id="".join(parts[2:]))

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs that the query means, newest first.

        `query.where` is W&B's own filter, a JSON object such as ``{"config.lr": 0.1}``;
        `query.columns` are `summary.x` and `config.x`, with dots into dictionaries.
        """
        filters = {"name": self._run_id} if self._run_id else _filters(query)
        left = query.limit
        for run in self._listed(filters):
            if WRITER in (run.id, run.job_type):
                continue
            ref = ref_of(run, self._keys, query.columns)
            if not self._run_id and not query.wants(ref):
                continue
            if left is not None:
                if left <= 0:
                    return
                left -= 1
            yield ref

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield the history of each run, every point of it."""
        yield from readings(refs, self._histories.read)

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Read metrics by one scan: of one metric by its name, of several over whole rows.

        Of the histogram of a gradient, as `wandb.watch` logs it, the norm is read: see
        `trackers.histograms`.
        """
        return self._histories.series(ref, keys)

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's metrics by one request, gradients' histograms among them."""
        return self._histories.names(ref)

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Attach files, log the Artifact, and last of all put the stamp into the summary."""
        deadline = Deadline(self._seconds, "write the score", ref.run_id)
        with self._writing("write the score", ref):
            if files:
                attach(self._client, self._pace, deadline, ref.run_id, files)
                if self._artifacts:
                    self._artifacts.attach(ref.run_id, files, deadline)
            self._summaries.put(ref.run_id, to_summary(stamp), deadline)

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Change some of our keys in the summary, if the score is still the one that was listed."""
        mark = ref.stamp.facts.get("fingerprint", "") if ref.stamp else ""
        deadline = Deadline(self._seconds, "write the percentiles", ref.run_id)
        with self._writing("write the percentiles", ref):
            self._summaries.amend(ref.run_id, mark, partial(amended, stamp=stamp), deadline)

    def erase(self, ref: RunRef) -> str:
        """Take the mark off, then files and Artifact, and the other keys last.

        While a key of ours is there, a run whose erasing was interrupted is found again.
        """
        deadline = Deadline(self._seconds, "take the score off", ref.run_id)
        with self._writing("take the score off", ref):
            self._summaries.unmark(ref.run_id, deadline)
            detach(self._client, self._pace, deadline, ref.run_id)
            if self._artifacts:
                self._artifacts.remove(ref.run_id, deadline)
            self._summaries.put(ref.run_id, {}, deadline)
        return "" if self._artifacts else "the Artifact stays, as --no-artifact asks"

    def view(self, ref: RunRef | None = None) -> View:
        """Return the page of the run, or the project's table."""
        if ref is None:
            return View(f"{self._client.url}/table", "", is_sorted=False)
        return View(self._client.run_url(ref.run_id), "")

    def save_view(self) -> View:
        """Make or update the project's saved view "DQI", and return its link.

        Raises
        ------
        ConfigError
            When the address is a single run's, or `wandb-workspaces` is not installed.
        TrackerError
            When W&B refuses or does not answer.
        """
        if self._run_id:
            raise ConfigError(
                "a view is saved for a project, not for a run",
                fix="leave the run's id out: wandb:ENTITY/PROJECT",
            )
        deadline = Deadline(self._seconds, "save the view", "")
        fix = f"delete the view if there is one ({self._client.url}), and run this again"
        with translated("save the view", self.address, rejected=(WriteRejected, fix)):
            return View(save_workspace(self._client, self._pace, deadline), "")

    def drop_view(self) -> None:
        """Leave a saved view where it is: only a person has it made, and others may use it."""

    def close(self) -> None:
        """Verify the last write, end the run that logs Artifacts, and let go of the client."""
        try:
            # what fails here is found by the next pass
            with suppress(Exception):
                self._summaries.verify(Deadline(CLOSING_SECONDS, "verify", ""))
            with suppress(Exception):
                if self._artifacts:
                    self._artifacts.finish(Deadline(CLOSING_SECONDS, "finish", WRITER))
        finally:
            self._client.close()

    def _listed(self, filters: Mapping[str, Any]) -> Iterator[Any]:
        refused = ReadRejected, 'correct --where: a JSON object such as {"config.lr": 0.1}'
        runs = self._client.runs(filters, per_page=PAGE)

        def next_page() -> list[Any]:
            return list(islice(runs, PAGE))

        total = None
        while total is None or runs.more:
            self._pace.wait(1)
            deadline = Deadline(self._seconds, "list the runs", "")
            with translated("list the runs", self.address, rejected=refused):
                page = deadline.call(next_page)
            total = len(runs)
            if not page:
                break
            yield from page
            # the client keeps whatever it listed, with all configs and summaries
            runs.objects.clear()
            runs.index = -1
        if runs.more:
            raise TransientTrackerError(
                f"the listing of {self.address} broke off", fix="run this again"
            )
        if self._run_id and not total:
            raise RunNotFound(
                f"no run `{self._run_id}` in {self.address}",
                fix="check the run's id: it is the last part of the run's link",
                run=self._run_id,
            )

    def _writing(self, what: str, ref: RunRef) -> Any:
        refused = WriteRejected, "report this as a bug, with wandb's version and the message"
        return translated(what, self.address, run=ref.run_id, rejected=refused)


def _filters(query: Query) -> dict[str, Any]:
    wanted = FINISHED
    wanted |= FAILED if query.include_failed else frozenset()
    wanted |= RUNNING if query.include_running else frozenset()
    by_state = {"state": {"$in": sorted(state.lower() for state in wanted)}}
    if not query.where:
        return by_state
    try:
        given = json.loads(query.where)
    except ValueError as error:
        given = error
    if not isinstance(given, dict):
        raise ConfigError(
            f"the filter `{query.where}` is no JSON object",
            fix="use W&B's filters, such as --where '{\"config.lr\": 0.1}'",
        )
    return {"$and": [given, by_state]}
