"""Layers of runs whose gradients were logged as histograms, online and offline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqi_tracking import Query, backfill
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from dqi_tracking.names import LAYERS_FILE
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Tracker
from dqi_tracking.trackers.series import Series
from tests.wandb_logs import put, run_of
from tests.wandb_project import ADDRESS
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer
from tests.wandb_watch import Norms, train_watched

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

KINDS = ["online", "exported", "offline"]
Row = dict[str, Any]


class Place:
    """Where a run lies: on the server, live or exported, or in a folder."""

    def __init__(self, kind: str, server: WandbServer, folder: Path) -> None:
        self._kind, self._server, self._folder = kind, server, folder
        self.address = str(folder) if kind == "offline" else ADDRESS

    def trained(self) -> Norms:
        if self._kind == "offline":
            return train_watched("r", offline=self._folder)
        norms = train_watched("r")
        run = self._server.live(P, "r")
        run.exported = len(run.history) * (self._kind == "exported")
        return norms

    def seeded(self, rows: list[Row]) -> None:
        """Put rows in as the client keeps them: in its file it takes a histogram apart."""
        if self._kind == "offline":
            put(self._folder, bytes(run_of(map(taken_apart, rows), run_id="r").content), "r")
        else:
            self._server.add_run(P, "r", history=rows, exported=self._kind == "exported")

    def files(self) -> Mapping[str, bytes]:
        if self._kind == "offline":
            return {path.name: path.read_bytes() for path in self._folder.glob("wandb/*/dqi/*")}
        names = [name for name in self._server.run(P, "r").files if name.startswith("dqi/")]
        return {name[4:]: self._server.file(P, "r", name) or b"" for name in names}

    def norms(self) -> dict[str, Series]:
        """Read what the listing names as layers."""
        with self.opened() as tracker:
            (ref,) = tracker.find(Query())
            (reading,) = tracker.read([ref])
            return tracker.series(reading.ref, reading.ref.layer_metrics)

    @contextmanager
    def opened(self) -> Iterator[Tracker]:
        tracker = open_tracker(self.address, settings=load_settings())
        try:
            yield tracker
        finally:
            tracker.close()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, wandb_server: WandbServer, tmp_path: Path) -> Place:
    return Place(request.param, wandb_server, tmp_path)


def taken_apart(row: Row) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for key, value in row.items():
        parts = (
            {(key, part): inside for part, inside in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
        found |= {name: json.dumps(part) for name, part in parts.items()}
    return found


def histogram(values: Any, edges: Any) -> Row:
    return {"_type": "histogram", "values": values, "bins": edges}


def test_norms_are_told_within_a_few_percent_and_zeros_exactly(place: Place) -> None:
    truth = place.trained()
    found = place.norms()
    assert found.keys() == {f"gradients/{name}" for name in truth}
    ratios = []
    for name, norms in truth.items():
        step, value = found[f"gradients/{name}"]
        assert step.tolist() == list(range(45))
        if name.startswith("h.1."):
            assert not value.any()
        else:
            ratios.append(value / norms)
    assert np.median(ratios) == pytest.approx(1, rel=0.01)
    assert np.quantile(ratios, [0.01, 0.99]).tolist() == pytest.approx([1, 1], abs=0.05)
    # rare letters: the gradient of most of their embeddings is next to nothing, and not 0
    assert np.ptp(ratios) < 0.15


def test_a_run_that_was_watched_has_a_profile_of_its_layers(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = place.trained()
    backfill(place.address, settings=load_settings(artifact=False))
    told = json.loads(place.files()[LAYERS_FILE])["layers"]
    cut = [name for name in truth if name.startswith("h.1.")]
    assert {row["layer"] for row in told} == truth.keys()
    assert sorted(row["layer"] for row in told if row["finding"]) == sorted(cut)
    assert [row["layer"] for row in told][-1] == "lm_head.weight"
    assert b"<h2>Layers</h2>" in place.files()["phases.html"]
    run = place.address if place.address != ADDRESS else f"{ADDRESS}/r"
    assert main(["show", run, "--layers"]) == 0
    out = capsys.readouterr().out
    assert f"{len(truth)} layers, DQI of each one's gradient norm" in out
    assert "Vanishing signal in h.1." in out
    assert "its gradient is 0 at the end" in out


def test_odd_histograms_are_points_without_a_number_and_spoil_no_other(place: Place) -> None:
    nan, inf = float("nan"), float("inf")
    fine = histogram([2, 2], [-3.0, 0.0, 3.0])
    odd: dict[str, list[Any]] = {
        "not a number": [histogram([1], [nan, nan]), histogram([nan], [0.0, 1.0])],
        "no end": [histogram([1, 0], [0.0, 1.0, inf]), histogram([0, 1], [0.0, 1.0, inf])],
        "empty": [histogram([], []), histogram([], [1.0])],
        "no counts": [histogram([0, 0], [0.0, 1.0, 2.0]), histogram([0], [1.0, 1.0])],
        "one bin": [histogram([4], [3.0, 3.0]), histogram([3], [-1.0, 1.0])],
        "sometimes a number": [6.0, fine],
        "not always": [None, fine],
        "of words": [histogram(["a"], [0.0, 1.0]), histogram("a", "b")],
    }
    rows: list[Row] = []
    for step in range(2):
        layers = {f"gradients/{name}": cells[step] for name, cells in odd.items()}
        there = {key: cell for key, cell in layers.items() if cell is not None}
        rows.append({"loss": 1.0 / (step + 1), "gradients/fine": fine, **there})
    place.seeded([*rows, {"loss": 0.1, "gradients/fine": fine}])
    found = {key.removeprefix("gradients/"): series for key, series in place.norms().items()}
    assert found.keys() == {*odd, "fine"}
    values = {name: series.value.tolist() for name, series in found.items()}
    wide = float(np.sqrt(4 * 9 / 3))
    assert found["fine"].step.tolist() == [0, 1, 2]
    assert values["fine"] == pytest.approx([wide] * 3)
    assert np.isnan(values["not a number"]).all()
    assert values["no end"][0] == pytest.approx(np.sqrt(1 / 3))
    assert np.isnan(values["no end"][1])
    assert np.isnan(values["empty"]).all()
    assert np.isnan(values["no counts"]).all()
    assert values["one bin"] == pytest.approx([6, 1])
    assert values["sometimes a number"] == pytest.approx([6, wide])
    assert (found["not always"].step.tolist(), values["not always"]) == ([1], [wide])
    assert np.isnan(values["of words"]).all()


@pytest.mark.parametrize("place", ["online", "exported"], indirect=True)
def test_bins_are_read_as_servers_pack_them(place: Place) -> None:
    rng = np.random.default_rng(0)
    rows, norms = [], []
    for _ in range(3):
        values = rng.normal(size=2_000)
        counts, edges = np.histogram(values, bins=64)
        packed = {"min": edges[0], "size": edges[1] - edges[0], "count": 64}
        cell = {"_type": "histogram", "values": counts.tolist(), "packedBins": packed, "bins": None}
        rows.append({"loss": 1.0, "gradients/w": cell})
        norms.append(np.linalg.norm(values))
    place.seeded(rows)
    # a single layer is read, too
    assert place.norms()["gradients/w"].value.tolist() == pytest.approx(norms, rel=0.02)


def test_a_histogram_is_a_number_of_a_gradient_alone(place: Place) -> None:
    odd = histogram([1], [2.0, 2.0])
    rows = [
        {"loss": 0.5, "val/loss": odd, "parameters/w": odd, "my_grad/w": odd, "gradients/w": odd}
        for _ in range(4)
    ]
    place.seeded(rows)
    with place.opened() as tracker:
        (ref,) = tracker.find(Query())
        names = tracker.metric_names(ref)
        found = tracker.series(ref, [*rows[0], "no such"])
    assert {"loss", "my_grad/w", "gradients/w"} <= set(names)
    assert not any(name.endswith(("_type", "bins", "values")) for name in names)
    assert {key: series.value.tolist() for key, series in found.items()} == {
        "loss": [0.5] * 4,
        "my_grad/w": [2.0] * 4,
        "gradients/w": [2.0] * 4,
    }


def test_two_thousand_layers_are_read_together(place: Place) -> None:
    cells = {f"gradients/h.{n}": histogram([1 + n], [2.0, 2.0]) for n in range(2_000)}
    place.seeded([{"loss": 1 / (step + 1), **cells} for step in range(11)])
    found = place.norms()
    assert len(found) == 2_000
    assert {series.value.size for series in found.values()} == {11}
    assert found["gradients/h.1999"].value[0] == pytest.approx(2 * 2_000**0.5)
