"""The early part of a run as named numbers: DQI, the loss, the gradient norm, and the logging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.engine import score_many
from dqi_tracking.engine.signal import extract
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.binning import bin_medians
from dqi_tracking.insight.evidence import measure
from dqi_tracking.types import COMPONENTS, PHASES, History

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dqi_tracking.types import FloatArray, Score

DQI_SIGNALS = (
    "dqi",
    *(f"dqi_{phase}" for phase in PHASES),
    *(f"dqi_{phase}_{name}" for phase in PHASES for name in COMPONENTS),
)
"""Score, phase scores and components of the part seen, as they are named on a run."""

LOSS_SIGNALS = ("loss_level", "loss_lowest", "loss_slope", "loss_fall", "loss_noise")
"""Median loss of the last of 40 bins, and lowest median of a bin, in the units of the loss; drop
over the last quarter and noise of a bin as shares of the range seen; fall as a share of the loss
at the start."""

GRADIENT_SIGNALS = ("grad_late", "grad_ratio", "grad_spread")
"""Median gradient norm of the last fifth of the part seen, the same over that of the first fifth,
and its scatter within the last."""

SIGNALS = (*DQI_SIGNALS, *LOSS_SIGNALS, *GRADIENT_SIGNALS)

CONFOUNDS = ("n_points", "interval", "last_step")
"""How much was logged, how often, and up to which step: what may tell the end without any
training signal."""

_MEASURED = {
    "loss_slope": "drop",
    "loss_fall": "fall",
    "loss_noise": "noise",
    **{name: name for name in GRADIENT_SIGNALS},
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A table of named numbers, one row a run.

    Parameters
    ----------
    names : tuple of str
        One for each column, all different.
    values : ndarray of shape (runs, len(names))
        float64; NaN where a run does not have the number.

    Raises
    ------
    ConfigError
        When the table does not have one column a name, or a name comes twice.
    """

    names: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise ConfigError(
                f"{len(self.names)} feature names for a table of shape {values.shape}",
                fix="pass one row a run and one column a name",
            )
        if len(set(self.names)) < len(self.names):
            raise ConfigError("two features have one name", fix="name each feature differently")

    def __getitem__(self, name: str) -> FloatArray:
        """Return the column of a name, of shape (runs,); KeyError where there is none."""
        if name not in self.names:
            raise KeyError(name)
        return self.values[:, self.names.index(name)]

    def beside(self, other: Features) -> Features:
        """Return both tables side by side, such as the early parts and columns of the listing.

        Raises
        ------
        ConfigError
            When the tables differ in length, or have a name in common.
        """
        if len(self.values) != len(other.values):
            raise ConfigError(
                f"tables of {len(self.values)} and {len(other.values)} runs do not go together",
                fix="pass one row for each run in both",
            )
        return Features((*self.names, *other.names), np.column_stack((self.values, other.values)))


def features(history: History, share: float, *, end_step: float | None = None) -> Features:
    """Describe the early part of one run; the numbers are those of `features_many`."""
    ends = None if end_step is None else [end_step]
    return features_many([history], share, end_steps=ends)


def features_many(
    histories: Iterable[History], share: float, *, end_steps: Sequence[float] | None = None
) -> Features:
    """Describe the early parts of runs.

    Parameters
    ----------
    histories : iterable of History
        Rows in any order; non-finite rows are dropped.
    share : float
        In (0, 1]: rows up to first step + share · (end − first step) are seen, no later one.
    end_steps : sequence of float, optional
        The step at which each run's like usually ends, such as the median over its group. Without
        it a run's own last step is taken, which at that moment nobody knows: a run that is going
        to end early is then seen at an earlier step.

    Returns
    -------
    Features
        `SIGNALS` and `CONFOUNDS`, a row a run. NaN for what was not logged. O(n log n) a run.

    Raises
    ------
    ConfigError
        When `share` is outside of (0, 1], or there is not one end a run.
    """
    runs = list(histories)
    if not 0 < share <= 1:
        raise ConfigError(f"share {share!r} is outside of (0, 1]", fix="pass 0.2 to 0.6, say")
    if end_steps is not None and len(end_steps) != len(runs):
        raise ConfigError(
            f"{len(end_steps)} end steps for {len(runs)} runs", fix="pass one for each run"
        )
    names = (*SIGNALS, *CONFOUNDS)
    if not runs:
        return Features(names, np.empty((0, len(names))))
    ends = [None] * len(runs) if end_steps is None else end_steps
    seen = [_until(run, share, end) for run, end in zip(runs, ends, strict=True)]
    measured = measure(seen, [None] * len(seen), [None] * len(seen))
    columns = {name: measured[source] for name, source in _MEASURED.items()}
    scores = score_many(seen, nan_policy="omit")
    columns |= {name: np.array([_scored(s, name) for s in scores]) for name in DQI_SIGNALS}
    rows = np.array([_logged(history) for history in seen])
    columns |= dict(zip(("loss_level", "loss_lowest", *CONFOUNDS), rows.T, strict=True))
    return Features(names, np.column_stack([columns[name] for name in names]))


def _until(history: History, share: float, end: float | None) -> History:
    """Return the rows up to a share of the way from the first step to the end."""
    if not history.step.size:
        return history
    first = float(history.step.min())
    last = float(history.step.max()) if end is None else float(end)
    stop = first + share * (last - first)
    seen = history.step <= stop
    grad_step = history.step if history.grad_step is None else history.grad_step
    grad_seen = grad_step <= stop
    has_grad = history.grad_norm is not None
    return History(
        history.step[seen],
        None if history.loss is None else history.loss[seen],
        history.grad_norm[grad_seen] if history.grad_norm is not None else None,
        grad_step=grad_step[grad_seen] if has_grad else None,
    )


def _scored(found: Score, name: str) -> float:
    # a run without a loss is scored by its gradient norm, which is another thing
    if found.signal == "grad_norm" or found.status in ("too_short", "no_signal"):
        return np.nan
    _, _, rest = name.partition("_")
    phase, _, part = rest.partition("_")
    return getattr(found.phases[phase], part or "dqi") if phase else found.dqi  # type: ignore[index]


def _logged(history: History) -> tuple[float, ...]:
    """Return level, lowest level, number of rows, their interval, and the last step."""
    if history.loss is None:
        return (np.nan,) * 5
    signal = extract(History(history.step, history.loss), nan_policy="omit")
    gaps = signal.gaps[signal.gaps > 0]
    interval = float(np.median(gaps)) if gaps.size else np.nan
    if not signal.y.size:
        return np.nan, np.nan, 0.0, np.nan, np.nan
    first, last = float(signal.x[0]), float(signal.x[-1])
    levels = bin_medians(signal.x, signal.y, first, last)
    filled = levels[np.isfinite(levels)]
    return float(filled[-1]), float(filled.min()), float(signal.y.size), interval, last
