"""What histograms of layers cost over W&B's API, and where they are refused."""

from __future__ import annotations

from collections import Counter

import pytest

from dqi_tracking import ReadRejected
from dqi_tracking.cli import main
from dqi_tracking.names import LAYERS_FILE
from dqi_tracking.trackers.wandb import history
from dqi_tracking.trackers.wandb.history import REQUESTS_A_SCAN
from tests.wandb_project import ADDRESS, failure_of, falling, listed, score_all, tracker_of
from tests.wandb_requests import one_pass
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import Row

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

CELL = {"_type": "histogram", "values": [3, 1], "bins": [-1.0, 0.0, 1.0]}


def rows_with(n_layers: int, *, every: int = 1, prefix: str = "gradients/") -> list[Row]:
    cells = {f"{prefix}h.{number}.w": CELL for number in range(n_layers)}
    return [row | (cells if place % every == 0 else {}) for place, row in enumerate(falling())]


def requests(server: WandbServer, rows: list[Row]) -> Counter[str]:
    server.reset()
    server.add_run(P, "r", history=rows)
    report, counts = one_pass(server, artifact=False)
    assert report.counts == {"scored": 1}
    return counts


def test_layers_take_one_read_however_many_and_other_runs_none(wandb_server: WandbServer) -> None:
    plain = requests(wandb_server, falling())
    few, many = (requests(wandb_server, rows_with(n)) for n in (2, 120))
    assert few == many
    assert few["reading"] - plain["reading"] == REQUESTS_A_SCAN
    assert sum(few.values()) - sum(plain.values()) == REQUESTS_A_SCAN + 2  # listed again; one file
    # `wandb.watch` logs parameters under names of their own
    assert requests(wandb_server, rows_with(20, prefix="parameters/")) == plain


def test_a_row_of_many_histograms_makes_the_pages_shorter(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_HISTOGRAMS", 100)
    wandb_server.add_run(P, "r", history=rows_with(20))
    (ref,) = listed()
    wandb_server.reset_counts()
    with tracker_of() as tracker:
        found = tracker.series(ref, ref.layer_metrics)
    assert {series.value.size for series in found.values()} == {40}
    # 40 rows of 20, five rows a page
    assert wandb_server.counts["query", "HistoryPage"] == 8


def test_other_metrics_of_a_run_with_histograms_are_read_by_short_pages_too(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_HISTOGRAMS", 100)
    rows = [row | {"train_loss": 2.0} for row in rows_with(20)]
    wandb_server.add_run(P, "r", history=rows)
    (ref,) = listed()
    assert {"loss", "train_loss"} <= ref.latest.keys()
    wandb_server.reset_counts()
    with tracker_of() as tracker:
        assert len(tracker.series(ref, ["loss", "train_loss"])) == 2
    assert wandb_server.counts["query", "HistoryPage"] == 8


def test_rows_between_those_of_the_layers_count_for_the_pages(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_WHOLE_ROWS", 10)
    wandb_server.add_run(P, "r", history=rows_with(3, every=20))
    (ref,) = listed()
    wandb_server.reset_counts()
    with tracker_of() as tracker:
        found = tracker.series(ref, ref.layer_metrics)
    assert {tuple(series.step) for series in found.values()} == {(0, 20)}
    assert wandb_server.counts["query", "HistoryPage"] == 4


def test_too_many_histograms_are_refused_and_the_score_stands(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(history, "MOST_HISTOGRAMS", 100)
    wandb_server.add_run(P, "r", history=rows_with(20))
    assert score_all().counts == {"scored": 1}
    files = wandb_server.run(P, "r").files
    assert "dqi/phases.html" in files
    assert f"dqi/{LAYERS_FILE}" not in files
    assert main(["show", f"{ADDRESS}/r", "--layers"]) == 3
    error = capsys.readouterr().err
    assert "800 histograms were logged, and not more than 100 are read" in error
    assert "fix: log them less often" in error


def test_a_layer_that_holds_text_is_told(wandb_server: WandbServer) -> None:
    wandb_server.add_run(P, "r", history=rows_with(2))
    (ref,) = listed()
    wandb_server.live(P, "r").history[7]["gradients/h.0.w"] = "none"
    with tracker_of() as tracker, pytest.raises(ReadRejected, match="no number at step 7: 'none'"):
        tracker.series(ref, ref.layer_metrics)


def test_a_loss_that_is_sometimes_a_histogram_is_still_refused(wandb_server: WandbServer) -> None:
    rows = falling()
    rows[3]["loss"] = CELL
    wandb_server.add_run(P, "r", history=rows, exported=True)
    assert "`loss`" in failure_of(score_all()).reason
