"""A process beside this one, which scores and draws while this one reads and writes.

Where the store answers within this process, as SQLite does, a pass is as fast as one Python is:
threads share it, and are slower. Scoring needs no tracker, so it can go elsewhere, and then costs
the pass nothing. What goes wrong with that process is no concern of a run: it is scored here.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dqi_tracking.backfill.worker import begin_process
from dqi_tracking.errors import DQIError
from dqi_tracking.pipeline.result import Result, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor, Future

    from dqi_tracking.context.phase_plan import PhasePlan
    from dqi_tracking.pipeline import Pass
    from dqi_tracking.types import History, RunRef

WORTH_IT = 100
"""Fewest runs of a pass for which the process is started, which takes most of a second."""
LOOK_SECONDS = 1.0
"""How often it looks whether its starter is still there."""

_OF_STARTER: list[Pass] = []


class ScoringProcess:
    """Scores histories there once it is up, and here before.

    Parameters
    ----------
    pool : Executor
        Of one process, begun with `_begin`.
    current : Pass

    Attributes
    ----------
    is_up : Future
        Done once it can score.
    """

    ahead = 3

    def __init__(self, pool: Executor, current: Pass) -> None:
        self._pool = pool
        self._current = current
        self.is_up: Future[None] = pool.submit(_be_up)

    def begin(self, ref: RunRef, history: History, plan: PhasePlan) -> Callable[[], Result]:
        """Begin to score a history; return what waits for the result."""

        def here() -> Result:
            return result_of(ref, history, plan, self._current)

        if not self.is_up.done():
            return here
        try:
            future = self._pool.submit(_score, ref, history, plan)
        except (BrokenExecutor, OSError):
            return here

        def made() -> Result:
            try:
                return future.result()
            except DQIError:
                raise
            except Exception:  # noqa: BLE001 - what is wrong with the run is raised here again
                return here()

        return made


@contextmanager
def scoring_process(current: Pass, n_runs: int) -> Generator[ScoringProcess | None]:
    """Start the process for a pass, and end it with the pass.

    Yields
    ------
    ScoringProcess or None
        None where there are too few runs, or where this machine or whoever started this process
        does not allow another one.
    """
    if n_runs < WORTH_IT:
        yield None
        return
    from joblib.externals.loky import ProcessPoolExecutor, cpu_count

    if cpu_count() < 2:
        yield None
        return
    pool = ProcessPoolExecutor(1, initializer=_begin, initargs=(current, os.getpid()))
    try:
        scorer = _started(pool, current)
        yield scorer
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _started(pool: Executor, current: Pass) -> ScoringProcess | None:
    try:
        return ScoringProcess(pool, current)
    except (AssertionError, BrokenExecutor, OSError):
        # daemons may have no children: multiprocessing asserts it
        return None


def _begin(current: Pass, starter: int) -> None:
    begin_process()
    _OF_STARTER.append(current)
    threading.Thread(target=_end_with, args=(starter,), daemon=True).start()


def _end_with(starter: int) -> None:
    # one that is killed closes no pool
    while os.getppid() == starter:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def _be_up() -> None:
    """Do nothing: done once the process has imported what it needs."""


def _score(ref: RunRef, history: History, plan: PhasePlan) -> Result:
    return result_of(ref, history, plan, _OF_STARTER[-1])
