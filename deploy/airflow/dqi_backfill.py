"""Airflow DAG (Airflow 3.0 or later): a backfill every 15 minutes, never two at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # one pass does what all the missed ones would have done
    max_active_runs=1,
    tags=["dqi"],
)
def dqi_backfill() -> None:
    """Score what is not scored yet, and write the scores back."""

    # 75: another backfill is at it; no retries, for the next turn is the next try
    @task.bash(skip_on_exit_code=75, retries=0, execution_timeout=timedelta(hours=6))
    def backfill() -> str:
        # `exec`: the task's SIGTERM reaches dqi itself, which finishes the runs at work.
        # W&B: dqi backfill wandb:ENTITY/PROJECT --max-requests-per-minute 60
        return "set -a; . /etc/dqi/env; exec /opt/dqi/venv/bin/dqi backfill mlflow:"

    backfill()


dqi_backfill()
