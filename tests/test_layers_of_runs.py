"""Layers of a run: on the page, in the terminal, in `layers.json`, and read from every tracker."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from dqi_tracking import backfill, unscore
from dqi_tracking.cli import main
from dqi_tracking.engine import score
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.insight.layers import LayerProfile, profile
from dqi_tracking.names import LAYERS_FILE
from dqi_tracking.report.layer_rows import heat_map
from dqi_tracking.report.page import phases_html
from dqi_tracking.types import History, RunRef
from tests.pages import Page
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

N = 120
STEPS = np.arange(N)
LOSS = [(int(step), float(np.exp(-step / 30) + np.sin(step * step) / 50)) for step in STEPS]
NAMES = ("wte", "h.2.mlp", "h.10.mlp", "lm_head")
HOSTILE = "<b onclick=\"x('&amp;')\">\x1b[31m\u202e"


def norms(n_layers: int, seed: int = 0) -> np.ndarray:
    """Return gradient norms of layers as mini-batches scatter them; that of the second is 0."""
    rng = np.random.default_rng(seed)
    found = rng.lognormal(0, 0.3, (n_layers, N)) * np.exp(-STEPS / 50)
    found[1] = 0
    return found


def metrics() -> dict[str, list[tuple[int, float]]]:
    rows = dict(zip(NAMES, norms(len(NAMES)).tolist(), strict=True))
    layers = {f"grad_2.0_norm/{name}": list(enumerate(row)) for name, row in rows.items()}
    return {"loss": LOSS, "grad_2.0_norm_total": LOSS, **layers}


def page_with(found: LayerProfile) -> tuple[bytes, Page]:
    rng = np.random.default_rng(1)
    # as many turns as the drawing has room for, in both curves
    history = History(np.arange(20_000), rng.lognormal(size=20_000), rng.lognormal(size=20_000))
    data = phases_html(
        score(history),
        history,
        RunRef("0af3", "run"),
        insight=insight_of(history),
        scored_at="2026-11-22T01:40:00Z",
        layers=found,
    )
    return data, Page(data)


def test_a_backfill_writes_the_layers_and_a_heat_map(harness: Harness) -> None:
    run = harness.add("deep", metrics())
    plain = harness.add("plain", {"loss": LOSS})
    backfill(harness.address, settings=harness.settings())
    assert LAYERS_FILE not in harness.files(plain)
    files = harness.files(run)
    with harness.opened() as tracker:
        at_once = tracker.reads_several
    assert (LAYERS_FILE in files) == (b"<h2>Layers</h2>" in files["phases.html"]) == at_once
    if at_once:
        told = json.loads(files[LAYERS_FILE])["layers"]
        assert [row["layer"] for row in told] == list(NAMES)
        assert [row["layer"] for row in told if row["finding"]] == ["h.2.mlp"]
        stamp = harness.ref(run).stamp
        early_mid = stamp.metrics["dqi_boundary_early_mid"]
        assert {row["boundary_steps"][0] for row in told if not row["finding"]} == {early_mid}
        assert b"Vanishing signal in h.2.mlp: its gradient is 0 at the end" in files["phases.html"]
    unscore(harness.address, settings=harness.settings())
    assert harness.files(run) == {}


def test_without_files_no_layer_is_read(harness: Harness) -> None:
    harness.add("deep", {"loss": LOSS})
    run = harness.add("deeper", metrics())
    before = harness.n_histories()
    backfill(harness.address, settings=harness.settings(), files=False)
    # two runs, of each the loss, and of one the global norm
    assert harness.n_histories() - before <= 4
    assert harness.files(run) == {}


@pytest.mark.parametrize("n_layers", [48, 49, 2_000])
def test_the_page_stays_small_whatever_the_layers_are(n_layers: int) -> None:
    names = [f"{number}{HOSTILE}{'<&' * 40}" for number in range(n_layers)]
    found = profile(STEPS, norms(n_layers), names)
    data, page = page_with(found)
    assert len(data) <= 60_000
    rows = heat_map(found, 48).rows
    assert (len(rows), sum(row.n for row in rows)) == (48, n_layers)
    assert data.count(b'<th scope="row"><bdi>') == 48
    assert not any(key.startswith("on") for _, attrs in page.attributes for key in attrs)
    assert b"\x1b" not in data
    assert (b"Neighbours are folded" in data) == (n_layers > 48)


def test_where_warnings_and_names_take_the_room_there_are_fewer_rows() -> None:
    names = [f"{number}{'&' * 99}" for number in range(2_000)]
    weak = np.where(np.arange(2_000) % 50 == 7, 1e-9, 1)[:, None]
    found = profile(STEPS, norms(2_000) * weak, names)
    rng = np.random.default_rng(1)
    curves = rng.lognormal(size=(2, 20_000))
    history = History(np.arange(20_000), *curves, loss_key="&" * 300, grad_norm_key="&" * 300)
    scored = replace(score(history), warnings=("&" * 300,) * 9)
    hostile = RunRef("&" * 300, "&" * 300, "&" * 300)
    given = {"insight": insight_of(history), "scored_at": "now", "phases": "&" * 300}
    data = phases_html(scored, history, hostile, layers=found, **given)
    assert len(data) <= 60_000
    assert data.count(b'<th scope="row"><bdi>') in (0, 6, 12, 24)


def test_layers_without_a_number_are_dashes() -> None:
    histories = [History(STEPS, grad_norm=row) for row in norms(2)]
    empty = History([], grad_norm=[])
    data, _ = page_with(profile(None, [*histories, empty], ["a", "b", "c"]))
    row = data.decode().split("<bdi>c</bdi>")[1].split("</tr>")[0]
    assert row.count("—") == 4
    assert "nan" not in row


@pytest.fixture
def shared_run(harness: Harness, request: pytest.FixtureRequest) -> list[str]:
    """Give the command line that shows a run of MLflow, in process and of a server."""
    if "mlflow" not in request.node.name:
        pytest.skip("its address is one of several runs; `show` is given one")
    run = harness.add("deep", metrics())
    return ["show", f"runs:/{run}", "--tracking-uri", harness.given["tracking_uri"]]


def test_layers_are_shown_in_network_order_and_what_is_dead_by_name(
    shared_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shared_run, "--layers"]) == 0
    out, err = capsys.readouterr()
    is_served = shared_run[-1].startswith("http")
    assert ("reading 4 layers by a request for each" in err) is is_served
    _, _, below = out.partition("4 layers, DQI of each one's gradient norm")
    rows = [line.split()[0] for line in below.splitlines() if line.startswith(NAMES)]
    assert rows == list(NAMES)
    assert "Vanishing signal in h.2.mlp: its gradient is 0 at the end" in below
    assert main([*shared_run, "--layers", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in told["layers"]] == list(NAMES)
    assert main(shared_run) == 0
    assert "layers" not in capsys.readouterr().out


def test_a_pattern_names_the_layers(
    shared_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*shared_run, "--layer-pattern", r"norm/h\.(\d+)"]) == 0
    assert "2 layers, DQI of each" in capsys.readouterr().out
    assert main([*shared_run, "--layer-pattern", "nothing/(.+)"]) == 1
    error = capsys.readouterr().err
    assert "no gradient norm of a layer was logged" in error
    assert "fix: " in error
    assert main([*shared_run, "--layer-pattern", "("]) == 2
    assert "no regular expression" in capsys.readouterr().err


def test_very_many_layers_are_folded_on_the_terminal(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = norms(300)
    names = [f"grad_2.0_norm/h.{number}" for number in range(300)]
    head = ",".join(["step", "loss", *names])
    lines = [",".join(map(str, [step, loss, *rows[:, step].tolist()])) for step, loss in LOSS]
    path = tmp_path / "run.csv"
    path.write_text("\n".join([head, *lines]))
    assert main(["show", str(path), "--layers"]) == 0
    out = capsys.readouterr().out
    assert "Folded into 60 stretches" in out
    assert (
        len([line for line in out.splitlines() if line.startswith("h.") and " +4 " in line]) == 60
    )
    assert "Vanishing signal in h.1:" in out
