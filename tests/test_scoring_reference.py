"""The engine against the second implementation of `tests.reference`."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dqi_tracking
from dqi_tracking import History, Score, score
from dqi_tracking.types import COMPONENTS
from tests.reference import Reference, reference
from tests.strategies import (
    FEW,
    PROPERTY,
    curves,
    grids,
    messy,
    options,
)

DEMO = Path(dqi_tracking.__file__).parent / "demo" / "curves.parquet"
REAL = {
    "criteo1tb_pytorch-shampoo-trial_3": "loss",  # a third of it NaN
    "fastmri_jax-sinv6": "loss",
    "golf-gdn_hybrid": "train_loss",  # 14 points at irregular steps
    "mpl_25m-wsdcon_18": "loss",
    "nanogpt-window_warmup": "train_loss",
    "ogbg_jax-nadamw_sequential": "grad_norm",
    "wmt_jax-amos-trial_3": "loss",
}


@pytest.fixture(scope="module")
def real_curves() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give (step, value) of some of the demo's real runs."""
    table = pd.read_parquet(DEMO)
    found = {}
    for run, key in REAL.items():
        rows = table[(table["run"] == run) & (table["key"] == key)]
        found[run] = (rows["step"].to_numpy(float), rows["value"].to_numpy(float))
    return found


def assert_equals_reference(found: Score, expected: Reference) -> None:
    assert (found.status, found.n_points, found.n_nonfinite) == (
        expected.status,
        expected.n_points,
        expected.n_nonfinite,
    )
    assert found.boundaries == expected.boundaries
    numbers = [found.dqi, found.dqi_raw]
    wanted = [expected.dqi, expected.dqi_raw]
    for phase, dqi, parts in zip(
        found.phases.values(), expected.phases, expected.parts, strict=True
    ):
        numbers += [phase.dqi, *(getattr(phase, name) for name in COMPONENTS)]
        wanted += [dqi, *parts]
    np.testing.assert_allclose(numbers, wanted, rtol=0, atol=1e-9, equal_nan=True)
    assert_weakest_equals_reference(found, expected)
    assert_phases_lie_where_the_boundaries_say(found, expected.x)


def assert_weakest_equals_reference(found: Score, expected: Reference) -> None:
    if expected.mean_parts is None:
        assert found.weakest is None
    else:
        # two components may be equal but for the last digit
        assert found.weakest is not None
        mean = expected.mean_parts[COMPONENTS.index(found.weakest)]
        assert mean == pytest.approx(min(expected.mean_parts), abs=1e-9)


def assert_phases_lie_where_the_boundaries_say(found: Score, x: np.ndarray) -> None:
    phases = list(found.phases.values())
    if found.boundaries is None:
        assert found.boundary_steps is None
        assert [(phase.start, phase.stop) for phase in phases] == [(0, 0), (0, 0), (0, x.size)]
    else:
        edges = (0, *found.boundaries, x.size)
        assert [(phase.start, phase.stop) for phase in phases] == list(itertools.pairwise(edges))
        assert found.boundary_steps == (x[edges[1]], x[edges[2]])
    assert [phase.n_points for phase in phases] == [phase.stop - phase.start for phase in phases]
    if x.size:
        steps = [x[phase.start] for phase in phases] if found.boundaries else [x[0]] * 3
        assert [phase.start_step for phase in phases] == steps
        assert [phase.stop_step for phase in phases] == [*steps[1:], x[-1]]
    else:
        assert np.isnan([(phase.start_step, phase.stop_step) for phase in phases]).all()


@PROPERTY
@given(curves(), options())
def test_a_realistic_curve_scores_as_the_reference_says(curve, chosen) -> None:
    step, loss = curve
    assert_equals_reference(score(History(step, loss), **chosen), reference(step, loss, **chosen))


@PROPERTY
@given(st.one_of(messy(), grids()), options())
def test_duplicates_holes_and_disorder_score_as_the_reference_says(rows, chosen) -> None:
    step, loss = rows
    assert_equals_reference(score(History(step, loss), **chosen), reference(step, loss, **chosen))


@FEW
@given(messy(), messy(), st.booleans(), options())
def test_the_gradient_norm_scores_as_the_reference_says(run, norms, has_steps, chosen) -> None:
    step, grad_norm = norms
    logged = {"grad_norm": grad_norm, "grad_step": step if has_steps else None}
    own = run[0] if has_steps else step
    assert_equals_reference(
        score(History(own, **logged), **chosen), reference(own, **logged, **chosen)
    )


@pytest.mark.parametrize("run", REAL)
@pytest.mark.parametrize("units", ["relative", "raw"])
@pytest.mark.parametrize("nan_policy", ["propagate", "omit", "interpolate"])
def test_a_real_run_scores_as_the_reference_says(real_curves, run, units, nan_policy) -> None:
    step, loss = real_curves[run]
    chosen = {"units": units, "nan_policy": nan_policy}
    found = score(History(step, loss), **chosen)
    assert_equals_reference(found, reference(step, loss, **chosen))
    assert found.status == ("nan" if np.isnan(loss).any() and nan_policy == "propagate" else "ok")


@pytest.mark.parametrize("duplicates", ["last", "keep"])
def test_a_real_run_that_was_resumed_scores_as_the_reference_says(real_curves, duplicates) -> None:
    step, loss = real_curves["wmt_jax-amos-trial_3"]
    # from step 60 on it is logged a second time
    step, loss = np.concatenate((step, step[60:])), np.concatenate((loss, loss[60:] * 1.01))
    chosen = {"duplicates": duplicates, "weights": (0.2, 0.3, 0.5)}
    found = score(History(step, loss), **chosen)
    assert_equals_reference(found, reference(step, loss, **chosen))
    assert found.n_points == (step.size if duplicates == "keep" else np.unique(step).size)
