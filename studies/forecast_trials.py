"""Trials behind the tables of the forecast study: tables without a family, replays, stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from forecast_baselines import capped_error
from published_curves import FAMILIES, balance

from dqi_tracking.insight.backtest import Backtest, summary
from dqi_tracking.insight.forecast import forecast_many
from dqi_tracking.insight.forecasting import conformal
from dqi_tracking.insight.forecasting.calibration import Calibration, tabulated
from dqi_tracking.insight.forecasting.window import standardise
from dqi_tracking.insight.stop_replay import replayed
from dqi_tracking.insight.stopping import STALL, TOLERANCE
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecast_tables import Study

    from dqi_tracking.insight.forecasting.replay import Replay

KINDS = ("eval", "train")


def without(study: Study, family: str) -> Calibration:
    """Make the calibration of every family but one."""
    weight = balance(study.curves, study.found.run)
    weight[study.family == family] = 0
    return tabulated(study.found, weight, name=f"all but {family}")


def covered(found: Replay, table: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Tell which last values lie inside their interval, and how wide that is."""
    low, high = conformal.multiples(table, found.ahead, level)
    error = (found.truth - found.loss) / found.difficulty
    return (error >= low) & (error <= high), (high - low) * found.difficulty


def without_family(study: Study, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and width (in ranges of the curve), each family by the others' table."""
    inside, width = np.zeros(study.family.size, bool), np.zeros(study.family.size)
    for family in FAMILIES:
        own = study.family == family
        hit, wide = covered(study.found, without(study, family).table, level)
        inside[own], width[own] = hit[own], (wide / study.extent)[own]
    return inside, width


def own_cohort(study: Study) -> Iterator[tuple[str, str, int, float, float]]:
    """Calibrate on every other group of a family and kind, and judge on the rest."""
    for family in FAMILIES:
        others = without(study, family).table
        for kind in KINDS:
            own = (study.family == family) & (study.kind == kind)
            names = np.unique(study.group[own])
            if names.size < 4:
                continue
            shuffled = np.random.default_rng(0).permutation(names)
            for_table = own & np.isin(study.group, shuffled[::2])
            judged = own & ~np.isin(study.group, shuffled[::2])
            judged &= np.isin(study.found.share, (0.2, 0.4, 0.6, 0.8))
            table = tabulated(study.found, for_table.astype(float), name=family).table
            yield (
                family,
                kind,
                int(np.unique(study.found.run[for_table]).size),
                float(covered(study.found, others, 0.9)[0][judged].mean()),
                float(covered(study.found, table, 0.9)[0][judged].mean()),
            )


def midway_rows(study: Study) -> Iterator[tuple[str, str, int, float, float]]:
    """Forecast a step between now and the end from 20, 40 and 60 %, by the others' table."""
    random = np.random.default_rng(0)
    for family in FAMILIES:
        table = without(study, family)
        for kind in KINDS:
            histories, horizons, truth, last, extent = [], [], [], [], []
            for curve in study.curves:
                if (curve.family, curve.kind) != (family, kind):
                    continue
                x, y = curve.curve.x, curve.curve.y
                for share in (0.2, 0.4, 0.6):
                    stop = int(np.searchsorted(curve.curve.standard.u, share, side="right"))
                    if stop < 8 or stop >= x.size - 1:
                        continue
                    at = int(random.integers(stop, x.size - 1))
                    histories.append(History(x[:stop], y[:stop]))
                    horizons.append(float(x[at]))
                    truth.append(y[at])
                    last.append(y[stop - 1])
                    extent.append(max(float(np.subtract(*np.percentile(y, (95, 5)))), 1e-12))
            made = forecast_many(histories, horizons, calibration=table)
            ok = np.array([one.status == "ok" for one in made], dtype=bool)
            if ok.sum() < 20:
                continue
            guess, low, high = np.array([(m.loss, m.low90, m.high90) for m in made])[ok].T
            real, before, wide = np.array([truth, last, extent])[:, ok]
            ours, theirs = capped_error(guess, real, wide), capped_error(before, real, wide)
            hit = (real >= low) & (real <= high)
            yield family, kind, int(ok.sum()), 1 - ours.mean() / theirs.mean(), float(hit.mean())


def verdict_rows(study: Study) -> Iterator[tuple[str, int, float, float, float]]:
    """Compare the verdicts with the gain over the level at the time, by what was learnt so far."""
    said, gains = [], []
    for family in FAMILIES:
        rows = np.flatnonzero(
            (study.family == family) & np.isin(study.found.share, (0.2, 0.4, 0.6, 0.8))
        )
        histories, horizons, learnt = [], [], []
        for row in rows:
            curve = study.curves[study.found.run[row]].curve
            stop = int(np.searchsorted(curve.standard.u, study.found.share[row], side="right"))
            histories.append(History(curve.x[:stop], curve.y[:stop]))
            scale = standardise(curve.x[:stop], curve.y[:stop]).scale
            learnt.append(max(curve.start - study.found.now[row], scale))
            horizons.append(float(curve.x[-1]))
        made = forecast_many(histories, horizons, calibration=without(study, family))
        said.extend(one.verdict for one in made)
        # the last value is noisy: so is this gain
        found = study.found
        gains.extend((found.now[rows] - found.truth[rows]) / np.array(learnt))
    verdicts, gain = np.array(said), np.array(gains)
    for verdict in ("rapid", "diminishing", "ceiling", "undetermined"):
        own = gain[verdicts == verdict]
        if own.size:
            yield verdict, own.size, (own > 0).mean(), (own < 0.02).mean(), float(np.median(own))


def rate_rows(
    study: Study, held_out: tuple[str, ...]
) -> Iterator[tuple[str, float, int, np.ndarray]]:
    """Forecast the end with and without the learning rate, where that has decayed by half."""
    for side in ("tuning", "held out"):
        for share in (0.5, 0.6, 0.7, 0.8, 0.9):
            errors = []
            for curve in study.curves:
                if (curve.family in held_out) != (side == "held out"):
                    continue
                error = _rate_errors(curve, share)
                if error is not None:
                    errors.append(error)
            if errors:
                yield side, share, len(errors), np.mean(errors, axis=0)


def _rate_errors(curve, share: float) -> np.ndarray | None:
    if curve.learning_rate is None or curve.learning_rate[0][-1] < 0.95 * curve.curve.x[-1]:
        return None
    x, y = curve.curve.x, curve.curve.y
    stop = int(np.searchsorted(curve.curve.standard.u, share, side="right"))
    steps, rate = curve.learning_rate
    known = steps <= x[stop - 1]
    history = History(x[:stop], y[:stop])
    rates = [(steps, rate), (steps[known], rate[known]), None]
    made = forecast_many([history] * 3, [float(x[-1])] * 3, learning_rates=rates)
    if made[0].mode != "learning_rate":
        return None
    guess = np.array([*(one.loss for one in made), y[stop - 1]])
    extent = max(float(np.subtract(*np.percentile(y, (95, 5)))), 1e-12)
    return capped_error(guess, y[-1], extent)


def stop_rows(
    study: Study, sides: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, Backtest]]:
    """Replay the stop advice on the runs of each family, by the others' table.

    Several families are pooled by their runs, each family by the table without it.
    """
    for kind in KINDS:
        for name, families in ({family: (family,) for family in FAMILIES} | sides).items():
            outcomes, labels = [], []
            for family in families:
                # shorter curves have too few places to stop at
                own = [
                    curve
                    for curve in study.curves
                    if (curve.family, curve.kind) == (family, kind) and curve.curve.y.size >= 20
                ]
                if len(own) < 5:
                    continue
                table = without(study, family)
                curves = [curve.curve for curve in own]
                kept, outcome = replayed(curves, table, STALL, TOLERANCE)
                outcomes.append(outcome)
                labels.extend(own[run].group for run in kept)
            if outcomes:
                yield name, kind, summary(np.concatenate(outcomes), labels)
