"""Stuck or converged: loss and gradient norm fused into one word, with its evidence.

The rules are heuristics; the study of this repository measures what they are worth. A flat loss
alone does not tell convergence from being stuck, and where the gradient norm does not either, the
state is `plateau`: undetermined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.evidence import measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dqi_tracking.types import FloatArray, History

StateName = Literal[
    "learning", "converged", "stuck", "plateau", "dead", "diverging", "overfitting", "unknown"
]

FLAT = 0.02
"""Last quarter's drop, as a share of the observed range, below which a loss is flat.
Source: the project's state table, before any tuning; also the bound of a worthwhile gain."""
SIGNIFICANT = 3.0
"""Standard errors by which a drop or rise must stand out of the noise. Ours: the error comes from
ten bins at most, and on three families the states lasted better than with 2 or 2.5."""
GRAD_SETTLED = 0.3
"""Late over early gradient norm below which a flat run has converged. Source: state table."""
GRAD_ALIVE = 0.7
"""Late over early gradient norm from which on a flat run is stuck. Source: state table."""
GRAD_SCATTER = 1.0
"""Relative scatter of the late gradient norm that counts as highly variable. Ours: as large as the
level itself; at half of it the states of three families lasted less well."""
GRAD_DEAD = 1e-3
"""Late over early gradient norm that counts as 0. Ours."""
GRAD_NOTHING = 1e-6
"""Late gradient norm over the loss that counts as 0 whatever it was before. Ours: an update of
that size is lost in float32."""
NEAR_START = 0.1
"""Fall since the start, as a share of the start, up to which a run is near it. Ours."""
ENDED_HIGH = 0.5
"""Level above the lowest one, as a share of the observed range, that counts as blown up. Ours."""
ABOVE_NOISE = 6.0
"""Standard deviations of a bin by which a blown-up level must exceed the lowest of 40. Ours: pure
noise spans 4.3."""
MIN_POINTS = 12
"""Finite rows that a state needs. Ours: three in a quarter of the run."""


@dataclass(frozen=True, slots=True)
class State:
    """What a run is doing at its end.

    Attributes
    ----------
    name : str
        `learning`: the loss falls. `converged`: flat, no gain ahead, gradient norm settled.
        `stuck`: flat while the gradient norm is as large as early on, or highly variable. `dead`:
        flat near its start without any gradient. `plateau`: flat, undetermined. `diverging`: the
        loss rises, blew up or is not finite. `overfitting`: it falls while the validation loss
        rises. `unknown`: too few rows to say.
    evidence : mapping of str to float
        The numbers it follows from, as `dqi_tracking.insight.evidence.measure` names them; NaN
        for what was not logged.
    sentence : str
        The same in words, for a person.
    """

    name: StateName
    evidence: Mapping[str, float]
    sentence: str


def state(
    history: History, *, validation: History | None = None, gain_bound: float | None = None
) -> State:
    """Say what a run is doing at its end.

    Parameters
    ----------
    history : History
        Loss, and gradient norm where there is one, on the same steps or its own. Rows in any
        order; of duplicated steps the last counts; non-finite rows count only at the end.
    validation : History, optional
        The validation loss, as the `loss` of a history.
    gain_bound : float, optional
        How far the loss may still fall by a forecast's upper bound, in the units of the loss.
        Without one: the last quarter's drop plus two standard errors, over the next quarter.

    Returns
    -------
    State
        Unchanged by scaling loss and gradient norm by one positive factor. Too little data is
        the state `unknown`, not an error. O(n log n).

    Raises
    ------
    ConfigError
        When `gain_bound` is negative or not finite.

    Examples
    --------
    >>> from dqi_tracking import History
    >>> from dqi_tracking.insight.convergence import state
    >>> loss = [2.0 ** -(row / 5) for row in range(60)]
    >>> grad_norm = [0.9 ** row for row in range(60)]
    >>> state(History(step=range(60), loss=loss, grad_norm=grad_norm)).name
    'converged'
    """
    return states([history], validations=[validation], gain_bounds=[gain_bound])[0]


def states(
    histories: Iterable[History],
    *,
    validations: Sequence[History | None] | None = None,
    gain_bounds: Sequence[float | None] | None = None,
) -> list[State]:
    """Say of many runs what each is doing at its end; the answers are those of `state`.

    Parameters
    ----------
    histories : iterable of History
        Runs of any lengths.
    validations, gain_bounds : sequence, optional
        As in `state`, one for each run.

    Returns
    -------
    list of State
        One for each history, in order.

    Raises
    ------
    ConfigError
        When there is not one validation or bound a run, or a bound is negative or not finite.
    """
    runs = list(histories)
    validations = [None] * len(runs) if validations is None else validations
    gain_bounds = [None] * len(runs) if gain_bounds is None else gain_bounds
    for name, given in (("validations", validations), ("gain_bounds", gain_bounds)):
        if len(given) != len(runs):
            raise ConfigError(
                f"{len(given)} {name} for {len(runs)} histories", fix="pass one for each history"
            )
    for bound in gain_bounds:
        if bound is not None and not 0 <= bound < math.inf:
            raise ConfigError(
                f"gain_bound {bound!r} is no bound", fix="pass a finite number, 0 or more"
            )
    if not runs:
        return []
    numbers = measure(runs, validations, gain_bounds)
    rows = zip(*(column.tolist() for column in numbers.values()), strict=True)
    found: list[State] = []
    for name, row in zip(_names(numbers), rows, strict=True):
        evidence = dict(zip(numbers, row, strict=True))
        found.append(State(name, evidence, _sentence(name, evidence)))
    return found


def _names(e: Mapping[str, FloatArray]) -> list[StateName]:
    """Apply the rules in order; a comparison with NaN is false."""
    ratio, drop = e["grad_ratio"], e["drop"]
    falls = (drop >= FLAT) & (drop > SIGNIFICANT * e["drop_error"])
    rises = (drop <= -FLAT) & (-drop > SIGNIFICANT * e["drop_error"])
    high = (e["above_lowest"] >= ENDED_HIGH) & (e["above_lowest"] >= ABOVE_NOISE * e["noise"])
    validation = e["validation_drop"]
    validation_rises = (validation <= -FLAT) & (-validation > SIGNIFICANT * e["validation_error"])
    too_few = (e["n_points"] - e["n_nonfinite"] < MIN_POINTS) | np.isnan(drop)
    no_gradient = (ratio < GRAD_DEAD) | (e["grad_to_loss"] < GRAD_NOTHING) | (e["grad_late"] == 0)
    rules: dict[StateName, np.ndarray[tuple[int], np.dtype[np.bool_]]] = {
        "unknown": too_few & (e["is_broken"] == 0),
        "diverging": (e["is_broken"] > 0) | rises | high,
        "overfitting": falls & validation_rises,
        "learning": falls,
        "dead": (np.abs(e["fall"]) <= NEAR_START) & no_gradient,
        "converged": (e["gain_bound"] < FLAT) & ((ratio < GRAD_SETTLED) | (e["grad_late"] == 0)),
        "stuck": (ratio >= GRAD_ALIVE) | (e["grad_spread"] >= GRAD_SCATTER),
    }
    names: tuple[StateName, ...] = (*rules, "plateau")
    always = np.ones(drop.size, np.bool_)
    # the first that holds
    return [names[place] for place in np.array([*rules.values(), always]).argmax(axis=0)]


def _sentence(name: StateName, e: Mapping[str, float]) -> str:
    if name == "unknown":
        finite = e["n_points"] - e["n_nonfinite"]
        return f"{finite:.0f} finite losses, or too few in the last quarter, do not tell a state"
    if e["is_broken"]:
        return f"the loss ends without a finite value ({e['n_nonfinite']:.0f} rows are not finite)"
    moved = f"the loss {_moved(e['drop'], e['drop_error'])} over the last quarter of the run"
    if name == "learning":
        return moved
    if name == "overfitting":
        rise = _moved(e["validation_drop"], e["validation_error"])
        return f"{moved}, while the validation loss {rise}"
    if name == "diverging":
        return f"{moved} and ends {100 * e['above_lowest']:.0f} % of it above its lowest level"
    calm = "flat" if abs(e["drop"]) < FLAT else "no more than its noise"
    return f"{moved}: {calm}; {_gradient_words(name, e)}"


def _moved(drop: float, error: float) -> str:
    verb = "fell" if drop >= 0 else "rose"
    return f"{verb} by {100 * abs(drop):.1f} % (± {100 * error:.1f}) of its range"


def _gradient_words(name: StateName, e: Mapping[str, float]) -> str:
    ratio = e["grad_ratio"]
    if math.isnan(e["grad_late"]):
        return "without a gradient norm nothing tells converged from stuck"
    level = f"the gradient norm is {ratio:.2g} of its early level"
    if math.isnan(ratio):
        level = "the gradient norm was 0 all along"
    if name == "plateau" and not e["gain_bound"] < FLAT:
        return f"{level}, and a further {100 * e['gain_bound']:.1f} % cannot be ruled out"
    if name == "stuck" and not ratio >= GRAD_ALIVE:
        return f"{level}, scattered by {100 * e['grad_spread']:.0f} %"
    return level
