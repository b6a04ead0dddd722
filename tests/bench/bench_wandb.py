"""What a pass over W&B sends, counted at a loopback server: nothing of the time is W&B's.

What the client tells its makers on its own is left out: see `tests/wandb_requests.py`.
"""

from __future__ import annotations

import pytest

from tests.wandb_requests import one_pass, seed, spread_one_score
from tests.wandb_server.client import SERVED

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

N_FIRST = 40
N_SECOND = 1_000
VERIFYING = 1
WAYS = {
    "default": {},
    "no_artifact": {"artifact": False},
    "no_files": {"files": False},
}


@pytest.mark.parametrize("way", WAYS)
def test_first_pass(benchmark, wandb_server, way):
    seed(wandb_server, N_FIRST)
    report, counts = benchmark.pedantic(one_pass, (wandb_server,), WAYS[way], rounds=1)
    assert report.counts == {"scored": N_FIRST}
    told = benchmark.extra_info
    told["runs"] = N_FIRST
    for part in ("reading", "files", "summary", "artifact"):
        once = VERIFYING if part == "summary" else 0
        told[f"{part}_a_run"] = (counts[part] - once) / N_FIRST
    told["verifying"] = VERIFYING
    for part in ("login", "listing", "writer run"):
        told[part.replace(" ", "_")] = counts[part]
    told["total"] = sum(counts.values())


def test_second_pass(benchmark, wandb_server):
    seed(wandb_server, N_SECOND)
    spread_one_score(wandb_server)
    report, counts = benchmark.pedantic(one_pass, (wandb_server,), rounds=1)
    assert report.counts == {"unchanged": N_SECOND}
    told = benchmark.extra_info
    told |= {"runs": N_SECOND, **counts, "writes": len(wandb_server.writes)}
    told["total"] = sum(counts.values())
