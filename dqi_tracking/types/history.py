"""What one run logged, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dqi_tracking.errors import MalformedHistory

FloatArray = NDArray[np.float64]


def _array(values: ArrayLike, name: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedHistory(
            f"`{name}` holds something that is not a number",
            fix=f"pass `{name}` as a sequence of numbers",
        ) from error
    if array.ndim != 1:
        raise MalformedHistory(
            f"`{name}` has {array.ndim} dimensions", fix=f"pass `{name}` as an array of shape (n,)"
        )
    return array


@dataclass(frozen=True, slots=True, eq=False, init=False)
class History:
    """What one run logged: the loss, and the gradient norm where there is one.

    Rows may come in any order; the engine sorts them.

    Parameters
    ----------
    step : array_like of shape (n,)
        Training step of each row, finite, in any unit (steps, tokens, epochs).
    loss : array_like of shape (n,), optional
        Loss logged at each step. NaN and ±inf are *logged* non-finite values; leave the row out
        where nothing was logged.
    grad_norm : array_like of shape (n,) or the shape of `grad_step`, optional
        Gradient norm, read as the signal only where there is no loss point at all.
    grad_step : array_like, optional
        Steps of `grad_norm` where it was logged at other steps than the loss.
    validation : History, optional
        The validation loss, as the `loss` of a history on its own steps; the state of a run is
        judged with it. None where none was logged or it could not be read.
    loss_key, grad_norm_key : str
        Names under which the tracker holds the two series.
    warnings : tuple of str
        What whoever read it has to tell, one sentence each: a damaged file, another step axis.
        They come back in `Score.warnings`.

    Raises
    ------
    MalformedHistory
        When an array is not one-dimensional, lengths differ, or a step is not finite.
    """

    step: FloatArray
    loss: FloatArray | None
    grad_norm: FloatArray | None
    grad_step: FloatArray | None
    validation: History | None
    loss_key: str
    grad_norm_key: str
    warnings: tuple[str, ...]

    def __init__(
        self,
        step: ArrayLike,
        loss: ArrayLike | None = None,
        grad_norm: ArrayLike | None = None,
        *,
        grad_step: ArrayLike | None = None,
        validation: History | None = None,
        loss_key: str = "loss",
        grad_norm_key: str = "grad_norm",
        warnings: tuple[str, ...] = (),
    ) -> None:
        given = {"loss": loss, "grad_norm": grad_norm, "grad_step": grad_step}
        arrays = {"step": _array(step, "step")} | {
            name: _array(values, name) for name, values in given.items() if values is not None
        }
        grad_rows = arrays.get("grad_step", arrays["step"])
        for name, expected in (("loss", arrays["step"]), ("grad_norm", grad_rows)):
            if name in arrays and arrays[name].shape != expected.shape:
                raise MalformedHistory(
                    f"`{name}` has {arrays[name].size} values for {expected.size} steps",
                    fix=f"pass one `{name}` for each step",
                )
        for name in ("step", "grad_step"):
            if name in arrays and not np.isfinite(arrays[name]).all():
                raise MalformedHistory(
                    f"`{name}` holds a value that is not finite",
                    fix="drop the rows without a step",
                )
        for name in ("step", *given):
            object.__setattr__(self, name, arrays.get(name))
        object.__setattr__(self, "validation", validation)
        object.__setattr__(self, "loss_key", loss_key)
        object.__setattr__(self, "grad_norm_key", grad_norm_key)
        object.__setattr__(self, "warnings", tuple(warnings))
