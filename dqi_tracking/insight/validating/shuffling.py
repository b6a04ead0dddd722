"""Permutation tests within groups, by whole configurations where these are known.

Repeats of one configuration end alike, so a group of 25 runs in 5 configurations is worth little
more than 5 runs. Shuffling single runs would forget that, and find evidence where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.ranks import members

if TYPE_CHECKING:
    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray


def shuffles(codes: IntArray, configurations: IntArray, number: int, seed: int) -> IntArray:
    """Draw ways to exchange runs within groups.

    The configurations of a group are laid one after another in random order, and the repeats
    within each in random order; run by run they take the places of the original ones. Where
    configurations have the same number of repeats, each one takes the place of another as a whole.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Group of each run.
    configurations : ndarray of shape (n,)
        Configuration of each run; a different number for each run where none is known.
    number : int
        How many to draw.
    seed : int

    Returns
    -------
    ndarray of shape (n, number)
        Each column orders the rows anew, groups apart: ``outcome[shuffled]``.

    References
    ----------
    Winkler et al. 2015, "Multi-level block permutation", doi:10.1016/j.neuroimage.2015.05.092.
    """
    random = np.random.default_rng(seed)
    found = np.empty((codes.size, number), dtype=np.int64)
    for rows in members(codes):
        _, block = np.unique(configurations[rows], return_inverse=True)
        target = rows[np.argsort(block, kind="stable")]
        place_of_block = random.permuted(np.tile(np.arange(block.max() + 1), (number, 1)), axis=1)
        within = random.random((number, rows.size))
        order = np.lexsort((within, place_of_block[:, block]), axis=1)
        found[target] = rows[order].T
    return found


def p_value(observed: float, shuffled: FloatArray) -> float:
    """Return the share of shuffles that do as well, the observed one counted among them.

    References
    ----------
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585: a p-value from shuffles is never 0.
    """
    # equal up to rounding is as good
    return float((1 + np.count_nonzero(shuffled >= observed - 1e-9)) / (1 + shuffled.size))


def holm(p_values: list[float], questions: int) -> list[float]:
    """Return p-values adjusted for several tests, and for so many questions asked of the runs.

    Parameters
    ----------
    p_values : list of float
        In (0, 1].
    questions : int
        1 or more; the adjusted values are multiplied by it (Bonferroni).

    Returns
    -------
    list of float
        In (0, 1], in the order given.

    References
    ----------
    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for done, at in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, p_values[at] * (len(p_values) - done))
        adjusted[at] = min(1.0, largest * questions)
    return adjusted
