"""Reading offline runs of W&B: a long file, and the listing of many.

The long file holds, as the client's do, three records a row: two summaries and the row itself.
"""

from __future__ import annotations

import math

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from dqi_tracking.config import Settings
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from tests.wandb_logs import LogWriter, exit_record, history_record, put, run_record

N_ROWS = 100_000
N_RUNS = 500


def summary_record(loss: float) -> bytes:
    record = Record(num=3)
    for name, value in (("loss", loss), ("_timestamp", 1.7e9), ("_runtime", 0.3), ("_step", 1)):
        record.summary.update.add(nested_key=[name], value_json=repr(value))
    return record.SerializeToString()


def long_run(n_rows: int, run_id: str, started: int) -> bytes:
    writer = LogWriter()
    writer.add(run_record(run_id, started=started))
    for step in range(n_rows):
        loss = math.exp(-step / n_rows) + 0.01 * math.sin(step**2)
        row = {
            "loss": repr(loss),
            ("train", "grad_norm"): repr(2 * loss),
            ("train", "lr"): "0.001",
            "epoch": str(step // 100),
            "_timestamp": "1.7953606831751525e+09",
            "_runtime": "0.299502083",
        }
        writer.add(summary_record(0.0))
        writer.add(summary_record(loss))
        writer.add(history_record(step, row))
    writer.add(exit_record(runtime=100))
    return bytes(writer.content)


@pytest.fixture(scope="module")
def settings():
    return Settings()


def test_read_a_long_run(benchmark, tmp_path, settings):
    path = put(tmp_path, long_run(N_ROWS, "long", 1))
    tracker = open_tracker(str(path), settings=settings)
    refs = list(tracker.find(Query()))

    def read():
        (reading,) = tracker.read(refs)
        return reading.found()

    history = benchmark.pedantic(read, rounds=3, warmup_rounds=1)
    assert history.loss.size == history.grad_norm.size == N_ROWS
    benchmark.extra_info["megabytes"] = round(path.stat().st_size / 1e6, 1)
    if benchmark.stats is not None:
        benchmark.extra_info["rows_per_second"] = round(N_ROWS / benchmark.stats.stats.median)


def test_list_many_runs(benchmark, tmp_path, settings):
    for number in range(N_RUNS):
        put(tmp_path, long_run(200, f"r{number}", 1 + number), run_id=f"r{number}")
    tracker = open_tracker(str(tmp_path), settings=settings)
    found = benchmark.pedantic(lambda: list(tracker.find(Query())), rounds=3, warmup_rounds=1)
    assert len(found) == N_RUNS
    if benchmark.stats is not None:
        benchmark.extra_info["ms_a_run"] = round(1000 * benchmark.stats.stats.median / N_RUNS, 2)
