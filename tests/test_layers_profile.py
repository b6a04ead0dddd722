from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, score
from dqi_tracking.errors import ConfigError, MalformedHistory
from dqi_tracking.insight.layers import LayerProfile, layers_json, profile
from dqi_tracking.types import COMPONENTS, PHASES
from tests.insight_runs import decay, noise
from tests.strategies import FEW

ROWS = 200
STEP = 10.0 * np.arange(ROWS)


def norms(n_layers: int = 4) -> np.ndarray:
    """Make norms that fall with noise, each layer at a level and in a way of its own."""
    rows = [
        2.0**-layer * decay(rate=2.0 + layer) * np.exp(noise(0.2, layer))
        for layer in range(n_layers)
    ]
    return np.array(rows)


def names(n_layers: int) -> list[str]:
    return [f"h.{layer}" for layer in range(n_layers)]


def test_each_layer_is_scored_as_a_run_that_logged_nothing_else() -> None:
    table = norms()
    found = profile(STEP, table, names(4))
    assert found.layers == ("h.0", "h.1", "h.2", "h.3")
    for row, values in enumerate(table):
        alone = score(History(STEP, grad_norm=values))
        assert found.dqi[row] == alone.dqi
        assert tuple(found.boundary_steps[row]) == alone.boundary_steps
        assert found.status[row] == alone.status
        for at, phase in enumerate(alone.phases.values()):
            assert found.phases[row, at] == phase.dqi
            parts = [getattr(phase, name) for name in COMPONENTS]
            assert found.components[row, at].tolist() == parts
            assert found.level[row, at] == np.median(values[phase.start : phase.stop])
    assert found.findings == ()


def test_all_layers_may_share_the_phases_of_the_run() -> None:
    found = profile(STEP, norms(), names(4), boundaries=(500, 1_500))
    assert (found.boundary_steps == [500, 1_500]).all()
    expected = score(History(STEP, grad_norm=norms()[2]), boundaries=(500, 1_500))
    assert found.dqi[2] == expected.dqi
    with pytest.raises(ConfigError, match="two finite steps"):
        profile(STEP, norms(), names(4), boundaries=(np.nan, 5))


def test_histories_on_steps_of_their_own_give_what_a_matrix_gives() -> None:
    table = norms()
    table[1, ::3] = np.nan
    histories = [History(STEP[np.isfinite(row)], grad_norm=row[np.isfinite(row)]) for row in table]
    by_matrix, by_history = profile(STEP, table, names(4)), profile(None, histories, names(4))
    for field in ("dqi", "phases", "components", "level", "boundary_steps", "n_points"):
        np.testing.assert_array_equal(getattr(by_matrix, field), getattr(by_history, field))
    assert by_matrix.n_nonfinite.tolist() == [0, 67, 0, 0]
    assert by_history.n_nonfinite.tolist() == [0, 0, 0, 0]


def test_a_history_is_read_for_its_gradient_norm_and_not_for_its_loss() -> None:
    loss, at = decay(), STEP[::2] + 1
    history = History(STEP, loss, norms()[0, ::2], grad_step=at)
    found = profile(None, [history, History(STEP, loss)], ["a", "b"])
    assert found.dqi[0] == score(History(at, grad_norm=norms()[0, ::2])).dqi
    assert found.status == ("ok", "no_signal")
    assert np.isnan(found.dqi[1])


def test_rows_in_any_order_and_repeated_steps_are_read_as_the_engine_does() -> None:
    table = norms()
    again = np.concatenate((np.arange(120), np.arange(80, ROWS)))
    histories = []
    for row in table:
        values = row[again].copy()
        values[80:120] = 77.0  # what was logged before the run was resumed
        histories.append(History(STEP[again], grad_norm=values))
    found, expected = profile(None, histories, names(4)), profile(STEP, table, names(4))
    np.testing.assert_array_equal(found.dqi, expected.dqi)
    np.testing.assert_array_equal(found.level, expected.level)


@pytest.mark.parametrize("zero_from", [0, 120])
def test_a_layer_without_any_gradient_is_named(zero_from: int) -> None:
    table = norms()
    table[2, zero_from:] = 0.0
    (finding,) = profile(STEP, table, names(4)).findings
    assert (finding.layer, finding.name) == ("h.2", "vanishing")
    assert "0 at the end" in finding.sentence


def test_a_layer_far_below_the_strongest_is_named_with_how_far() -> None:
    table = norms()
    table[1] *= 1e-6
    (finding,) = profile(STEP, table, names(4)).findings
    assert (finding.layer, finding.name) == ("h.1", "vanishing")
    assert "of the strongest layer's" in finding.sentence
    # when all shrink alike, none is behind the others
    assert profile(STEP, norms() * 1e-30, names(4)).findings == ()


def test_a_layer_that_faded_while_the_others_did_not_is_named() -> None:
    table = norms()
    table[0] *= 100 * np.geomspace(1, 1e-5, ROWS)
    (finding,) = profile(STEP, table, names(4)).findings
    assert (finding.layer, finding.name) == ("h.0", "vanishing")
    assert "of what it was" in finding.sentence
    # a run that converges as a whole has no layer that faded
    assert profile(STEP, norms() * np.geomspace(1, 1e-5, ROWS), names(4)).findings == ()


@pytest.mark.parametrize("wobble", [0.0, 1e-4])
def test_a_layer_whose_norm_stands_still_is_flat(wobble: float) -> None:
    table = norms()
    table[3] = 1 + wobble * np.cos(STEP)
    found = profile(STEP, table, names(4))
    (finding,) = found.findings
    assert (finding.layer, finding.name) == ("h.3", "flat")
    assert found.status[3] == ("ok" if wobble else "flat")


def test_a_network_without_gradients_vanished_everywhere() -> None:
    found = profile(STEP, np.zeros((3, ROWS)), names(3))
    assert [finding.name for finding in found.findings] == ["vanishing"] * 3
    assert found.dqi.tolist() == [0, 0, 0]


def test_layers_with_little_or_nothing_in_them_are_told_by_their_status() -> None:
    table = norms(5)
    table[1] = np.nan
    table[2, 2:] = np.nan
    table[3, 40:60] = np.inf
    found = profile(STEP, table, names(5))
    assert found.status == ("ok", "too_short", "too_short", "ok", "ok")
    assert found.n_points.tolist() == [200, 0, 2, 180, 200]
    assert found.n_nonfinite.tolist() == [0, 200, 198, 20, 0]
    assert np.isfinite(found.dqi[[0, 3, 4]]).all()
    assert found.findings == ()


@pytest.mark.parametrize("empty", [np.empty((0, 0)), np.empty((0, 5)), []])
def test_no_layers_are_an_empty_profile(empty) -> None:
    found = profile(None if isinstance(empty, list) else np.arange(empty.shape[1]), empty, [])
    assert found.layers == ()
    assert (found.phases.shape, found.components.shape) == ((0, 3), (0, 3, 4))
    assert json.loads(layers_json(found))["layers"] == []


@pytest.mark.parametrize(
    ("step", "table", "layers", "words"),
    [
        (STEP, norms(2), ["a"], "2 gradient norms for 1 layers"),
        (STEP, norms(2), ["a", "a"], "same name"),
        (STEP[:5], norms(2), ["a", "b"], "values for 5 steps"),
        (STEP, norms(2)[0], ["a"], "1 dimensions"),
        (None, norms(2), ["a", "b"], "without steps"),
        (STEP, [[1, "x"]], ["a"], "no table of numbers"),
        (STEP, [[1, 2], [1]], ["a", "b"], "no table of numbers"),
        (np.where(STEP == 50, np.nan, STEP), norms(1), ["a"], "not finite"),
    ],
)
def test_what_does_not_fit_together_is_refused(step, table, layers, words) -> None:
    with pytest.raises(MalformedHistory, match=words) as caught:
        profile(step, table, layers)
    assert caught.value.fix


@given(st.integers(-300, 300), st.integers(0, 100))
@FEW
def test_the_unit_of_the_norm_changes_no_score(power: int, seed: int) -> None:
    table = norms() * np.exp(np.random.default_rng(seed).normal(scale=0.3, size=(4, ROWS)))
    before, after = (profile(STEP, t, names(4)) for t in (table, table * 2.0**power))
    np.testing.assert_array_equal(before.dqi, after.dqi)
    np.testing.assert_array_equal(before.boundary_steps, after.boundary_steps)
    assert [f.name for f in before.findings] == [f.name for f in after.findings]


@given(
    st.lists(
        st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6),
        max_size=6,
    )
)
@FEW
def test_whatever_was_logged_gets_a_profile_that_goes_into_json(rows) -> None:
    found = profile(np.arange(6), np.array(rows).reshape(-1, 6), names(len(rows)))
    assert len(json.loads(layers_json(found))["layers"]) == len(rows)


def test_the_arrays_of_a_profile_cannot_be_changed() -> None:
    found = profile(STEP, norms(), names(4))
    assert isinstance(found, LayerProfile)
    for field in ("dqi", "phases", "components", "level", "boundary_steps"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, field)[0] = 1
    with pytest.raises(AttributeError):
        found.dqi = found.dqi


def test_json_says_all_of_it_with_null_for_what_is_not_known() -> None:
    table = norms(3)
    table[1] = 0.0
    table[2] = np.nan
    odd = ["</script>\ud800\n", "h.1", "h.2"]
    found = profile(STEP, table, odd)
    text = layers_json(found)
    assert text.isascii()
    first, cut, empty = json.loads(text)["layers"]
    assert first["layer"] == odd[0]
    assert first["dqi"] == found.dqi[0]
    assert set(first["phases"]) == set(PHASES)
    assert first["phases"]["mid"]["coverage"] == found.components[0, 1, 0]
    assert first["phases"]["late"]["grad_norm"] == found.level[0, 2]
    assert first["boundary_steps"] == found.boundary_steps[0].tolist()
    assert first["finding"] is None
    assert cut["finding"]["name"] == "vanishing"
    assert empty["boundary_steps"] == [None, None]
    assert empty["phases"]["early"]["grad_norm"] is None
