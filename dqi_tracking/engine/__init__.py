"""Stages 1 to 4 of DQI on arrays: numpy and scipy only, no I/O, no clock, no environment.

signal → phases → components → fusion, composed in `scoring`.
"""

from dqi_tracking.engine.result import ENGINE_VERSION
from dqi_tracking.engine.scoring import score, score_many

__all__ = ["ENGINE_VERSION", "score", "score_many"]
