"""A backfill of millions of runs, simulated from what single runs were measured to cost.

A chunk of runs is worked on by a worker, asks the database for a share of the time, and its
outcomes go through the one process that started all. Whichever is busy first is the limit.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Seconds a run, as `bench_dask.py` measures them on PostgreSQL (2 × 1,000 points, files).

    Attributes
    ----------
    worker : float
        Processor time of the worker: MLflow's client, scoring, the page.
    database : float
        Processor time of the database.
    starter : float
        Time of the process that hands out chunks and counts outcomes.
    """

    worker: float = 0.018
    database: float = 0.0045
    starter: float = 0.0015


def simulate(
    runs: int, workers: int, database_cores: int, costs: Costs, *, chunk: int = 40
) -> float:
    """Return the seconds that a backfill takes.

    Parameters
    ----------
    runs, workers, database_cores : int
    costs : Costs
    chunk : int
        Runs a worker is given at once.
    """
    free_workers = [0.0] * workers
    free_cores = [0.0] * database_cores
    starter = 0.0
    for first in range(0, runs, chunk):
        size = min(chunk, runs - first)
        begun = heapq.heappop(free_workers)
        # the worker waits for the database, which serves chunks one after the other on each core
        core = heapq.heappop(free_cores)
        asked = max(begun, core) + size * costs.database
        heapq.heappush(free_cores, asked)
        done = asked + size * costs.worker
        heapq.heappush(free_workers, done)
        starter = max(starter, done) + size * costs.starter
    return starter
