"""Names from an MLflow store are data: any that MLflow takes works, and none gets out."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from dqi_tracking import rank
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from dqi_tracking.report.artifact import read_phases
from tests.conftest import Experiment
from tests.mlflow_runs import FILES, LogRun, curve, one_pass, written
from tests.stores import Store

NAMES = [
    '../../up/and /away: it\'s "quoted" `so` 100%',
    "<script>alert(1)</script>&amp;\nline\ttab\r\x1b[31mred\x1b]0;title\x07",
    "🚂 naïve ﷽ \u202egnp.exe runs:/mlflow:sqlite:///x.db",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_experiment_and_run_works(
    store: Store, log_run: LogRun, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if store.name == "files":
        # MLflow makes no such experiment there: it puts the name into a filter, between quotes
        name = name.replace("'", "")
    # unique in the store, and the name as it is at both ends
    group = f"{name} {uuid.uuid4().hex} {name}"
    client = MlflowClient(tracking_uri=store.uri)
    root = f"{store.artifact_root}/{uuid.uuid4().hex}" if store.artifact_root else None
    made = Experiment(group, client.create_experiment(group, artifact_location=root))
    run_id = log_run(store, made.id, name=name, metrics={"loss": curve()}, tags={"t": name})

    report, _ = one_pass(store, made)

    assert report.counts == {"scored": 1}
    assert written(store, run_id)["files"] == FILES
    table = rank(f"mlflow:{group}", settings=load_settings(tracking_uri=store.uri))
    assert table[["run", "name", "group"]].values.tolist() == [[run_id, name, group]]
    folder = Path(download_artifacts(run_id=run_id, tracking_uri=store.uri, artifact_path="dqi"))
    page = (folder / "phases.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    assert read_phases((folder / "phases.json").read_bytes()).run.id == run_id

    assert main(["rank", f"mlflow:{group}", "--tracking-uri", store.uri]) == 0
    assert main(["backfill", f"mlflow:{group}x", "--tracking-uri", store.uri]) == 3
    out, err = capsys.readouterr()
    assert run_id in out
    assert not set("\x1b\x07\r\u202e") & set(out + err)
    assert err.splitlines()[-1].startswith("fix: ")


@pytest.mark.parametrize("store", ["sqlite", "files", "http_postgres"], indirect=True)
@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        ("train: a.b-c d/LOSS", None),
        ("modèle/日本/loss", None),
        ("x\n", "x\n"),
        ("é" * 40 + "/" + "m" * 200, "é" * 40 + "/" + "m" * 200),
    ],
)
def test_any_metric_key_works(
    store: Store, experiment: Experiment, log_run: LogRun, key: str, chosen: str | None
) -> None:
    run_id = log_run(store, experiment.id, metrics={key: curve(), "accuracy": curve()})
    options = {"loss_key": chosen} if chosen else {}
    report, _ = one_pass(store, experiment, options)
    assert report.counts == {"scored": 1}
    assert written(store, run_id)["tags"]["signal"] == key
    assert one_pass(store, experiment, options)[0].counts == {"unchanged": 1}
