"""What every part of `phases.json` keeps to."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the file: nothing unknown, nothing converted, no number that JSON cannot write."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def finite(number: float) -> float | None:
    """Return a number as JSON has it: None for NaN and ±inf."""
    return number if math.isfinite(number) else None
