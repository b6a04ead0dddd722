from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqi_tracking import History, score
from dqi_tracking.errors import MalformedHistory
from dqi_tracking.insight.schedule import NoPhases, SchedulePhases, phases_of_schedule
from tests.strategies import FEW, PROPERTY

MANY = settings(PROPERTY, max_examples=400)
LAST = 10_000
STEP = np.arange(0, LAST + 1, 10.0)
WARMUP, DECAY = 500.0, 7_000.0


def warmed(tail: np.ndarray, end: float = WARMUP) -> np.ndarray:
    """Put a linear warm-up in front of a rate."""
    return 3e-4 * np.minimum(STEP / end, tail)


def after(end: float = WARMUP) -> np.ndarray:
    return np.clip((STEP - end) / (LAST - end), 0, 1)


def wsd(fall: str = "linear") -> np.ndarray:
    left = np.clip((LAST - STEP) / (LAST - DECAY), 0, 1)
    tails = {"linear": left, "sqrt": 1 - np.sqrt(1 - left), "to_a_tenth": 0.1 + 0.9 * left}
    return warmed(tails[fall])


COSINE = warmed((1 + np.cos(np.pi * after())) / 2)
LINEAR = warmed(1 - after())
INVERSE_SQRT = 3e-4 * np.minimum(STEP / WARMUP, np.sqrt(WARMUP / np.maximum(STEP, 1)))
DROPS = np.select([STEP < 3_000, STEP < 6_000, STEP < 9_000], [1, 0.1, 0.01], 0.001)
STEPS = warmed(DROPS)
HALF = (WARMUP + LAST) / 2


@pytest.mark.parametrize("fall", ["linear", "sqrt", "to_a_tenth"])
def test_warmup_stable_decay_is_cut_at_its_two_corners(fall: str) -> None:
    found = phases_of_schedule(STEP, wsd(fall))
    assert isinstance(found, SchedulePhases)
    assert (found.kind, *found.boundaries) == ("wsd", WARMUP, DECAY)
    assert "500" in found.sentence
    assert "7,000" in found.sentence


@pytest.mark.parametrize(
    ("rate", "kind", "mid_end"),
    [(COSINE, "cosine", HALF), (LINEAR, "linear", HALF), (INVERSE_SQRT, "decay", 4 * WARMUP)],
)
def test_a_decay_without_a_plateau_is_late_from_half_of_its_peak(rate, kind, mid_end) -> None:
    found = phases_of_schedule(STEP, rate)
    assert (found.kind, found.early_end) == (kind, WARMUP)
    assert found.mid_end == pytest.approx(mid_end, abs=0.1)


def test_a_cosine_to_a_tenth_and_a_floor_behind_it_is_still_a_cosine() -> None:
    u = np.clip((STEP - WARMUP) / 7_000, 0, 1)
    found = phases_of_schedule(STEP, warmed(0.1 + 0.9 * (1 + np.cos(np.pi * u)) / 2))
    assert (found.kind, found.early_end) == ("cosine", WARMUP)
    # .1 + .9 (1 + cos πu) / 2 = .5
    assert found.mid_end == pytest.approx(WARMUP + 7_000 * np.arccos(-1 / 9) / np.pi, abs=1)


def test_a_run_that_stopped_in_the_middle_of_its_cosine_says_how_far_it_came() -> None:
    seen = STEP <= 4_000
    found = phases_of_schedule(STEP[seen], COSINE[seen])
    assert isinstance(found, NoPhases)
    assert (found.kind, found.early_end, found.mid_end) == ("cosine", WARMUP, None)
    assert "70 % of its peak" in found.reason
    seen = STEP <= 6_000
    assert phases_of_schedule(STEP[seen], COSINE[seen]).kind == "cosine"
    assert phases_of_schedule(STEP[seen], COSINE[seen]).mid_end == pytest.approx(HALF, abs=1)


def test_drops_after_a_warmup_end_the_mid_phase_with_the_first_of_them() -> None:
    found = phases_of_schedule(STEP, STEPS)
    assert (found.kind, *found.boundaries) == ("step", WARMUP, 3_000)


def test_drops_without_a_warmup_divide_the_run_at_the_first_and_the_last() -> None:
    found = phases_of_schedule(STEP, DROPS)
    assert (found.kind, *found.boundaries) == ("step", 3_000, 9_000)


def test_a_drop_that_was_logged_on_its_way_is_one_drop() -> None:
    rate = DROPS.copy()
    rate[STEP == 3_000] = 0.6
    assert phases_of_schedule(STEP, rate).boundaries == (3_010, 9_000)


def test_one_drop_and_no_warmup_give_one_boundary_and_no_phases() -> None:
    found = phases_of_schedule(STEP, np.where(STEP < 8_000, 1, 0.6))
    assert isinstance(found, NoPhases)
    assert (found.kind, found.early_end, found.mid_end) == ("step", None, 8_000)
    assert "no warm-up was logged" in found.reason
    assert "STEP,8000" in found.fix


def test_a_staircase_of_epochs_is_read_as_the_curve_through_its_edges() -> None:
    for epoch in (240, 250, 700):  # 10,000 steps end within, or at the first step of an epoch
        found = phases_of_schedule(STEP, np.interp(np.floor(STEP / epoch) * epoch, STEP, LINEAR))
        assert found.kind == "linear"
        assert found.mid_end == pytest.approx(HALF, abs=2 * epoch)


@pytest.mark.parametrize(
    ("rate", "kind", "words"),
    [
        (np.full(STEP.size, 3e-4), "constant", "never falls"),
        (warmed(np.ones(STEP.size)), "constant", "after its warm-up"),
        (STEP, "warmup", "still rises"),
        (np.zeros(STEP.size), "unknown", "0 throughout"),
        (np.where(STEP == 50, 1.0, 0.0), "unknown", "0 throughout"),
        (np.full(STEP.size, np.nan), "unknown", "0 steps"),
        (1 - STEP / LAST, "linear", "no warm-up"),
        (np.cos(np.pi * STEP / LAST), "unknown", "negative"),
        (1 + np.cos(STEP / 500), "cyclic", "rises again"),
        (STEP / LAST * np.clip(STEP % 2_000 / 500, 0, 1), "cyclic", "rises again"),
    ],
)
def test_a_rate_without_two_boundaries_says_why(rate, kind: str, words: str) -> None:
    found = phases_of_schedule(STEP, rate)
    assert isinstance(found, NoPhases)
    assert found.kind == kind
    assert words in found.reason
    assert "auto" in found.fix


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_too_few_steps_are_too_few(rows: int) -> None:
    found = phases_of_schedule(STEP[:rows], wsd()[:rows])
    assert isinstance(found, NoPhases)
    assert f"{rows} steps" in found.reason
    # six rows, all at one step; then a lone peak, which counts as a glitch
    assert phases_of_schedule(np.zeros(6), np.arange(6)).kind == "unknown"
    assert phases_of_schedule([0, 1, 2], [0.0, 0.5, 0.0]).kind == "unknown"


@pytest.mark.parametrize(
    ("step", "rate"), [([1, 2], [1]), ([[1]], [[1]]), (["a"], [1]), ([1], [None, 2])]
)
def test_what_is_no_series_is_refused(step, rate) -> None:
    with pytest.raises(MalformedHistory) as caught:
        phases_of_schedule(step, rate)
    assert caught.value.fix


def test_resumed_rows_glitches_and_missing_values_change_nothing() -> None:
    expected = phases_of_schedule(STEP, wsd())
    rate = wsd()
    rate[300] = 0.0
    rate[[120, 650, 900]] = np.nan, np.inf, -np.inf
    # first written with another rate, then trained again from a checkpoint
    step = np.concatenate((STEP[:400], STEP[250:]))
    rate = np.concatenate((np.where(np.arange(400) < 250, rate[:400], 9e-4), rate[250:]))
    assert phases_of_schedule(step, rate) == expected
    order = np.argsort(np.random.default_rng(0).random(250))
    shuffled = np.concatenate((order, np.arange(250, step.size)))
    assert phases_of_schedule(step[shuffled], rate[shuffled]) == expected


def test_a_rate_logged_rarely_is_cut_within_one_interval() -> None:
    for interval in (7, 23, 50):
        found = phases_of_schedule(STEP[::interval] + 3, wsd()[::interval])
        assert found.kind == "wsd"
        assert found.early_end == pytest.approx(WARMUP, abs=10 * interval + 3)
        assert found.mid_end == pytest.approx(DECAY, abs=10 * interval + 3)


@given(
    st.sampled_from(["wsd", "cosine", "linear", "step"]),
    st.sampled_from([0.003, 0.02, 0.05]),
    st.integers(0, 10_000),
)
@FEW
def test_noise_moves_the_corners_by_a_tenth_of_the_run_at_most(kind, noise, seed) -> None:
    rate, mid_end = {
        "wsd": (wsd(), DECAY),
        "cosine": (COSINE, HALF),
        "linear": (LINEAR, HALF),
        "step": (STEPS, 3_000),
    }[kind]
    noisy = rate + np.random.default_rng(seed).normal(scale=noise * 3e-4, size=STEP.size)
    found = phases_of_schedule(STEP, np.abs(noisy))
    assert isinstance(found, SchedulePhases)
    assert found.early_end == pytest.approx(WARMUP, abs=0.1 * LAST)
    assert found.mid_end == pytest.approx(mid_end, abs=0.1 * LAST)


def test_a_rate_that_is_mostly_noise_gives_none() -> None:
    rate = np.abs(wsd() / 3e-4 + np.random.default_rng(0).normal(scale=1, size=STEP.size))
    assert "scatters" in phases_of_schedule(STEP, rate).reason


@given(
    st.sampled_from([wsd(), COSINE, LINEAR, STEPS, INVERSE_SQRT, DROPS]),
    st.integers(-900, 900),
    st.integers(-30, 30),
)
@FEW
def test_units_of_rate_and_step_change_nothing_else(rate, power: int, step_power: int) -> None:
    before = phases_of_schedule(STEP, rate)
    found = phases_of_schedule(STEP * 2.0**step_power, rate * 2.0**power)
    assert found.kind == before.kind
    assert found.boundaries == tuple(step * 2.0**step_power for step in before.boundaries)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-3, 40), st.floats(allow_nan=True)),
            st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(allow_nan=True)),
        ),
        max_size=40,
    )
)
@MANY
def test_whatever_was_logged_gets_an_answer_in_order(rows) -> None:
    found = phases_of_schedule([row[0] for row in rows], [row[1] for row in rows])
    if isinstance(found, SchedulePhases):
        assert found.early_end < found.mid_end
        assert found.sentence
    else:
        assert found.reason
        assert found.fix


def test_boundaries_outside_of_the_logged_loss_are_no_phases() -> None:
    assert isinstance(phases_of_schedule(STEP, wsd(), loss_span=(0, LAST)), SchedulePhases)
    for span in ((600, LAST), (0, 6_000), (0, 40)):
        found = phases_of_schedule(STEP, wsd(), loss_span=span)
        assert isinstance(found, NoPhases)
        assert (found.early_end, found.mid_end) == (WARMUP, DECAY)
        assert "the loss was logged" in found.reason


def test_a_run_is_scored_by_its_plan() -> None:
    step = np.arange(5, LAST, 25)  # the loss on other steps than the rate
    loss = 2 + np.exp(-step / 900) + np.random.default_rng(0).normal(scale=0.05, size=step.size)
    found = phases_of_schedule(STEP, wsd(), loss_span=(step[0], step[-1]))
    by_plan = score(History(step, loss), boundaries=found.boundaries)
    # the first rows at or after steps 500 and 7,000
    assert by_plan.boundary_steps == (505, 7_005)
    assert by_plan.boundaries != score(History(step, loss)).boundaries
