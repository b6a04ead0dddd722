"""Steps taken from another metric, such as tokens: aligned, scored, shown, told where missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, Query, open_tracker, score
from dqi_tracking.cli import main
from dqi_tracking.config import Settings, load_settings
from dqi_tracking.pipeline import ScoringOptions, begin, examine, process
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.trackers.series import Series, against
from dqi_tracking.types import Outcome
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, one_pass, outcomes_of
from tests.recorder import curve
from tests.stores import Store
from tests.strategies import PROPERTY

TOKENS = Settings(step_key="tokens")
NAN, INF = math.nan, math.inf
LACKS = "no `tokens` was logged: the steps are the tracker's own"
Rows = list[tuple[float, float]]


def series(rows: Rows) -> Series:
    table = np.array(rows, dtype=float).reshape(-1, 2)
    return Series(table[:, 0], table[:, 1])


def over(rows: Rows, steps: Rows) -> Rows:
    found = against(series(rows), series(steps))
    return list(zip(found.step.tolist(), found.value.tolist(), strict=True))


def test_values_stand_over_the_metric_logged_at_their_step_in_the_order_of_logging() -> None:
    rows = [(2, 20.0), (0, 0.0), (1, 10.0)]
    steps = [(0, 100.0), (1, 150.0), (2, 900.0), (3, 950.0)]
    assert over(rows, steps) == [(900, 20), (100, 0), (150, 10)]


def test_the_last_of_two_steps_counts_and_every_row_of_one_step_stays() -> None:
    assert over([(1, 5.0), (1, 6.0)], [(1, 100.0), (1, 200.0)]) == [(200, 5), (200, 6)]


def test_rows_without_a_finite_step_are_left_out() -> None:
    steps = [(0, NAN), (1, 1.0), (2, INF), (3, -INF), (4, 4.0), (4, NAN)]
    assert over([(at, at) for at in range(6)], steps) == [(1, 1)]
    assert over([(1, NAN), (1, INF)], [(1, 7.0)])[1] == (7, INF)


@pytest.mark.parametrize("steps", [[], [(9, 1.0)], [(0, NAN)]])
def test_without_a_common_step_nothing_is_left(steps: Rows) -> None:
    assert over([(0, 1.0), (1, 2.0)], steps) == []
    assert over([], steps) == []


AT = st.integers(0, 9)
VALUE = st.one_of(st.integers(-99, 99).map(float), st.sampled_from((INF, -INF, NAN)))


@PROPERTY
@given(
    st.lists(st.tuples(AT, st.integers(-99, 99).map(float)), max_size=15),
    st.lists(st.tuples(AT, VALUE), max_size=15),
)
def test_each_row_that_has_a_step_is_kept_once_and_in_order(rows: Rows, steps: Rows) -> None:
    last = dict(steps)
    expected = [(last[at], value) for at, value in rows if math.isfinite(last.get(at, NAN))]
    assert over(rows, steps) == expected


def tokens(n: int = 30) -> Rows:
    """Return a step metric that grows unevenly, as a warm-up of the batch size does."""
    return [(step, 100.0 * step**1.5) for step in range(n)]


def scored(tracker: MemoryTracker, settings: Settings) -> dict[str, Outcome]:
    refs = list(tracker.find(Query()))
    current = begin(ScoringOptions.of(settings))
    return {each.ref.run_id: each for each in process(tracker, refs, current)}


def test_a_run_is_scored_over_the_metric_and_one_without_it_over_its_steps_with_a_warning() -> None:
    tracker = MemoryTracker(TOKENS)
    tracker.add("has", loss=curve(1), tokens=tokens())
    tracker.add("lacks", loss=curve(1))
    found = scored(tracker, TOKENS)
    step, loss = zip(*curve(1), strict=True)
    at = [value for _, value in tokens()]
    assert repr(found["has"].score) == repr(score(History(at, loss)))
    plain = score(History(step, loss))
    assert found["lacks"].score.dqi == plain.dqi != found["has"].score.dqi
    assert found["lacks"].score.warnings == (LACKS, *plain.warnings)
    told = json.loads(tracker.runs["lacks"].files["phases.json"])
    assert LACKS in told["warnings"]
    by_id = {ref.run_id: ref for ref in tracker.find(Query())}
    options = ScoringOptions.of(TOKENS)
    assert LACKS in examine(tracker, by_id["lacks"], options)[1].warnings
    assert examine(tracker, by_id["has"], options)[0].step.tolist() == at


def test_the_gradient_norm_stands_over_the_metric_too() -> None:
    tracker = MemoryTracker(TOKENS)
    tracker.add("both", loss=curve(1), grad_norm=curve(2)[::2], tokens=tokens())
    tracker.add("norm", grad_norm=curve(2), tokens=tokens())
    readings = {each.ref.run_id: each.found() for each in tracker.read([*tracker.find(Query())])}
    at = [value for _, value in tokens()]
    assert readings["both"].step.tolist() == at
    assert readings["both"].grad_step.tolist() == at[::2]
    assert (readings["norm"].loss, readings["norm"].step.tolist()) == (None, at)


def test_the_metric_makes_another_score_and_the_same_metric_none() -> None:
    tracker = MemoryTracker(TOKENS)
    run = tracker.add("r", loss=curve(1), tokens=tokens())
    marks = []
    for settings in (Settings(), TOKENS):
        assert scored(tracker, settings)["r"].outcome == "scored"
        assert scored(tracker, settings)["r"].outcome == "unchanged"
        marks.append(run.stamp.facts["fingerprint"].partition("-")[0])
    assert marks[0] != marks[1]


def test_a_run_whose_metric_shares_no_step_with_its_loss_is_skipped() -> None:
    tracker = MemoryTracker(TOKENS)
    tracker.add("r", loss=curve(1), tokens=[(99, 1.0)])
    outcome = scored(tracker, TOKENS)["r"]
    assert outcome.outcome == "skipped"
    assert outcome.reason == "`tokens` was logged at none of the steps of the loss"


def test_a_file_whose_steps_are_the_metric_has_nothing_to_warn_of(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    for column in ("epoch", "tokens"):
        lines = [f"{column},loss", *(f"{step * 10},{loss}" for step, loss in curve(1))]
        path.write_text("\n".join(lines))
        settings = Settings(step_key=column)
        tracker = open_tracker(str(path), settings=settings)
        (ref,) = tracker.find(Query())
        history, result, *_ = examine(tracker, ref, ScoringOptions.of(settings))
        assert history.step.tolist() == [step * 10 for step, _ in curve(1)]
        assert not [warning for warning in result.warnings if column in warning]


def test_an_mlflow_run_is_scored_over_the_metric(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    loss, at = curve(1), tokens()
    has = log_run(store, experiment.id, metrics={"loss": loss, "tokens": at})
    # the person started again at 20: the later points of both count
    again = {"loss": [*curve(2), *loss[20:]], "tokens": [*at[:20], (20, 1.0), (20, NAN), *at[20:]]}
    resumed = log_run(store, experiment.id, metrics=again)
    lacks = log_run(store, experiment.id, metrics={"loss": loss})

    _, plain = one_pass(store, experiment)
    report, outcomes = one_pass(store, experiment, {"step_key": "tokens"})

    assert report.counts == {"scored": 3}
    expected = score(History([value for _, value in at], [value for _, value in loss]))
    assert outcomes[has].score.dqi == pytest.approx(expected.dqi, rel=1e-12)
    assert outcomes[has].score.boundary_steps == pytest.approx(expected.boundary_steps)
    assert outcomes[has].score.warnings == expected.warnings
    assert outcomes[resumed].score.n_points == 30
    assert LACKS in outcomes[lacks].score.warnings
    assert outcomes[lacks].score.dqi == plain[lacks].score.dqi
    _, unchanged = one_pass(store, experiment, {"step_key": "tokens"})
    assert set(outcomes_of(unchanged).values()) == {"unchanged"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a curve file of one run, with its tokens, one of them not logged."""
    monkeypatch.chdir(tmp_path)
    pairs = zip(curve(1), tokens(), strict=True)
    rows = [f"{at},{loss},{'' if at == 7 else n}" for (at, loss), (_, n) in pairs]
    (tmp_path / "curve.csv").write_text("\n".join(("step,loss,tokens", *rows)))
    return "curve.csv"


def test_a_curve_file_is_read_over_one_of_its_columns(file: str) -> None:
    tracker = open_tracker(file, settings=load_settings(step_key="tokens"))
    (reading,) = tracker.read(list(tracker.find(Query())))
    at = [value for step, value in tokens() if step != 7]
    assert reading.found().step.tolist() == pytest.approx(at)


@pytest.mark.parametrize("command", ["score", "show", "backfill"])
def test_the_option_says_which_metric_and_whether_it_was_there(
    capsys: pytest.CaptureFixture[str], file: str, command: str
) -> None:
    def row(*options: str) -> dict[str, object]:
        dry = ["--dry-run"] if command == "backfill" else []
        assert main([command, file, "--json", *dry, *options]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        return dict(json.loads(line))

    plain, over_tokens, lacking = row(), row("--step-key", "tokens"), row("--step-key", "epoch")
    assert plain["dqi_boundary_mid_late"] < 30 < over_tokens["dqi_boundary_mid_late"]
    missing = "no `epoch` was logged: the steps are the tracker's own"
    assert lacking["warnings"] == [missing, *plain["warnings"]]
    assert lacking["dqi"] == plain["dqi"]
    marks = {each["dqi_fingerprint"].partition("-")[0] for each in (plain, over_tokens, lacking)}
    assert len(marks) == 3


def test_show_tells_phases_in_the_metric_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], file: str
) -> None:
    assert main(["show", file, "--step-key", "tokens"]) == 0
    assert f"to {tokens()[-1][1]:,.0f}" in capsys.readouterr().out
    assert main(["show", file, "--step-key", "epoch"]) == 0
    assert "note: no `epoch` was logged" in capsys.readouterr().out


def test_the_setting_is_taken_from_the_environment_too(
    capsys: pytest.CaptureFixture[str], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, lacking in (("tokens", False), ("epoch", True)):
        monkeypatch.setenv("DQI_STEP_KEY", name)
        assert main(["score", file, "--json"]) == 0
        assert (f"no `{name}` was logged" in capsys.readouterr().out) == lacking
