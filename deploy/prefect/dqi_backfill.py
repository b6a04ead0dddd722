"""Prefect flow (Prefect 3): a backfill every 15 minutes, never two at once.

``set -a; . /etc/dqi/env; python dqi_backfill.py`` serves it from this machine.
"""

from __future__ import annotations

import subprocess

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.states import Completed, State

TRACKER = 3
HELD = 75


@task(retries=2, retry_delay_seconds=[60, 300])
def run_dqi() -> int:
    """Run one pass and return its exit code; only a tracker that is down is tried again."""
    logger = get_run_logger()
    # W&B: dqi backfill wandb:ENTITY/PROJECT --max-requests-per-minute 60
    with subprocess.Popen(
        ["/opt/dqi/venv/bin/dqi", "backfill", "mlflow:"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as dqi:
        try:
            for line in dqi.stdout or ():
                logger.info(line.rstrip())
            code = dqi.wait()
        finally:
            dqi.terminate()  # where the flow was cancelled: the runs at work are finished
    if code == TRACKER:
        raise ConnectionError("the tracker is unreachable or refused")
    return code


@flow(name="dqi-backfill")
def dqi_backfill() -> State | None:
    """Score what is not scored yet, and write the scores back."""
    code = run_dqi()
    if code == HELD:
        return Completed(name="Skipped", message="another backfill is at it")
    if code:
        raise RuntimeError(f"dqi ended with exit code {code}")
    return None


if __name__ == "__main__":
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    dqi_backfill.serve(name="every-15-minutes", cron="*/15 * * * *", limit=1, global_limit=one)
