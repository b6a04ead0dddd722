"""The shipped calibration, and one of one's own runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.forecast import Calibration, calibrate, forecast_many
from dqi_tracking.insight.forecasting.calibration import VERSION, shipped
from dqi_tracking.types import History
from tests.forecast_runs import cohort, until


def covered(calibration: Calibration | None, runs: list[History], level: float = 0.9) -> float:
    seen = [until(run, 0.5) for run in runs]
    ends = [float(run.step[-1]) for run in runs]
    made = forecast_many(seen, ends, level, calibration=calibration)
    last = np.array([run.loss[-1] for run in runs])
    return float(
        np.mean([(one.low <= end) & (end <= one.high) for one, end in zip(made, last, strict=True)])
    )


def test_the_shipped_table_tells_its_sources_and_licences() -> None:
    table = shipped()
    assert table.version == VERSION
    assert sum(source["runs"] for source in table.sources) > 1500
    assert {family for source in table.sources for family in source["families"]} >= {"wmt", "ogbg"}
    assert all(source["licence"] in {"MIT", "Apache-2.0"} for source in table.sources)
    assert min(table.sizes) > 500


def test_own_runs_make_intervals_that_hold_on_others_of_their_kind() -> None:
    runs = cohort(240)
    own = calibrate(runs[:120])
    assert covered(own, runs[120:]) == pytest.approx(0.9, abs=0.07)
    assert covered(own, runs[120:], 0.6) == pytest.approx(0.6, abs=0.12)


def test_own_runs_of_a_tidy_kind_make_narrower_intervals() -> None:
    runs = cohort(60)
    horizon = float(runs[0].step[-1])
    seen = until(runs[0], 0.5)
    own, general = (
        forecast_many([seen], [horizon], calibration=table)[0]
        for table in (calibrate(runs[1:]), None)
    )
    assert own.high90 - own.low90 < general.high90 - general.low90
    assert own.loss == general.loss
    assert own.group.startswith("your own runs")
    assert own.group_size == 59


def test_a_rising_metric_is_calibrated_as_its_mirror() -> None:
    runs = cohort(30)
    mirrored = [History(run.step, -run.loss) for run in runs]
    rising = calibrate(mirrored, higher_is_better=True)
    np.testing.assert_allclose(rising.table, calibrate(runs).table)


def test_too_few_runs_are_refused_with_a_fix() -> None:
    useless = [History([1, 2, 3], [1, 2, 3]), History(range(50), np.ones(50))] * 20
    with pytest.raises(ConfigError, match="19 of 59 runs can be forecast") as caught:
        calibrate(cohort(19) + useless)
    assert "more finished runs" in caught.value.fix


def test_a_calibration_comes_back_from_json() -> None:
    own = calibrate(cohort(25), name="nightly runs")
    back = Calibration.from_json(own.to_json())
    np.testing.assert_allclose(back.table, own.table, atol=1e-4)
    assert (back.sizes, back.name, back.version) == (own.sizes, "nightly runs", VERSION)
    assert back.to_json() == own.to_json()


def test_a_calibration_of_another_version_is_refused() -> None:
    content = json.loads(shipped().to_json()) | {"version": "0"}
    with pytest.raises(ConfigError, match="forecaster version '0'") as caught:
        Calibration.from_json(json.dumps(content))
    assert "calibrate again" in caught.value.fix


@pytest.mark.parametrize(
    "change",
    [
        {"table": []},
        {"table": "x"},
        {"table": [[[1.0, -1.0]] * 7] * 8},
        {"table": [[[-1.0, float("nan")]] * 7] * 8},
        {"knots": [1, 2]},
        {"sizes": [1]},
        {"sizes": None},
        {"sources": [1]},
    ],
)
def test_a_damaged_calibration_is_refused(change: dict[str, object]) -> None:
    content = json.loads(shipped().to_json()) | change
    with pytest.raises(ConfigError, match=r"not a calibration|damaged"):
        Calibration.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{" * 100, "[" * 100_000])
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a calibration"):
        Calibration.from_json(text)
