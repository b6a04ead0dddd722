"""Weights in a file: written whole, read with suspicion, and part of the fingerprint."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest

from dqi_tracking import ConfigError
from dqi_tracking.cli.options import settings_of
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.errors import WriteRejected
from dqi_tracking.fitting.weights_file import WeightsFile, chosen_weights
from dqi_tracking.insight.weights import WeightFit, fit_weights
from dqi_tracking.pipeline import ScoringOptions
from tests.test_weights import planted


@pytest.fixture(scope="module")
def fit() -> WeightFit:
    return fit_weights(*planted((0, 0, 1.0)), n_permutations=19, n_bootstrap=50)


@pytest.fixture
def path(tmp_path: Path, fit: WeightFit) -> Path:
    path = tmp_path / "w.json"
    contents(fit).write(path)
    return path


def contents(fit: WeightFit) -> WeightsFile:
    return WeightsFile.of(
        fit, outcome="metrics.val_loss", lower_is_better=True, group="params.data"
    )


def test_what_was_written_is_what_is_chosen(path: Path, fit: WeightFit) -> None:
    found = chosen_weights(str(path))
    assert found.weights == fit.weights
    assert found.is_supported
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    told = json.loads(path.read_text())
    assert told["engine_version"] == ENGINE_VERSION
    assert (told["outcome"], told["group"], told["runs"]) == (
        "metrics.val_loss",
        "params.data",
        120,
    )
    assert told["p"] == fit.p
    assert told["intervals"] == [list(pair) for pair in fit.intervals]


def test_the_same_fit_makes_the_same_file(tmp_path: Path, path: Path, fit: WeightFit) -> None:
    contents(fit).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_a_fit_without_numbers_is_a_file_without_nan(tmp_path: Path) -> None:
    alone = fit_weights(*planted((0, 0, 1.0), n_groups=1))
    assert math.isnan(alone.p)
    contents(alone).write(tmp_path / "w.json")
    told = json.loads((tmp_path / "w.json").read_text(), parse_constant=pytest.fail)
    assert (told["p"], told["gain"], told["supported"]) == (None, None, False)
    assert not chosen_weights(str(tmp_path / "w.json")).is_supported


def test_nothing_is_left_beside_a_file_that_cannot_be_written(
    tmp_path: Path, fit: WeightFit
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteRejected) as refusal:
        contents(fit).write(tmp_path / "folder")
    assert refusal.value.fix
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


@pytest.mark.parametrize(
    ("text", "weights"),
    [("0.5,0.3,0.2", (0.5, 0.3, 0.2)), ("1, 0, 0", (1, 0, 0)), (" .2,.2,6e-1", (0.2, 0.2, 0.6))],
)
def test_three_numbers_are_weights(text: str, weights: tuple[float, ...]) -> None:
    assert chosen_weights(text) == (weights, "", True)


@pytest.mark.parametrize("text", ["1,0", "0.5,0.3,0.3", "-1,1,1", "nan,1,0", "1", "1e308,1e308,0"])
def test_numbers_that_are_no_weights_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="three non-negative numbers") as refusal:
        chosen_weights(text)
    assert refusal.value.fix


CHANGES = {
    "not json": "weights = 1",
    "empty": "",
    "another list": [1, 2],
    "sum": {"weights": [0.5, 0.5, 0.5]},
    "negative": {"weights": [-0.5, 1, 0.5]},
    "two": {"weights": [0.5, 0.5]},
    "text": {"weights": ["a", "b", "c"]},
    "format": {"format": 2},
    "more": {"password": "x"},
    "engine": {"engine_version": "0.0"},
    "cut": "x" * 2_000_000,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_none_is_refused(path: Path, change: object) -> None:
    if isinstance(change, dict):
        change = json.dumps({**json.loads(path.read_text()), **change})
    path.write_text(change if isinstance(change, str) else json.dumps(change))
    with pytest.raises(ConfigError) as refusal:
        chosen_weights(str(path))
    assert refusal.value.fix
    assert "dqi weights fit" in refusal.value.fix
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("name", ["nothing.json", "", ".", "a\0b", "~nobody-there/w.json"])
def test_no_file_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no weights in"):
        chosen_weights(name)


def test_the_contents_of_the_file_are_part_of_the_fingerprint(path: Path) -> None:
    def digest(text: str | None) -> str:
        return ScoringOptions.of(settings_of({"weights": text})).digest

    of_file = digest(str(path))
    weights = chosen_weights(str(path)).weights
    by_hand = digest(",".join(map(repr, weights)))
    other = path.with_name("other.json")
    other.write_text(path.read_text().replace("metrics.val_loss", "metrics.acc"))
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    assert digest(str(copy)) == of_file
    assert len({of_file, by_hand, digest(str(other)), digest(None)}) == 4
    assert digest("0.5,0.3,0.2") == digest(None)
