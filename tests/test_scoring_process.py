"""The process that scores beside a pass: the same results, and nothing lost with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from dqi_tracking.backfill.scoring_process import WORTH_IT, ScoringProcess, scoring_process
from dqi_tracking.context.phase_plan import RULE
from dqi_tracking.errors import ConfigError
from dqi_tracking.pipeline import Pass, ScoringOptions, begin
from dqi_tracking.pipeline.result import Result, result_of
from dqi_tracking.types import History, RunRef

ROOT = Path(__file__).parents[1]
SECONDS = 60.0
RNG = np.random.default_rng(4)
STEP = np.arange(60.0)
LOSSES = {
    "falls": 1 / (STEP + 1) + RNG.normal(0, 0.01, 60),
    "flat": np.ones(60),
    "short": np.ones(2),
    "not finite": np.where(STEP == 9, np.nan, 1 / (STEP + 1)),
    "rises": np.exp(STEP / 10),
}


def history(loss: np.ndarray) -> History:
    return History(step=np.arange(float(loss.size)), loss=loss, loss_key="loss")


@pytest.fixture
def current() -> Pass:
    return begin(ScoringOptions())


@pytest.fixture
def scorer(current: Pass) -> Iterator[ScoringProcess]:
    with scoring_process(current, WORTH_IT) as process:
        assert process is not None
        process.is_up.result(SECONDS)
        yield process


def told(result: Result) -> tuple[object, ...]:
    return repr(result.score), repr(result.stamp), result.files


def test_what_it_makes_is_what_is_made_here(
    current: Pass, scorer: ScoringProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = {name: RunRef(name, name) for name in LOSSES}
    expected = {
        name: told(result_of(ref, history(LOSSES[name]), RULE, current))
        for name, ref in refs.items()
    }
    monkeypatch.delattr(sys.modules[ScoringProcess.__module__], "result_of")
    begun = {name: scorer.begin(ref, history(LOSSES[name]), RULE) for name, ref in refs.items()}
    assert {name: told(made()) for name, made in begun.items()} == expected


def test_what_is_wrong_is_told_as_here() -> None:
    wrong = begin(ScoringOptions(nan_policy="raise"))
    ref, falls = RunRef("r", "r"), history(LOSSES["falls"])
    with pytest.raises(ConfigError) as here:
        result_of(ref, falls, RULE, wrong)
    with scoring_process(wrong, WORTH_IT) as scorer:
        assert scorer is not None
        scorer.is_up.result(SECONDS)
        made = scorer.begin(ref, falls, RULE)
        with pytest.raises(ConfigError) as there:
            made()
    assert str(there.value) == str(here.value)


def test_a_killed_one_costs_no_run(current: Pass, scorer: ScoringProcess) -> None:
    ref, falls = RunRef("r", "r"), history(LOSSES["falls"])
    expected = told(result_of(ref, falls, RULE, current))
    begun = [scorer.begin(ref, falls, RULE) for _ in range(20)]
    for child in loky_children(psutil.Process()):
        child.kill()
    begun += [scorer.begin(ref, falls, RULE) for _ in range(20)]
    assert [told(made()) for made in begun] == [expected] * 40


def test_a_small_pass_has_none(current: Pass) -> None:
    with scoring_process(current, WORTH_IT - 1) as scorer:
        assert scorer is None


def test_it_ends_with_a_starter_that_was_killed() -> None:
    code = """
import sys
from dqi_tracking.backfill.scoring_process import WORTH_IT, scoring_process
from dqi_tracking.pipeline import ScoringOptions, begin
with scoring_process(begin(ScoringOptions()), WORTH_IT) as scorer:
    scorer.is_up.result()
    print("up", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        children = loky_children(psutil.Process(starter.pid))
        starter.kill()
    assert children
    _, left = psutil.wait_procs(children, SECONDS)
    assert not left


def test_a_daemon_does_without() -> None:
    code = """
import multiprocessing
from dqi_tracking.backfill.scoring_process import WORTH_IT, scoring_process
from dqi_tracking.pipeline import ScoringOptions, begin

def ask():
    with scoring_process(begin(ScoringOptions()), WORTH_IT) as scorer:
        print(scorer, flush=True)

daemon = multiprocessing.get_context("fork").Process(target=ask, daemon=True)
daemon.start()
daemon.join()
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert (asked.stdout, asked.stderr) == (b"None\n", b"")


def loky_children(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes that a process started."""
    return [
        child for child in process.children() if any("popen_loky" in arg for arg in child.cmdline())
    ]
