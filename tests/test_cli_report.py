"""`dqi report`: where the page goes, and what is said about it."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from tests.file_sizes import no_large_files
from tests.stores import Store

STEPS = np.arange(60)
LOSS = np.exp(-STEPS / 12) + 0.05 * np.sin(STEPS**2)

Dqi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runs(fresh_sqlite: Store, log_run: Callable[..., str]) -> dict[str, str]:
    """Log runs into the experiment `e`, and give their ids by name."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    kinds = {
        "good": {"loss": LOSS},
        "<script>alert(1)</script>": {"loss": LOSS + 0.5 * np.cos(STEPS**2)},
        "none": {"accuracy": [(0, 0.5)]},
    }
    return {
        name: log_run(fresh_sqlite, experiment, name=name, metrics=metrics)
        for name, metrics in kinds.items()
    }


@pytest.fixture
def dqi(
    fresh_sqlite: Store,
    runs: dict[str, str],
    capfdbinary: pytest.CaptureFixture[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Dqi:
    """Give a function that runs a command line in the test's folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        code = main([*arguments, "--tracking-uri", fresh_sqlite.uri])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def test_the_page_goes_into_a_file_that_is_named(
    dqi: Dqi, runs: dict[str, str], tmp_path: Path
) -> None:
    dqi("backfill", "mlflow:e")
    code, out, err = dqi("report", "mlflow:e")
    assert (code, err) == (0, "")
    path = tmp_path / "dqi-report.html"
    page = path.read_text(encoding="utf-8")
    assert out.splitlines()[0].startswith(f"3 runs, 2 of them scored: {path} (")
    assert out.splitlines()[1] == f"open it in a browser: {path.as_uri()}"
    assert 'id="plotly"' in page
    assert f"/runs/{runs['good']}" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "no loss and no gradient norm" in page
    # whole, readable by whoever may read new files, and nothing left beside it
    assert page.endswith("</html>")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert [each.name for each in tmp_path.iterdir() if "report" in each.name] == [path.name]


def test_without_scripts_and_to_standard_output(dqi: Dqi, tmp_path: Path) -> None:
    dqi("backfill", "mlflow:e")
    code, out, err = dqi("report", "mlflow:e", "-o", "-", "--no-scripts")
    assert (code, err) == (0, "")
    assert out.startswith("<!doctype html>")
    assert out.endswith("</html>")
    assert "<script" not in out
    assert not (tmp_path / "-").exists()


def test_before_a_backfill_the_page_says_what_to_do(dqi: Dqi, tmp_path: Path) -> None:
    code, out, _ = dqi("report", "mlflow:e", "-o", "page.html")
    assert code == 0
    assert out.startswith("3 runs, 0 of them scored")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "dqi backfill mlflow:e" in page
    assert "<script" not in page


def test_without_plotly_the_page_has_drawings_and_a_line_says_how_to_get_it(
    dqi: Dqi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dqi_tracking.report import interactive

    dqi("backfill", "mlflow:e")
    interactive._scripts.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    code, _, err = dqi("report", "mlflow:e")
    assert code == 0
    assert "pip install 'dqi-tracking[html]'" in err
    assert "<script" not in (tmp_path / "dqi-report.html").read_text(encoding="utf-8")
    assert dqi("report", "mlflow:e", "--no-scripts")[2] == ""


def test_nothing_is_asked_of_a_tracker_where_the_page_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for output, said in (
        ("no/such/page.html", "there is no folder"),
        (str(tmp_path), "is a folder"),
        ("", "is a folder"),
        ("a\0b", "is no path"),
    ):
        # the address would be an error of its own
        assert main(["report", "mlflow:nothing", "-o", output]) == 2
        error, fix = capsys.readouterr().err.splitlines()
        assert said in error
        assert fix.startswith("fix: ")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_page_and_nothing_else(dqi: Dqi, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page.html").write_text("old")
    with no_large_files():
        code, _, err = dqi("report", "mlflow:e", "-o", "pages/page.html")
    assert code == 2
    assert re.match(r"error: `.*page.html` cannot be written: File too large", err)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("page.html", "old")]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(dqi: Dqi, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "real" / "page.html")
    assert dqi("report", "mlflow:e", "-o", "link.html")[0] == 0
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real" / "page.html").read_text().endswith("</html>")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert dqi("report", "mlflow:e", "-o", "pipe")[0] == 0
    reader.join(30)
    assert read[0].endswith("</html>")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_of_curves_has_a_page_that_says_how_to_score_it(dqi: Dqi, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("step,loss\n0,1\n1,2\n")
    code, out, _ = dqi("report", "curve.csv")
    assert code == 0
    assert out.startswith("1 run, 0 of them scored")
    page = (tmp_path / "dqi-report.html").read_text(encoding="utf-8")
    assert "a file of curves holds no scores" in page
    assert "dqi score curve.csv" in page
