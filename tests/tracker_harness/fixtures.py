"""The pytest fixture that gives the stores one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import dqi_tracking.trackers
from tests.conftest import Experiment
from tests.stores import Store
from tests.tracker_harness.base import Harness
from tests.tracker_harness.memory import ENTRY, MemoryHarness
from tests.tracker_harness.mlflow_store import MlflowHarness, Statements
from tests.tracker_harness.wandb_folder import WandbFolderHarness
from tests.tracker_harness.wandb_project import WandbHarness

# one worker holds the server and the client's service process
WANDB = pytest.mark.xdist_group("wandb")
STORES = [
    pytest.param("memory"),
    pytest.param("sqlite", id="mlflow"),
    # the name puts it into the group of the server's other tests
    pytest.param("http_sqlite", id="mlflow-http"),
    pytest.param("wandb", marks=WANDB),
    pytest.param("offline", marks=WANDB, id="wandb-offline"),
]


@pytest.fixture(params=STORES)
def harness(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make_experiment: Callable[[Store], Experiment],
) -> Iterator[Harness]:
    """Give an empty store of each tracker."""
    kind = request.param
    with ExitStack() as stack:
        if kind == "memory":
            monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
            yield MemoryHarness()
        elif kind in ("sqlite", "http_sqlite"):
            store = request.getfixturevalue(kind)
            if kind == "sqlite":
                counted = Statements()
                stack.callback(counted.close)
            else:
                counted = request.getfixturevalue("fault_proxy")
            yield MlflowHarness(store, make_experiment(store), counted)
        else:
            request.getfixturevalue("wandb_env")
            if kind == "wandb":
                yield WandbHarness(request.getfixturevalue("wandb_server"))
            else:
                yield WandbFolderHarness(tmp_path)
