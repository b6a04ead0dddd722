"""A dictionary of falling curves: the power laws that a loss is made of.

Time u is the share of the seen part: 0 just before the first point, 1 now, above 1 the future.
Every atom falls with u, so that a loss a + b·g(u) with b ≥ 0 falls as well.

Source: variable projection (Golub & Pereyra 1973, doi:10.1137/0710036) over the shifted power laws
that Domhan et al. (IJCAI 2015) and Viering & Loog (arXiv 2103.10948) found to suit learning curves
best. Weibull, Hill, logarithmic and linear atoms made the forecast worse on the tuning families.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

_SHIFTS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
_EXPONENTS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
_SHIFT, _EXPONENT = np.array(list(product(_SHIFTS, _EXPONENTS))).T

ATOMS = _SHIFT.size
"""Number of atoms."""


def atoms(u: FloatArray) -> FloatArray:
    """Evaluate 1 / (u + shift)^exponent for every shift and exponent.

    Parameters
    ----------
    u : ndarray of shape (...,), u ≥ 0
        Time as a share of the seen part.

    Returns
    -------
    ndarray of shape (..., 48)
        Positive, falling with u. O(48) a value.
    """
    # powers of positive numbers by logarithms: half the cost of `power`
    return np.exp(-_EXPONENT * np.log(np.asarray(u, dtype=np.float64)[..., None] + _SHIFT))
