"""The loop that everyone writes: what `dqi backfill` is measured against.

`python naive_loop.py TRACKING_URI EXPERIMENT [LIMIT]` prints the seconds that the loop took, the
import of mlflow left out, and the number of runs.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from mlflow import MlflowClient


def phases(loss: np.ndarray) -> tuple[float, float, float]:
    """Return something like a score for each third: the arithmetic is not what costs."""
    early, mid, late = (float(np.std(part)) for part in np.array_split(loss, 3))
    return early, mid, late


def main(uri: str, name: str, limit: int) -> tuple[float, int]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    start = time.perf_counter()
    done, token = 0, None
    while True:
        page = client.search_runs([experiment.experiment_id], page_token=token, max_results=1_000)
        for run in page:
            run_id = run.info.run_id
            loss = client.get_metric_history(run_id, "loss")
            client.get_metric_history(run_id, "grad_norm")
            loss.sort(key=lambda metric: (metric.step, metric.timestamp))
            early, mid, late = phases(np.array([metric.value for metric in loss]))
            client.log_metric(run_id, "naive", 0.5 * early + 0.3 * mid + 0.2 * late)
            client.log_metric(run_id, "naive_early", early)
            client.log_metric(run_id, "naive_mid", mid)
            client.log_metric(run_id, "naive_late", late)
            client.set_tag(run_id, "naive.done", "1")
            client.log_dict(run_id, {"early": early, "mid": mid, "late": late}, "naive.json")
            done += 1
            if done == limit:
                return time.perf_counter() - start, done
        token = page.token
        if not token:
            return time.perf_counter() - start, done


if __name__ == "__main__":
    seconds, runs = main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else 0)
    print(seconds, runs)  # noqa: T201
