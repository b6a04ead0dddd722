"""Settings: where they come from, which of them wins, and what is told of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqi_tracking.config import (
    GRAD_NORM_ALIASES,
    LEARNING_RATE_ALIASES,
    LOSS_ALIASES,
    VALIDATION_ALIASES,
    Settings,
    load_settings,
)
from dqi_tracking.errors import ConfigError

DQI_TOML = "dqi.toml"
PYPROJECT = "pyproject.toml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_are_those_that_are_documented() -> None:
    assert load_settings().model_dump() == {
        "tracking_uri": None,
        "loss_key": None,
        "grad_norm_key": None,
        "validation_key": None,
        "step_key": None,
        "loss_aliases": LOSS_ALIASES,
        "grad_norm_aliases": GRAD_NORM_ALIASES,
        "validation_aliases": VALIDATION_ALIASES,
        "nan_policy": "propagate",
        "units": "relative",
        "duplicates": "last",
        "weights": (0.5, 0.3, 0.2),
        "weights_hash": "",
        "phases": "auto",
        "learning_rate_aliases": LEARNING_RATE_ALIASES,
        "jobs": None,
        "artifact": True,
        "max_requests_per_minute": None,
        "deadline": 300.0,
        "view": True,
        "percentiles": False,
        "cohort": None,
        "state_dir": None,
    }


def test_every_setting_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "tracking_uri": "http://localhost:5000",
        "loss_key": "mine",
        "grad_norm_key": "norm",
        "validation_key": "held out",
        "loss_aliases": '["a", "b + c"]',
        "grad_norm_aliases": '["g"]',
        "validation_aliases": '["v"]',
        "nan_policy": "omit",
        "units": "raw",
        "duplicates": "keep",
        "weights": "[0.2, 0.3, 0.5]",
        "weights_hash": "0123456789abcdef",
        "phases": "500,9000",
        "learning_rate_aliases": '["eta"]',
        "jobs": "4",
        "step_key": "tokens",
        "artifact": "false",
        "max_requests_per_minute": "60",
        "deadline": "2.5",
        "view": "false",
        "percentiles": "true",
        "cohort": "params.model",
        "state_dir": "/tmp/state",
    }
    assert set(told) == set(Settings.model_fields)
    for name, value in told.items():
        monkeypatch.setenv(f"DQI_{name.upper()}", value)
    assert load_settings().model_dump() == told | {
        "loss_aliases": ("a", "b + c"),
        "grad_norm_aliases": ("g",),
        "validation_aliases": ("v",),
        "learning_rate_aliases": ("eta",),
        "weights": (0.2, 0.3, 0.5),
        "jobs": 4,
        "percentiles": True,
        "artifact": False,
        "max_requests_per_minute": 60,
        "deadline": 2.5,
        "view": False,
    }


def test_every_source_is_read_and_the_stronger_one_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / PYPROJECT).write_text(
        '[tool.dqi]\njobs = 2\nunits = "raw"\nloss_key = "of pyproject"\nweights = [1, 0, 0]\n'
        "[tool.other]\nnonsense = true\n"
    )
    settings = load_settings()
    assert (settings.jobs, settings.units, settings.weights) == (2, "raw", (1, 0, 0))
    (folder / DQI_TOML).write_text('jobs = 3\nunits = "relative"\nloss_key = "of dqi.toml"\n')
    settings = load_settings()
    assert (settings.jobs, settings.units, settings.weights) == (3, "relative", (1, 0, 0))
    monkeypatch.setenv("DQI_JOBS", "4")
    monkeypatch.setenv("DQI_LOSS_KEY", "of the environment")
    settings = load_settings()
    assert (settings.jobs, settings.loss_key, settings.units) == (
        4,
        "of the environment",
        "relative",
    )
    settings = load_settings(jobs=5)
    assert (settings.jobs, settings.loss_key, settings.units) == (
        5,
        "of the environment",
        "relative",
    )


def test_what_is_given_as_none_was_not_given(folder: Path) -> None:
    (folder / DQI_TOML).write_text("jobs = 3\n")
    assert load_settings(jobs=None, loss_key=None).jobs == 3


def test_only_the_files_of_the_working_folder_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / DQI_TOML).write_text("jobs = 3\n")
    (folder / PYPROJECT).write_text("[tool.dqi]\njobs = 2\n")
    below = folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert load_settings().jobs is None


def test_a_pyproject_without_a_table_of_ours_says_nothing(folder: Path) -> None:
    (folder / PYPROJECT).write_text('[project]\nname = "theirs"\n')
    assert load_settings() == Settings()


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().jobs = 2  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nan_policy", "drop"),
        ("units", "metric"),
        ("duplicates", "first"),
        ("jobs", "many"),
        ("weights", [1, 2]),
        ("weights", [1, "x", 0]),
        ("loss_aliases", 7),
        ("no_such_setting", 1),
    ],
)
def test_a_value_or_a_name_that_cannot_be_meant_is_told_with_its_fix(
    name: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=f"setting `{name}`") as caught:
        load_settings(**{name: value})
    for place in (f"`{name}`", f"DQI_{name.upper()},", DQI_TOML, PYPROJECT):
        assert place in caught.value.fix


@pytest.mark.parametrize("file", [DQI_TOML, PYPROJECT])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nan_polcy = 'omit'", "`nan_polcy`"),
        ("jobs = 'many'", "`jobs`"),
        ("jobs = = 2", "cannot be read"),
        ("weights = [0.5, 0.5]", "`weights`"),
    ],
    ids=["unknown name", "wrong type", "no TOML", "too few"],
)
def test_a_file_that_cannot_be_meant_is_told_with_its_fix(
    folder: Path, file: str, line: str, message: str
) -> None:
    table = "[tool.dqi]\n" if file == PYPROJECT else ""
    (folder / file).write_text(f"{table}{line}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings()
    assert file in caught.value.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [("DQI_WEIGHTS", "0.5, 0.3"), ("DQI_JOBS", ""), ("DQI_UNITS", "RAW"), ("DQI_STATE_DIR", "")],
)
def test_a_variable_that_cannot_be_meant_is_told_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name.removeprefix("DQI_").lower()) as caught:
        load_settings()
    assert "DQI_" in caught.value.fix
