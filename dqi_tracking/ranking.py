"""The scored runs of an address as a table, from what is written on them: nothing is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.cohorts.choice import Scale
from dqi_tracking.cohorts.place import NOWHERE, place_columns
from dqi_tracking.config import load_settings
from dqi_tracking.errors import ConfigError
from dqi_tracking.names import KEY_OF_FACT, METRICS
from dqi_tracking.stamp import is_whole
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    import pandas as pd

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker

FACTS = ("status", "weakest", "state", "checks", "signal", "phases", "version", "scored_at")
SCORE_COLUMNS: tuple[str, ...] = (
    "run",
    "name",
    "group",
    *METRICS,
    *(KEY_OF_FACT[fact] for fact in FACTS),
)
"""What a run has by itself."""
COLUMNS: tuple[str, ...] = (*SCORE_COLUMNS, *NOWHERE)
"""And its place among others."""


def rank(
    address: str,
    *,
    sort: str = "dqi",
    ascending: bool = False,
    where: str = "",
    top: int | None = None,
    population: str | None = None,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Return the scored runs at an address, sorted.

    Parameters
    ----------
    address : str
        As in `open_tracker`.
    sort : str
        Any column of the table.
    ascending : bool
        Lowest first. Runs without a number come last either way.
    where : str
        Filter in the tracker's own language, such as ``metrics.dqi > 0.3``.
    top : int, optional
        Only the first so many.
    population : str, optional
        Percentiles against a saved population instead of the written ones: ``FILE``,
        ``FILE:COHORT`` or ``reference:FAMILY``. Where no cohort is named, each run is held against
        the one of the name of its own (`Settings.cohort`), and has none where there is none.
    settings : Settings, optional

    Returns
    -------
    pandas.DataFrame
        One row a run: `run`, `name`, `group`, the metrics of DQI, and `dqi_status`,
        `dqi_weakest`, `dqi_state`, `dqi_findings` (names of checks, joined by commas),
        `dqi_signal`, `dqi_version`, `dqi_scored_at`; its place among others as `dqi_percentile`,
        `dqi_loss_percentile`, `dqi_grad_percentile` in [0, 100], NaN for none, with `dqi_cohort`
        and `dqi_cohort_size` (runs of it that have a score). ``attrs["n_unscored"]`` counts the
        runs that a backfill could score.

    Raises
    ------
    ConfigError
        When the table has no such column, or the population cannot be read or has no cohort for
        any of the runs.
    TrackerError
        As `Tracker.find`.
    """
    settings = settings or load_settings()
    scale = None if population is None else Scale.of(population, settings)
    tracker = open_tracker(address, settings=settings)
    try:
        return rank_runs(tracker, sort=sort, ascending=ascending, where=where, top=top, scale=scale)
    finally:
        tracker.close()


def rank_runs(
    tracker: Tracker,
    *,
    sort: str = "dqi",
    ascending: bool = False,
    where: str = "",
    top: int | None = None,
    scale: Scale | None = None,
) -> pd.DataFrame:
    """Rank the runs of an open tracker; see `rank`."""
    import pandas as pd

    if sort not in COLUMNS:
        raise ConfigError(
            f"the table has no column `{sort}`", fix=f"sort by one of {', '.join(COLUMNS)}"
        )
    rows: list[dict[str, str | float]] = []
    n_unscored, finished = 0, Query()
    columns = scale.columns if scale else ()
    everything = Query(where, include_failed=True, include_running=True, columns=columns)
    for ref in tracker.find(everything):
        stamp = ref.stamp
        if stamp is None or not is_whole(stamp):
            may_score = not ref.listed or bool(ref.loss_keys or ref.grad_norm_keys)
            n_unscored += finished.wants(ref) and may_score
            continue
        rows.append(
            {"run": ref.run_id, "name": ref.name, "group": ref.group}
            | {name: stamp.metrics.get(name, float("nan")) for name in METRICS}
            | (scale.place(ref, stamp) if scale else place_columns(stamp))
            | {KEY_OF_FACT[fact]: stamp.facts.get(fact, "") for fact in FACTS}
        )
    if scale:
        scale.check()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.sort_values(
        [sort, "name", "run"], ascending=[ascending, True, True], na_position="last"
    )
    table = table.iloc[:top].reset_index(drop=True)
    table.attrs["n_unscored"] = n_unscored
    return table
