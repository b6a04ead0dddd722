"""`dqi report` of 10,000 scored runs: time, CPU and size of the page."""

from __future__ import annotations

import shutil

import pytest
import sqlalchemy as sa

from dqi_tracking.config import load_settings
from dqi_tracking.report.overview import overview_html
from dqi_tracking.reporting import experiment_at
from tests.bench.many_runs import NAME, fill_scored

RUNS = 10_000


@pytest.fixture(scope="module")
def uri(sqlite_template, tmp_path_factory):
    """Make a store whose scores and names all differ, by SQL: scoring each takes minutes."""
    folder = tmp_path_factory.mktemp("report")
    uri = f"sqlite:///{shutil.copy(sqlite_template, folder / 'mlflow.db')}"
    fill_scored(uri, (folder / "artifacts").as_uri(), RUNS, points=50)
    engine = sa.create_engine(uri)
    share = "(abs(random()) / 9223372036854775807.0)"
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                f"UPDATE latest_metrics SET value = {share} * {share} "
                "WHERE key IN ('dqi', 'dqi_raw', 'dqi_early', 'dqi_mid', 'dqi_late')"
            )
        )
        connection.execute(sa.text("UPDATE runs SET name = 'a-run-as-people-name-it-' || run_uuid"))
    engine.dispose()
    return uri


@pytest.mark.parametrize("scripts", [False, True], ids=["drawings", "plotly"])
def test_the_whole_report(benchmark, uri, scripts):
    settings = load_settings(tracking_uri=uri)

    def report():
        return overview_html(experiment_at(f"mlflow:{NAME}", settings=settings), scripts=scripts)

    page = benchmark.pedantic(report, rounds=2)
    benchmark.extra_info |= {"runs": RUNS, "mb": round(len(page.encode()) / 1e6, 2)}


@pytest.mark.parametrize("scripts", [False, True], ids=["drawings", "plotly"])
def test_the_page_alone(benchmark, uri, scripts):
    settings = load_settings(tracking_uri=uri)
    found = experiment_at(f"mlflow:{NAME}", settings=settings)
    benchmark.pedantic(overview_html, (found,), {"scripts": scripts}, rounds=3)
