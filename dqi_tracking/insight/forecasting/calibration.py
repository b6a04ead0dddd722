"""Calibration of the intervals: the table that is shipped, and one from a cohort of one's own."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.forecasting import conformal
from dqi_tracking.insight.forecasting.replay import blocks, joined, replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dqi_tracking.insight.forecasting.replay import Replay
    from dqi_tracking.types import FloatArray, History

VERSION = "1"
"""Forecaster version: a calibration belongs to the forecaster whose errors it holds."""

MIN_RUNS = 20
"""Runs of one's own under which an interval would be a guess."""

_SHIPPED = Path(__file__).with_name("calibration.json")
_REBUILD = "calibrate again, by `calibrate(histories)` on finished runs"


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Errors of forecasts whose outcome is known, in difficulties of the forecast.

    Attributes
    ----------
    table : ndarray of shape (8, 7, 2)
        Lower and upper error quantile for each horizon (`conformal.KNOTS`) and tail
        (`conformal.TAILS`).
    sizes : tuple of 8 int
        Curves behind each horizon.
    name : str
        What the runs are, in a few words.
    sources : tuple of dict
        Where they come from: name, licence, families, number of runs.
    version : str
        Forecaster version.
    """

    table: FloatArray
    sizes: tuple[int, ...]
    name: str
    sources: tuple[dict[str, Any], ...] = ()
    version: str = VERSION

    def size_at(self, ahead: float) -> int:
        """Return how many curves calibrated the knot nearest to a horizon."""
        ratios = [abs(math.log(knot / ahead)) for knot in conformal.KNOTS]
        return self.sizes[ratios.index(min(ratios))]

    def to_json(self) -> str:
        """Write the calibration as JSON, for `from_json` of the same forecaster version."""
        content = asdict(self) | {
            "knots": conformal.KNOTS,
            "tails": conformal.TAILS,
            "table": np.round(self.table, 4).tolist(),
        }
        return json.dumps(content, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read a calibration.

        Parameters
        ----------
        text : str
            What `to_json` wrote.

        Returns
        -------
        Calibration

        Raises
        ------
        ConfigError
            When the text is no calibration, or that of another forecaster version.
        """
        try:
            content = cast("dict[str, Any]", json.loads(text))
            version = str(content["version"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigError("the file is not a calibration", fix=_REBUILD) from error
        if version != VERSION:
            raise ConfigError(
                f"the calibration was made by forecaster version {version[:20]!r},"
                f" this is version {VERSION!r}",
                fix=_REBUILD,
            )
        return cls._checked(content)

    @classmethod
    def _checked(cls, content: dict[str, Any]) -> Calibration:
        try:
            table = np.asarray(content["table"], dtype=np.float64)
            sizes = tuple(int(size) for size in content["sizes"])
            same = tuple(content["knots"]) == conformal.KNOTS
            same &= tuple(content["tails"]) == conformal.TAILS
            sources = tuple(dict(source) for source in content["sources"])
            name = str(content["name"])
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ConfigError("the file is not a calibration", fix=_REBUILD) from error
        shape = (len(conformal.KNOTS), len(conformal.TAILS), 2)
        if not same or table.shape != shape or len(sizes) != shape[0] or not _sound(table):
            raise ConfigError("the calibration is damaged", fix=_REBUILD)
        return cls(table, sizes, name, sources)


def _sound(table: FloatArray) -> bool:
    return bool(np.isfinite(table).all() and (table[..., 0] <= table[..., 1]).all())


@cache
def shipped() -> Calibration:
    """Return the calibration of the package, from public runs."""
    return Calibration.from_json(_SHIPPED.read_text(encoding="utf-8"))


def calibrate(
    histories: Iterable[History], *, higher_is_better: bool = False, name: str = "your own runs"
) -> Calibration:
    """Calibrate the intervals on finished runs of one's own.

    Each run is cut after 10 to 98 % of its steps and its last value foretold; the errors become
    the intervals of later forecasts. They hold for runs that are like these.

    Parameters
    ----------
    histories : iterable of History
        Finished runs, at least 20 that can be forecast. Drawn and let go in blocks.
    higher_is_better : bool
        Whether the metric should rise.
    name : str
        What the runs are; told with every forecast.

    Returns
    -------
    Calibration

    Raises
    ------
    ConfigError
        When fewer than 20 runs can be forecast.

    References
    ----------
    Lei et al. 2018, arXiv 1604.04173.
    """
    replays: list[Replay] = []
    curves: list[int] = []
    for block in blocks(histories, higher_is_better=higher_is_better):
        replays.append(replay(block))
        curves.append(len(block))
    found = joined(replays, curves)
    runs = np.unique(found.run).size
    if runs < MIN_RUNS:
        raise ConfigError(
            f"{runs} of {sum(curves)} runs can be forecast, calibration needs {MIN_RUNS}",
            fix="pass more finished runs of at least 8 points in their early part,"
            " or use the calibration of the package",
        )
    return tabulated(found, np.ones(found.run.size), name=name)


def tabulated(
    found: Replay, weight: FloatArray, *, name: str, sources: Sequence[dict[str, Any]] = ()
) -> Calibration:
    """Turn the errors of a replay into a calibration.

    Parameters
    ----------
    found : Replay
        N forecasts whose outcome is known.
    weight : ndarray of shape (N,), ≥ 0
        What each counts.
    name : str
        What the runs are.
    sources : sequence of dict
        Where they come from.

    Returns
    -------
    Calibration
    """
    with np.errstate(over="ignore"):
        error = (found.truth - found.loss) / found.difficulty
    table = conformal.filled(conformal.quantile_table(error, found.ahead, weight))
    place = np.interp(np.log(found.ahead), np.log(conformal.KNOTS), np.arange(len(conformal.KNOTS)))
    nearest = np.round(place).astype(np.int64)
    sizes = tuple(
        int(np.unique(found.run[nearest == knot]).size) for knot in range(len(conformal.KNOTS))
    )
    return Calibration(table, sizes, name, tuple(sources))
