"""What a check says of a run: a measure, and the finding it becomes beyond its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

CheckName = Literal[
    "duplicated_steps",
    "steps_go_back",
    "missing_rows",
    "largest_gap",
    "irregular_interval",
    "interval_change",
    "constant_stretch",
    "spike",
    "jump",
    "resume_splice",
    "noise_level",
    "rescaled",
    "far_from_cohort",
    "other_interval",
]


class Measure(NamedTuple):
    """What one check measured on one run, faulty or not.

    Attributes
    ----------
    size : float
        How strong it is, ≥ 0, in the unit that the check names; higher is stronger.
    limit : float
        Size from which on it is a finding, > 0.
    start_step, stop_step : float
        Steps between which it lies, both included.
    words : str
        What is there, as a sentence that `size` and steps are part of.
    """

    size: float
    limit: float
    start_step: float
    stop_step: float
    words: str

    @property
    def excess(self) -> float:
        """Size over limit; a finding where it is 1 or more."""
        return self.size / self.limit


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a run's log or curve that a person should look at.

    Attributes
    ----------
    name : str
        The check that found it.
    start_step, stop_step : float
        Steps between which it lies, both included; the whole run for a check against a cohort.
    size : float
        How strong it is, in the unit that `sentence` tells.
    sentence : str
        What was found, in words. It says what is there, not what caused it.
    """

    name: CheckName
    start_step: float
    stop_step: float
    size: float
    sentence: str
