"""Which of a run's metrics is the validation loss: by framework, by name, by a person's choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.config import VALIDATION_ALIASES, load_settings
from dqi_tracking.trackers.keys import MOST_VALIDATIONS, KeyResolver
from tests.strategies import PROPERTY
from tests.test_keys import FRAMEWORKS, LOGGED, SINGLE, ULTRALYTICS


def validations(*names: str, **settings: object) -> list[str]:
    """Return the candidates among the names of a run, the best first."""
    found = KeyResolver(load_settings(**settings)).candidates(names).validation
    # the first that is a series is read
    assert [key.tier for key in found] == sorted({key.tier for key in found})
    return [str(key) for key in found]


# of each framework of `test_keys`, the validation loss that is looked at first
FIRST = {
    "hf_trainer_on_mlflow": "eval_loss",
    "hf_trainer_on_wandb": "eval/loss",
    "lightning_forked": "val_loss",
    "lightning_epochs_only": "val_loss_epoch",
    "lightning_name_of_the_user": None,
    "keras_on_mlflow": "val_loss",
    "keras_on_wandb": "epoch/val_loss",
    "torchtitan": "validation_metrics/loss",
    "megatron": "lm loss validation",
    "nemo": "val_loss",
    "nemo_older": "val_loss",
    "composer": "metrics/eval/CrossEntropy",
    "fastai_on_wandb": "valid_loss",
    "ultralytics": ULTRALYTICS.replace("train", "val"),
    "detectron2": None,
    "detectron2_older": None,
    "xgboost": "eval-logloss",
    "xgboost_classes": "test-mlogloss",
    "xgboost_regression": "validation-rmse",
    "lightgbm": "valid_0-binary_logloss",
    "sklearn_autolog": None,
    "algoperf": "validation/loss",
    "wandb_watch": None,
}


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=[row[0] for row in FRAMEWORKS])
def test_of_what_a_framework_logs_the_validation_loss_is_found(framework) -> None:
    name, logged, loss, _ = framework
    found = validations(*logged)
    assert next(iter(found), None) == FIRST[name]
    assert found == validations(*reversed(logged))
    assert loss not in found


@pytest.mark.parametrize("alias", VALIDATION_ALIASES)
def test_every_alias_is_found_beside_a_loss_and_alone_is_none(alias) -> None:
    assert validations("loss", *alias.split(" + "))[0] == alias
    assert validations(*alias.split(" + ")) == []


@PROPERTY
@given(
    st.sampled_from(("val", "valid", "validation", "eval", "test", "dev", "holdout", "val_2")),
    st.sampled_from([name for name in SINGLE if not name.endswith("_step")]),
    st.sampled_from("/-_. "),
    st.booleans(),
)
def test_a_loss_of_data_held_out_is_one_however_it_is_written(word, loss, mark, upper) -> None:
    name = f"{word}{mark}{loss}"
    name = name.upper() if upper else name
    assert validations("loss", name) == [name]


@pytest.mark.parametrize(
    "name",
    ["value_loss", "val_acc", "eval_runtime", "latest_loss", "loss_val_scale", "dqi_val_loss",
     "test_accuracy", "evaluation", "val_loss_step", "interval_loss"],
)  # fmt: skip
def test_a_name_that_only_resembles_one_is_none(name) -> None:
    assert validations("loss", name) == []


def test_exact_names_come_first_then_the_shortest_and_test_data_last() -> None:
    names = ("test_loss", "eval_wikipedia_loss", "eval_c4_loss", "eval_loss")
    assert validations("loss", *names) == ["eval_loss", "eval_c4_loss", "eval_wikipedia_loss"]
    assert validations("loss", *names[:3]) == ["eval_c4_loss", "eval_wikipedia_loss", "test_loss"]


def test_of_many_data_sets_a_few_are_looked_at() -> None:
    names = [f"eval_{number}_loss" for number in range(50)]
    assert len(validations("loss", *names)) == MOST_VALIDATIONS


def test_a_person_s_key_beats_all_is_taken_to_the_letter_and_missing_is_none() -> None:
    given = {"validation_key": "mine"}
    assert validations("loss", "mine", "val_loss", **given) == ["mine"]
    assert validations("loss", "Mine", "val_loss", **given) == []
    (key,) = KeyResolver(load_settings(**given)).candidates(["loss", "mine"]).validation
    assert key.tier == 0


def test_a_person_s_validation_loss_is_no_training_loss() -> None:
    found = KeyResolver(load_settings(validation_key="loss")).candidates(["loss", "train/loss"])
    assert ([str(key) for key in found.loss], validations("loss", validation_key="loss")) == (
        ["train/loss"],
        [],
    )


def test_what_is_scored_as_the_loss_is_never_the_validation_loss_too() -> None:
    assert validations("val_loss", "loss", loss_key="val_loss", validation_key="val_loss") == []
    # nothing is held out of a loss that is one of data held out
    assert validations("val_loss", "test_loss", loss_key="val_loss") == []
    assert validations("val_loss", "mine", loss_key="val_loss", validation_key="mine") == ["mine"]
    assert validations("eval_loss", "val_loss", loss_aliases=("eval_loss",)) == []


def test_without_aliases_none_is_read_unless_it_is_named() -> None:
    off = {"validation_aliases": ()}
    assert validations("loss", "val_loss", "eval_x_loss", **off) == []
    assert not KeyResolver(load_settings(**off)).concerns("val_loss")
    assert validations("loss", "val_loss", validation_key="val_loss", **off) == ["val_loss"]


CHOICE = st.one_of(st.none(), st.sampled_from(("mine", "val_loss", "loss")))


@PROPERTY
@given(st.sets(LOGGED, max_size=12), CHOICE, CHOICE)
def test_no_metric_is_both_losses_and_none_stands_without_a_loss(names, loss, validation) -> None:
    resolver = KeyResolver(load_settings(loss_key=loss, validation_key=validation))
    found = resolver.candidates([*names, "mine", "val_loss"])
    kinds = (found.loss, found.validation)
    parts = [{part for key in kind for part in key.parts} for kind in kinds]
    assert not parts[0] & parts[1]
    assert found.loss or not found.validation
