"""A server that fails for one run, or for all: what is done, what is said, what comes next."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dqi_tracking import Outcome, TransientTrackerError, backfill
from dqi_tracking.config import load_settings
from tests.conftest import Experiment
from tests.mlflow_runs import (
    FILES,
    LogRun,
    MakeExperiment,
    artifacts_of,
    batch_of,
    curve,
    history_of,
    numbers,
    one_pass,
    outcomes_of,
    through,
    written,
)
from tests.proxy import FaultProxy, When
from tests.stores import Store

NOTHING = {"metrics": {}, "tags": {}}


@pytest.fixture
def runs(http_sqlite: Store, served: Experiment, log_run: LogRun) -> list[str]:
    """Give three runs, the newest first, as a pass takes them."""
    made = [log_run(http_sqlite, served.id, metrics={"loss": curve(seed=n)}) for n in range(3)]
    return made[::-1]


@pytest.fixture
def served(http_sqlite: Store, make_experiment: MakeExperiment) -> Experiment:
    """Give an experiment of the server that `fault_proxy` stands before."""
    return make_experiment(http_sqlite)


def _undisturbed(store: Store, experiment: Experiment, runs: list[str]) -> dict[str, object]:
    """Return the end state of the runs, made anew from nothing but their histories."""
    one_pass(store, experiment, reprocess="all")
    return dict(numbers(store, runs))


HISTORY_FAULTS: dict[str, Callable[[FaultProxy, When], None]] = {
    "500": lambda proxy, when: proxy.fail(when, status=500),
    "502": lambda proxy, when: proxy.fail(when, body=b"<html>Bad Gateway</html>"),
    "503 with JSON": lambda proxy, when: proxy.fail(
        when, status=503, body=b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}'
    ),
    "truncated JSON": lambda proxy, when: proxy.cut(when),
    "aborted": lambda proxy, when: proxy.cut(when, aborted=True),
    "a login page": lambda proxy, when: proxy.fail(when, status=200, body=b"<html>Log in</html>"),
    "other JSON": lambda proxy, when: proxy.fail(
        when, status=200, body=b'{"metrics": [{"key": 1}]}'
    ),
}


@pytest.mark.parametrize("fault", HISTORY_FAULTS)
def test_one_unreadable_run_stops_no_other(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, runs: list[str], fault: str
) -> None:
    HISTORY_FAULTS[fault](fault_proxy, history_of(runs[1]))
    proxied = through(fault_proxy)

    report, outcomes = one_pass(proxied, served)

    assert [outcomes[run].outcome for run in runs] == ["scored", "failed", "scored"]
    (failure,) = report.failures
    assert failure.ref.run_id == runs[1]
    assert failure.reason.startswith("could not read a history: ")
    assert failure.fix
    assert "\n" not in failure.reason + failure.fix
    assert failure.transient == (fault in {"500", "502", "503 with JSON", "aborted"})
    assert written(http_sqlite, runs[1]) == {**NOTHING, "files": []}

    fault_proxy.reset()
    _, outcomes = one_pass(proxied, served)
    assert [outcomes[run].outcome for run in runs] == ["unchanged", "scored", "unchanged"]


@pytest.mark.parametrize("fault", ["500", "502", "400", "a login page"])
def test_one_unwritable_run_stops_no_other(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, runs: list[str], fault: str
) -> None:
    status = int(fault) if fault.isdigit() else 200
    fault_proxy.fail(batch_of(runs[0]), status=status, body=b"<html>no</html>")
    proxied = through(fault_proxy)

    report, outcomes = one_pass(proxied, served)

    assert [outcomes[run].outcome for run in runs] == ["failed", "scored", "scored"]
    (failure,) = report.failures
    assert failure.reason.startswith("could not write the score: ")
    assert failure.fix
    # the files came before; without the mark they count for nothing
    assert written(http_sqlite, runs[0]) == {**NOTHING, "files": FILES}

    fault_proxy.reset()
    _, outcomes = one_pass(proxied, served)
    assert [outcomes[run].outcome for run in runs] == ["scored", "unchanged", "unchanged"]


@pytest.mark.parametrize("status", [500, 507, 403])
def test_a_run_whose_files_are_refused_is_not_marked(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, runs: list[str], status: int
) -> None:
    fault_proxy.fail(artifacts_of(runs[2]), status=status)
    proxied = through(fault_proxy)

    report, outcomes = one_pass(proxied, served)

    assert [outcomes[run].outcome for run in runs] == ["scored", "scored", "failed"]
    (failure,) = report.failures
    assert re.match("could not write the score: .*", failure.reason)
    assert failure.fix
    assert written(http_sqlite, runs[2]) == {**NOTHING, "files": []}

    fault_proxy.reset()
    _, outcomes = one_pass(proxied, served)
    assert [outcomes[run].outcome for run in runs] == ["unchanged", "unchanged", "scored"]
    assert written(http_sqlite, runs[2])["files"] == FILES


def test_a_write_whose_answer_was_lost_ends_right(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, runs: list[str]
) -> None:
    # applied each time that the client sends it, and refused each time
    fault_proxy.fail(batch_of(runs[0]), status=500, applied=True)
    # applied, refused, and then taken as sent again
    fault_proxy.fail(batch_of(runs[1]), status=502, applied=True, times=1)
    proxied = through(fault_proxy)
    _, outcomes = one_pass(proxied, served)
    assert [outcomes[run].outcome for run in runs] == ["failed", "scored", "scored"]

    fault_proxy.reset()
    _, outcomes = one_pass(proxied, served)

    # the mark stands, so there is nothing left to do
    assert set(outcomes_of(outcomes).values()) == {"unchanged"}
    assert fault_proxy.writes == 0
    ended = dict(numbers(http_sqlite, runs))
    assert ended == _undisturbed(http_sqlite, served, runs)


def test_a_rescore_that_is_lost_leaves_the_old_score_and_is_done_next(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, runs: list[str]
) -> None:
    proxied = through(fault_proxy)
    one_pass(proxied, served)
    before = written(http_sqlite, runs[0])
    fault_proxy.fail(batch_of(runs[0]))
    other = {"weights": (0.2, 0.3, 0.5)}
    _, outcomes = one_pass(proxied, served, other)
    assert [outcomes[run].outcome for run in runs] == ["failed", "scored", "scored"]
    assert written(http_sqlite, runs[0]) == before
    fault_proxy.reset()
    _, outcomes = one_pass(proxied, served, other)
    assert [outcomes[run].outcome for run in runs] == ["scored", "unchanged", "unchanged"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_tracker_that_is_down_ends_the_pass(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, log_run: LogRun, jobs: int
) -> None:
    runs = [log_run(http_sqlite, served.id, metrics={"loss": curve()}) for _ in range(12)]
    # the newest is scored; then the server goes down
    fault_proxy.fail(lambda _m, target, _b: "/metrics/" in target and runs[-1] not in target)
    outcomes: list[Outcome] = []
    settings = load_settings(tracking_uri=fault_proxy.uri)
    with pytest.raises(TransientTrackerError, match="5 runs in a row failed") as end:
        backfill(f"mlflow:{served.name}", settings=settings, jobs=jobs, on_outcome=outcomes.append)
    assert end.value.fix
    told = [outcome.outcome for outcome in outcomes]
    # other threads end the chunks that they work on
    assert told.count("failed") == 5 if jobs == 1 else told.count("failed") >= 5
    assert told.count("scored") <= 1
    fault_proxy.reset()
    report, _ = one_pass(through(fault_proxy), served)
    assert report.counts["unchanged"] == told.count("scored")
    assert report.counts["scored"] == len(runs) - told.count("scored")


def test_failures_that_are_not_in_a_row_do_not_end_the_pass(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(http_sqlite, served.id, metrics={"loss": curve()}) for _ in range(9)]
    for position in (0, 1, 2, 3, 5, 6, 7, 8):
        fault_proxy.fail(history_of(runs[position]))
    # one thread, so that they come in order
    report, _ = one_pass(through(fault_proxy), served, jobs=1)
    assert report.counts == {"scored": 1, "failed": 8}


@pytest.mark.parametrize("path", ["/runs/search", "/experiments/get-by-name"])
def test_a_listing_that_fails_ends_the_pass_with_a_fix(
    fault_proxy: FaultProxy, served: Experiment, runs: list[str], path: str
) -> None:
    fault_proxy.fail(lambda _m, target, _b: path in target, status=503)
    with pytest.raises(TransientTrackerError, match=r"could not (list|find)") as refusal:
        one_pass(through(fault_proxy), served)
    assert fault_proxy.uri in refusal.value.message
    assert refusal.value.fix
    assert fault_proxy.writes == 0


@pytest.mark.parametrize("what", ["metrics/get-history", "runs/log-batch"])
@pytest.mark.parametrize("how", ["hang", "drip"])
def test_an_answer_that_never_ends_costs_one_run_its_deadline(
    fault_proxy: FaultProxy, served: Experiment, runs: list[str], what: str, how: str
) -> None:
    bad = runs[1].encode()

    def of_bad(_method: str, target: str, body: bytes) -> bool:
        return what in target and (bad in body or bad.decode() in target)

    if how == "hang":
        fault_proxy.hang(of_bad)
    else:
        # each byte comes before MLflow's own time-out, which then starts anew
        fault_proxy.drip(of_bad, size=1, interval=0.1)
    proxied = through(fault_proxy)
    report, outcomes = one_pass(proxied, served, {"deadline": 1.0}, jobs=1)
    assert outcomes[runs[0]].outcome == outcomes[runs[2]].outcome == "scored"
    if how == "hang" or "metrics" in what:
        assert report.counts == {"scored": 2, "failed": 1}
        assert outcomes[runs[1]].transient
        assert "within 1 seconds" in outcomes[runs[1]].reason
    fault_proxy.reset()
    assert one_pass(proxied, served)[0].counts["failed"] == 0
