"""Stage 4: from components to phase scores, the score, and its weakest component.

Source of the rules: the DQI method, "Phase Fusion": 0.50 early + 0.30 mid + 0.20 late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.types import FloatArray

PHASE_WEIGHTS = (0.5, 0.3, 0.2)


def checked_weights(weights: Sequence[float]) -> FloatArray:
    """Return the phase weights as an array of shape (3,).

    Raises
    ------
    ConfigError
        When there are not three, one is negative or not finite, or they do not sum to 1.
    """
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    # a weight above 2 is wrong by itself; the sum of larger ones may overflow
    in_range = array.shape == (3,) and bool(((array >= 0) & (array <= 2)).all())
    if not in_range or abs(float(array.sum()) - 1.0) > 1e-9:
        raise ConfigError(
            f"weights {weights!r} are not three non-negative numbers that sum to 1",
            fix="pass early, mid and late weights such as (0.5, 0.3, 0.2)",
        )
    return array


def fuse(components: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Multiply the components of each phase, and add the phases by weight.

    Parameters
    ----------
    components : ndarray of shape (k, 3, 4)
        Of k runs: phases early, mid, late; each component in [0, 1].
    weights : ndarray of shape (3,)
        Non-negative, sum 1.

    Returns
    -------
    phases : ndarray of shape (k, 3)
        Score of each phase, in [0, 1].
    dqi : ndarray of shape (k,)
        Score of each run, in [0, 1]. O(k).
    """
    phases = components.prod(axis=2)
    # written out: a matrix product may round differently for another k
    dqi = phases[:, 0] * weights[0] + phases[:, 1] * weights[1] + phases[:, 2] * weights[2]
    return phases, np.clip(dqi, 0.0, 1.0)


def weakest(
    components: FloatArray, weights: FloatArray
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the column of the component with the lowest weighted mean over the phases.

    Parameters
    ----------
    components : ndarray of shape (k, 3, 4)
    weights : ndarray of shape (3,)

    Returns
    -------
    ndarray of shape (k,), int
        0 coverage, 1 variation, 2 structure, 3 density; the first of equals.
    """
    mean = (components * weights[None, :, None]).sum(axis=1)
    return mean.argmin(axis=1)
