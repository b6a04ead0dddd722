"""A validation loss beside the loss: how it is read, what it changes, and what it must not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking import DQIError, History, ReadRejected, TransientTrackerError, score
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.insight.insight import INSIGHT_VERSION, insight_of
from dqi_tracking.pipeline import ScoringOptions
from dqi_tracking.stamp import fingerprint_of, seen
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.series import Series, history_of
from dqi_tracking.types import MetricKey, RunRef
from tests.overfitting_runs import STEPS, Points, falling, rising, training

Fetch = Callable[[str], Series]
DIGEST = "0" * 8
OLDER_OPTIONS = (
    "nan_policy",
    "units",
    "duplicates",
    "weights",
    "loss_key",
    "grad_norm_key",
    "step_key",
    "weights_hash",
    "phases",
)
"""Those of before there was a validation loss, in the marks that stand on runs."""


def series(points: Points) -> Series:
    table = np.array(points, dtype=float).reshape(-1, 2)
    return Series(table[:, 0], table[:, 1])


def run(
    logged: dict[str, Points], broken: dict[str, DQIError] | None = None, **settings: str
) -> tuple[RunRef, Fetch, list[str]]:
    """Return a run that logged this, what fetches its series, and the names fetched so far."""
    found = KeyResolver(load_settings(**settings)).candidates(tuple(logged))
    ref = RunRef(
        "r",
        loss_keys=found.loss,
        grad_norm_keys=found.grad_norm,
        validation_keys=found.validation,
        step_key=found.step,
    )
    fetched: list[str] = []

    def fetch(name: str) -> Series:
        fetched.append(name)
        if broken and name in broken:
            raise broken[name]
        return series(logged[name])

    return ref, fetch, fetched


def curve(validation: Points | None = None, key: str = "val_loss") -> History:
    loss = series(training())
    beside = None if validation is None else History(*series(validation), loss_key=key)
    return History(*loss, validation=beside)


def state(history: History) -> str:
    return insight_of(history).state.name


class TestReading:
    def test_the_first_that_is_a_series_is_read_and_no_other(self) -> None:
        logged = {"loss": training(), "eval_a_loss": rising(), "eval_bb_loss": falling()}
        ref, fetch, fetched = run(logged)
        assert history_of(ref, fetch).validation.loss_key == "eval_a_loss"
        assert fetched == ["loss", "eval_a_loss"]
        ref, fetch, fetched = run({**logged, "eval_loss": [(STEPS, 1.0)]})
        assert history_of(ref, fetch).validation.loss_key == "eval_a_loss"
        assert fetched == ["loss", "eval_loss", "eval_a_loss"]

    @pytest.mark.parametrize("kind", [ReadRejected, TransientTrackerError])
    def test_one_that_cannot_be_read_is_told_and_the_rest_is_as_without(self, kind) -> None:
        error = kind("the server answered 502", fix="wait")
        logged = {"loss": training(), "grad_norm": falling(), "val_loss": rising()}
        ref, fetch, _ = run(logged, {"val_loss": error})
        history = history_of(ref, fetch)
        del logged["val_loss"]
        without = history_of(*run(logged)[:2])
        assert history.validation is None
        assert fingerprint_of(history, DIGEST) == fingerprint_of(without, DIGEST)
        (told,) = score(history).warnings
        assert told.startswith("the validation loss could not be read")
        assert told.endswith("the server answered 502")
        assert state(history) == state(without) == "learning"

    def test_a_loss_that_cannot_be_read_is_an_error_still(self) -> None:
        ref, fetch, fetched = run(
            {"loss": training(), "val_loss": rising()}, {"loss": ReadRejected("no", fix="wait")}
        )
        with pytest.raises(ReadRejected):
            history_of(ref, fetch)
        assert fetched == ["loss"]

    def test_without_a_point_of_the_loss_none_is_read(self) -> None:
        ref, fetch, fetched = run({"loss": [], "grad_norm": falling(), "val_loss": rising()})
        assert history_of(ref, fetch).validation is None
        assert "val_loss" not in fetched

    def test_it_stands_over_the_metric_that_the_steps_are_taken_from(self) -> None:
        tokens = [(step, 1_000.0 * step) for step in range(STEPS)]
        logged = {"loss": training(), "val_loss": rising(), "tokens": tokens}
        history = history_of(*run(logged, step_key="tokens")[:2])
        assert history.validation.step.tolist() == [1_000 * step for step, _ in rising()]
        assert state(history) == "overfitting"
        # at the steps of the loss alone: then nothing is left of it
        logged["tokens"] = tokens[::2]
        history = history_of(*run(logged, step_key="tokens")[:2])
        assert (history.validation.step.size, state(history)) == (0, "learning")


class TestMark:
    def test_a_history_without_one_keeps_the_fingerprint_that_stands_on_runs(self) -> None:
        found = fingerprint_of(History([0, 1, 2], [3.0, 2.0, 1.0], [1.0, 1.0, 2.0]), DIGEST)
        assert found == "00000000-45f5c4de86f8b22412f5a0c2159040ac"

    def test_options_keep_their_digest_where_nobody_names_the_validation_loss(self) -> None:
        options = ScoringOptions()
        told = {name: getattr(options, name) for name in OLDER_OPTIONS}
        text = json.dumps([ENGINE_VERSION, INSIGHT_VERSION, told], sort_keys=True)
        assert options.digest == hashlib.sha256(text.encode()).hexdigest()[:8]
        assert ScoringOptions(validation_key="val_loss").digest != options.digest

    def test_its_points_and_its_name_change_the_fingerprint(self) -> None:
        changed = [(step, value + (step > 200)) for step, value in rising()]
        histories = [
            curve(),
            curve(rising()),
            curve(rising()[:-1]),
            curve(changed),
            curve(rising(), key="eval_loss"),
            History(*series(training()), [y for _, y in training()], grad_norm_key="val_loss"),
        ]
        assert len({fingerprint_of(history, DIGEST) for history in histories}) == len(histories)
        assert fingerprint_of(curve([]), DIGEST) == fingerprint_of(curve(), DIGEST)

    def test_a_point_of_it_is_seen_and_of_a_run_without_nothing_changes(self) -> None:
        loss, validation = (MetricKey((name,)) for name in ("loss", "val_loss"))
        latest = {"loss": "1@9", "val_loss": "2@9"}
        ref = RunRef("r", loss_keys=(loss,), validation_keys=(validation,), latest=latest)
        later = RunRef(
            "r",
            loss_keys=(loss,),
            validation_keys=(validation,),
            latest={**latest, "val_loss": "3@19"},
        )
        without = RunRef("r", loss_keys=(loss,), latest=latest)
        assert len({seen(each, "loss") for each in (ref, later, without)}) == 3
        told = json.dumps(["FINISHED", 0, "loss", [("loss", "1@9")]])
        assert seen(without, "loss") == hashlib.sha256(told.encode()).hexdigest()[:16]


class TestCurveFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        """Write a file of three runs, whose validation loss stands on rows of its own."""
        lines = ["run,step,loss,val_loss,held"]
        for name, validation in (("rises", rising()), ("falls", falling()), ("none", [])):
            lines += [f"{name},{step},{value}," for step, value in training()]
            lines += [f"{name},{step},,{value},{5 - step}" for step, value in validation]
        path = tmp_path / "curves.csv"
        path.write_text("\n".join(line + "," * (4 - line.count(",")) for line in lines) + "\n")
        return str(path)

    @pytest.fixture
    def one(self, tmp_path: Path) -> str:
        """Write a file of the one run that overfits."""
        lines = ["step,loss,val_loss,held", *(f"{step},{value},," for step, value in training())]
        lines += [f"{step},,{value},{5 - step}" for step, value in rising()]
        path = tmp_path / "one.csv"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def states(self, file: str, capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, str]:
        assert main(["score", file, "--json", *given]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return {row["run"]: row["dqi_state"] for row in rows}

    def test_each_run_has_the_state_of_its_own_curves(
        self, file: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        expected = {"rises": "overfitting", "falls": "learning", "none": "learning"}
        assert self.states(file, capsys) == expected

    def test_a_person_says_which_it_is(
        self, file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learning = dict.fromkeys(("rises", "falls", "none"), "learning")
        assert self.states(file, capsys, "--validation-key", "held") == learning
        monkeypatch.setenv("DQI_VALIDATION_KEY", "held")
        assert self.states(file, capsys) == learning
        found = self.states(file, capsys, "--validation-key", "val_loss")
        assert found["rises"] == "overfitting"

    def test_show_says_it_and_names_the_series(
        self, one: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["show", one]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "Overfitting at the end: the loss fell by" in out
        assert "while the validation loss rose by" in out
        assert f"validation loss: `val_loss`, {len(rising())} points" in out
        assert main(["show", one, "--validation-key", "held"]) == 0
        out = capsys.readouterr().out
        assert "Still learning at the end" in out
        assert "validation loss: `held`" in out

    def test_show_says_nothing_of_one_where_there_is_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "plain.csv"
        lines = ["step,loss", *(f"{step},{value}" for step, value in training())]
        path.write_text("\n".join(lines) + "\n")
        assert main(["show", str(path)]) == 0
        assert "validation" not in capsys.readouterr().out

    def test_text_in_its_column_is_told_and_the_run_is_scored(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "text.csv"
        rows = [f"{step},{value},{'low' if step else ''}" for step, value in training()]
        path.write_text("\n".join(["step,loss,val_loss", *rows]) + "\n")
        assert main(["score", str(path)]) == 0
        captured = capsys.readouterr()
        assert "the validation loss could not be read" in " ".join(captured.err.split())
        assert self.states(str(path), capsys) == {"text": "learning"}
