"""Features of the early part of runs, and outcomes predicted from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, score
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.outcome import (
    CONFOUNDS,
    SIGNALS,
    Features,
    features,
    features_many,
    predict_outcomes,
)
from tests.insight_runs import clean_run, noise
from tests.outcome_runs import NAMES, noise_runs, normal
from tests.strategies import FEW, histories

MODELS = ("ridge on the signals", "boosted trees on the signals")
BASELINES = ("loss at the cut", "lowest loss so far", "logging interval and length", "group alone")


def test_features_are_those_of_the_rows_up_to_the_cut() -> None:
    run = clean_run(n=200, interval=10)
    with_grad = History(run.step, run.loss, 1 + np.abs(noise(0.2)), grad_step=run.step + 5)
    found = features(with_grad, 0.5)
    assert found.names == (*SIGNALS, *CONFOUNDS)
    assert found.values.shape == (1, len(found.names))
    seen = run.step <= 995
    assert found["n_points"].tolist() == [seen.sum()]
    assert found["interval"].tolist() == [10]
    assert found["last_step"].tolist() == [run.step[seen].max()]
    own = score(History(run.step[seen], run.loss[seen]))
    assert found["dqi"].tolist() == [own.dqi]
    assert found["dqi_mid"].tolist() == [own.mid.dqi]
    assert found["dqi_late_structure"].tolist() == [own.late.structure]
    assert abs(found["loss_level"][0] - np.median(run.loss[seen][-3:])) < 0.05
    assert found["loss_lowest"][0] <= found["loss_level"][0]
    assert np.isfinite(found.values).all()


@FEW
@given(histories(), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_nothing_after_the_cut_is_looked_at(history: History, share: float, seed: int) -> None:
    ends = [float(history.step.max(initial=0))]
    before = features_many([history], share, end_steps=ends)
    if history.loss is None or not history.step.size:
        return
    first = float(history.step.min())
    later = history.step > first + share * (ends[0] - first)
    changed = np.where(later, np.random.default_rng(seed).normal(size=later.size), history.loss)
    grad = history.grad_norm
    other = History(
        np.where(later, history.step + 1, history.step),
        changed,
        None if grad is None else np.where(later, 7.0, grad),
    )
    after = features_many([other], share, end_steps=ends)
    np.testing.assert_array_equal(after.values, before.values)


def test_the_usual_end_of_a_group_hides_that_a_run_is_going_to_stop() -> None:
    short, long = clean_run(n=120), clean_run(n=200)
    by_own = features_many([short, long], 0.5)
    by_group = features_many([short, long], 0.5, end_steps=[1990, 1990])
    assert len(set(by_own["n_points"])) == 2
    assert len(set(by_group["n_points"])) == 1


@pytest.mark.parametrize(
    ("history", "known"),
    [
        (History([]), ()),
        (History([1.0, 2.0], [np.nan, np.inf]), ("n_points",)),
        (History(range(50), grad_norm=np.ones(50)), ()),
        (History([5.0], [1.0]), ("loss_level", "loss_lowest", "n_points", "last_step")),
    ],
    ids=["empty", "never finite", "gradient norm alone", "one row"],
)
def test_what_was_not_logged_is_nan(history: History, known: tuple[str, ...]) -> None:
    found = features(history, 0.6)
    scored = [name for name in found.names if name.startswith("dqi")]
    assert all(np.isnan(found[name]).all() for name in scored)
    for name in ("loss_level", "loss_lowest", *CONFOUNDS):
        assert np.isfinite(found[name]).all() == (name in known), name


def test_columns_of_a_listing_stand_beside_the_early_part() -> None:
    early = features_many([clean_run(0), clean_run(1)], 0.5)
    found = early.beside(Features(("batch_size",), np.array([[8.0], [np.nan]])))
    assert found.names == (*early.names, "batch_size")
    np.testing.assert_array_equal(found["batch_size"], [8, np.nan])
    np.testing.assert_array_equal(found["dqi"], early["dqi"])
    with pytest.raises(ConfigError, match="2 and 1 runs"):
        early.beside(Features(("a",), np.zeros((1, 1))))
    with pytest.raises(ConfigError, match="one name"):
        early.beside(early)


def test_features_that_cannot_be_meant_are_refused() -> None:
    run = clean_run()
    for share in (0, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="share"):
            features(run, share)
    with pytest.raises(ConfigError, match="end steps"):
        features_many([run], 0.5, end_steps=[])
    with pytest.raises(ConfigError, match="one name"):
        Features(("a", "a"), np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="shape"):
        Features(("a",), np.zeros((1, 2)))
    with pytest.raises(KeyError):
        features(run, 0.5)["no such feature"]
    assert features_many([], 0.5).values.shape == (0, len(SIGNALS) + len(CONFOUNDS))


def test_a_signal_is_found_by_both_models_and_compared_with_every_baseline() -> None:
    runs = noise_runs()
    signal = runs.features["signal"]
    outcome = signal + 0.5 * normal(5, signal.size) + 9 * np.repeat(np.arange(4), 15)
    found = predict_outcomes(runs.features, outcome, runs.groups)
    by_name = {reading.name: reading for reading in found.readings}
    assert tuple(by_name) == (*MODELS, *BASELINES)
    assert [reading.is_baseline for reading in found.readings] == [False] * 2 + [True] * 4
    for name in MODELS:
        assert by_name[name].rho.value > 0.5
        assert by_name[name].over_loss is not None
        assert by_name[name].over_loss.low > 0.2
    for name in BASELINES:
        assert by_name[name].rho.value < 0.3
    # the group alone orders the pooled runs, and none within a group
    assert by_name["group alone"].rho.value == 0
    assert by_name["group alone"].pooled > 0.85
    assert found.groups == tuple((f"group {at}", 15) for at in range(4))
    assert all(np.isfinite(table).all() for table in found.predicted.values())


def test_a_group_is_predicted_without_its_outcomes() -> None:
    runs = noise_runs(3)
    outcome = runs.features["signal"] + normal(5, 60)
    other = outcome.copy()
    other[:15] = normal(9, 15)
    before = predict_outcomes(runs.features, outcome, runs.groups)
    after = predict_outcomes(runs.features, other, runs.groups)
    for name in MODELS:
        moved = np.abs(before.predicted[name] - after.predicted[name])
        assert moved[:15].max() < 1e-12
        assert moved[15:].max() > 1e-3


def test_units_of_signals_and_outcomes_within_a_group_do_not_matter() -> None:
    runs = noise_runs(4)
    outcome = runs.features["signal"] + normal(6, 60)
    group = np.repeat(np.arange(4), 15)
    rescaled = Features(NAMES, np.exp(runs.features.values * (1 + group[:, None])))
    before = predict_outcomes(runs.features, outcome, runs.groups)
    after = predict_outcomes(rescaled, outcome**3 * 10.0**group - 5 * group, runs.groups)
    for one, two in zip(before.readings, after.readings, strict=True):
        assert one.rho == two.rho, one.name


def test_runs_that_cannot_be_used_are_left_out_and_named() -> None:
    runs = noise_runs(n_groups=6, size=10)
    outcome = normal(1, 60)
    outcome[[0, 10]] = np.nan, np.inf
    outcome[20:30] = 3.0
    outcome[30:33] = np.nan
    labels = [*runs.groups[:59], None]
    found = predict_outcomes(runs.features, outcome, labels)
    assert [name for name, _ in found.groups] == ["group 0", "group 1", "group 4", "group 5"]
    assert found.runs == 9 + 9 + 10 + 9
    told = " ".join(found.left_out)
    assert "5 runs without a finite outcome" in told
    assert "1 run without a group" in told
    assert "1 group with fewer than 8 runs with an outcome (7 runs)" in told
    assert "1 group with the same outcome in every run (10 runs)" in told
    table = found.predicted["ridge on the signals"]
    assert np.isnan(table[[0, 10, *range(20, 40), 59]]).all()
    assert np.isfinite(table).sum() == found.runs


@pytest.mark.parametrize(
    ("n_groups", "size", "outcome", "why"),
    [
        (1, 40, "noise", "only 1 group is left"),
        (2, 40, "noise", "only 2 groups are left"),
        (5, 7, "noise", "fewer than 8 runs"),
        (5, 10, "constant", "the same outcome in every run"),
        (5, 10, "missing", "without a finite outcome"),
        (0, 0, "noise", "no group is left"),
    ],
)
def test_too_little_data_gives_a_reason_and_no_number(
    n_groups: int, size: int, outcome: str, why: str
) -> None:
    runs = noise_runs(n_groups=n_groups, size=size)
    n = n_groups * size
    outcomes = {"noise": normal(1, n), "constant": np.ones(n), "missing": np.full(n, np.nan)}
    found = predict_outcomes(runs.features, outcomes[outcome], runs.groups)
    assert why in found.problem
    assert found.readings == ()


def test_missing_features_and_perfect_ties_give_numbers() -> None:
    runs = noise_runs(2)
    values = runs.features.values.copy()
    values[::3, 0] = np.nan
    values[:, 1] = np.nan
    values[:, 2] = 7.0
    values[::5, 3] = np.inf
    outcome = (normal(3, 60) > 0).astype(float)
    found = predict_outcomes(Features(NAMES, values), outcome, runs.groups)
    assert len(found.readings) == 6
    for reading in found.readings:
        assert np.isfinite([*reading.each_rho, reading.rho.low, reading.rho.high]).all()
    # a constant loss orders nothing
    assert next(r for r in found.readings if r.name == "loss at the cut").rho.value == 0


def test_questions_that_cannot_be_meant_are_refused() -> None:
    runs = noise_runs()
    with pytest.raises(ConfigError, match="59 outcomes for 60 runs"):
        predict_outcomes(runs.features, np.zeros(59), runs.groups)
    with pytest.raises(ConfigError, match="2 groups for 60 runs"):
        predict_outcomes(runs.features, np.zeros(60), ["a", "b"])
    with pytest.raises(ConfigError, match="no feature 'x'"):
        predict_outcomes(runs.features, np.zeros(60), runs.groups, signals=["x"])
    with pytest.raises(ConfigError, match="no signal"):
        predict_outcomes(runs.features, np.zeros(60), runs.groups, signals=[])
    with pytest.raises(ConfigError, match="not a number"):
        predict_outcomes(runs.features, ["low"] * 60, runs.groups)
