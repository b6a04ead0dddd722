from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.config import GRAD_NORM_ALIASES, LOSS_ALIASES, load_settings
from dqi_tracking.trackers.keys import KeyResolver, choose
from dqi_tracking.types import MetricKey
from tests.strategies import PROPERTY

ULTRALYTICS = "train/box_loss + train/cls_loss + train/dfl_loss"


def chosen(logged: dict[str, int], **settings: str) -> tuple[str | None, str | None]:
    """Return the loss and the gradient norm that are read of a run, by points of each metric."""
    candidates = KeyResolver(load_settings(**settings)).candidates(tuple(logged))

    def best(keys: tuple[MetricKey, ...]) -> str | None:
        # a sum has the points that all of its parts have
        key = choose(keys, {key: min(logged[part] for part in key.parts) for key in keys})
        return None if key is None else str(key)

    return best(candidates.loss), best(candidates.grad_norm)


# (framework, points of each metric it logs, the loss, the gradient norm)
FRAMEWORKS = [
    (
        "hf_trainer_on_mlflow",
        {"loss": 500, "eval_loss": 9, "eval_c4_loss": 9, "grad_norm": 500, "train_loss": 1,
         "learning_rate": 500, "epoch": 500, "train_runtime": 1},
        "loss", "grad_norm",
    ),
    (
        "hf_trainer_on_wandb",
        {"train/loss": 500, "eval/loss": 9, "train/grad_norm": 500, "train/train_loss": 1,
         "train/learning_rate": 500, "train/global_step": 500},
        "train/loss", "train/grad_norm",
    ),
    (
        "lightning_forked",
        {"train_loss_step": 900, "train_loss_epoch": 3, "val_loss": 3, "epoch": 900,
         "grad_2.0_norm_total": 900, "grad_2.0_norm/layer.0.weight": 900},
        "train_loss_step", "grad_2.0_norm_total",
    ),
    (
        "lightning_epochs_only",
        {"train_loss_epoch": 30, "val_loss_epoch": 30, "train_acc_epoch": 30},
        "train_loss_epoch", None,
    ),
    (
        "lightning_name_of_the_user",
        {"denoiser_loss_step": 900, "denoiser_loss_epoch": 3, "val_denoiser_loss_step": 2000},
        "denoiser_loss_step", None,
    ),
    ("keras_on_mlflow", {"loss": 20, "accuracy": 20, "val_loss": 20}, "loss", None),
    (
        "keras_on_wandb",
        {"epoch/loss": 20, "batch/loss": 4000, "epoch/val_loss": 20, "epoch/epoch": 20},
        "batch/loss", None,
    ),
    (
        "torchtitan",
        {"loss_metrics/global_avg_loss": 100, "loss_metrics/global_max_loss": 100,
         "validation_metrics/loss": 5, "grad_norm": 100},
        "loss_metrics/global_avg_loss", "grad_norm",
    ),
    (
        "megatron",
        {"lm loss": 100, "lm loss validation": 10, "lm loss vs samples": 100,
         "lm loss validation vs samples": 10, "grad-norm": 100, "grad-norm vs samples": 100},
        "lm loss", "grad-norm",
    ),
    (
        "nemo",
        {"reduced_train_loss": 300, "val_loss": 6, "validation_loss": 6, "grad_norm": 300},
        "reduced_train_loss", "grad_norm",
    ),
    ("nemo_older", {"train_loss": 300, "val_loss": 6, "gradient_norm": 300},
     "train_loss", "gradient_norm"),
    (
        "composer",
        {"loss/train/total": 80, "metrics/eval/CrossEntropy": 4, "l2_norm/grad/global": 80,
         "l2_norm/grad/layers.0.weight": 80, "l2_norm/moment/layers.0": 80},
        "loss/train/total", "l2_norm/grad/global",
    ),
    ("fastai_on_wandb", {"train_loss": 60, "raw_loss": 60, "valid_loss": 5}, "train_loss", None),
    (
        "ultralytics",
        {"train/box_loss": 100, "train/cls_loss": 100, "train/dfl_loss": 100, "val/box_loss": 100,
         "val/cls_loss": 100, "val/dfl_loss": 100, "metrics/mAP50(B)": 100, "lr/pg0": 100},
        ULTRALYTICS, None,
    ),
    (
        "detectron2",
        {"total_loss": 70, "loss_cls": 70, "loss_box_reg": 70, "loss_rpn_cls": 70, "lr": 70},
        "total_loss", None,
    ),
    ("detectron2_older", {"loss": 70, "loss_cls": 70}, "loss", None),
    ("xgboost", {"train-logloss": 50, "eval-logloss": 50, "validation_0-logloss": 50},
     "train-logloss", None),
    ("xgboost_classes", {"train-mlogloss": 50, "test-mlogloss": 90}, "train-mlogloss", None),
    ("xgboost_regression", {"train-rmse": 50, "validation-rmse": 50}, "train-rmse", None),
    (
        "lightgbm",
        {"training-binary_logloss": 50, "valid_0-binary_logloss": 50, "training-ndcg_at_5": 50},
        "training-binary_logloss", None,
    ),
    (
        "sklearn_autolog",
        {"training_score": 1, "training_accuracy_score": 1, "training_f1_score": 1},
        None, None,
    ),
    (
        "algoperf",
        {"loss": 99, "validation/loss": 52, "validation/ctc_loss": 52, "test/loss": 52,
         "grad_norm": 99},
        "loss", "grad_norm",
    ),
    (
        "wandb_watch",
        {"gradients/layer.0.weight": 99, "parameters/layer.0.weight": 99, "loss": 99},
        "loss", None,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("logged", "loss", "grad_norm"), [row[1:] for row in FRAMEWORKS], ids=[r[0] for r in FRAMEWORKS]
)
def test_of_what_a_framework_logs_the_training_loss_is_read(logged, loss, grad_norm) -> None:
    assert chosen(logged) == (loss, grad_norm)
    # the order in which the tracker lists them makes no difference
    assert chosen(dict(reversed(logged.items()))) == (loss, grad_norm)


HELD_OUT = ("val", "valid", "validation", "eval", "evaluation", "test", "dev", "holdout")
SINGLE = [alias for alias in LOSS_ALIASES if " + " not in alias]


@PROPERTY
@given(st.sampled_from(HELD_OUT), st.sampled_from("/-_. "), st.sampled_from(SINGLE), st.booleans())
def test_a_held_out_loss_is_never_read_however_long(word, separator, alias, upper) -> None:
    name = f"{word}{separator}{alias}"
    name = name.upper() if upper else name
    assert chosen({name: 1000}) == (None, None)
    assert chosen({name: 1000, "loss": 3}) == ("loss", None)


def test_what_dqi_wrote_itself_is_never_read() -> None:
    assert chosen({"dqi": 9, "dqi_raw": 9, "dqi_early": 9, "dqi_loss": 9, "dqi/grad_norm": 9}) == (
        None,
        None,
    )


@pytest.mark.parametrize(
    "name",
    ["LOSS", "Train/Loss", "train-loss", "train.loss", "train loss", "Train__LOSS", "/train//loss/",
     "TRAIN_LOSS_STEP", "Lm_Loss", "lm-loss", "loss.train.total"],
)  # fmt: skip
def test_case_and_separators_make_no_difference(name) -> None:
    assert chosen({name: 50, "lr": 50}) == (name, None)


@pytest.mark.parametrize("alias", LOSS_ALIASES)
def test_every_loss_alias_is_found_as_an_exact_name(alias) -> None:
    candidates = KeyResolver(load_settings()).candidates(alias.split(" + "))
    assert candidates.loss == (MetricKey(tuple(alias.split(" + ")), tier=1),)


@pytest.mark.parametrize("alias", GRAD_NORM_ALIASES)
def test_every_gradient_norm_alias_is_found_as_an_exact_name(alias) -> None:
    assert KeyResolver(load_settings()).candidates([alias]).grad_norm == (MetricKey((alias,)),)


def test_two_names_that_differ_in_case_alone_are_both_candidates() -> None:
    assert chosen({"loss": 10, "LOSS": 20}) == ("LOSS", None)
    assert chosen({"loss": 20, "LOSS": 10}) == ("loss", None)


def test_a_scalar_is_passed_over_where_a_longer_series_exists() -> None:
    assert chosen({"train_loss": 1, "loss": 4}) == ("loss", None)
    assert chosen({"loss": 2, "generator_loss": 40}) == ("generator_loss", None)


def test_three_points_make_a_series_that_an_exact_name_keeps() -> None:
    assert chosen({"loss": 3, "generator_loss": 40}) == ("loss", None)


def test_a_short_series_is_read_where_there_is_no_longer_one() -> None:
    assert chosen({"loss": 2, "train_loss": 1}) == ("loss", None)
    assert chosen({"loss": 1, "generator_loss": 2}) == ("generator_loss", None)


def test_a_series_without_points_is_none() -> None:
    assert chosen({"loss": 0}) == (None, None)
    assert chosen({"loss": 0, "train_loss": 1}) == ("train_loss", None)


@pytest.mark.parametrize("lengths", list(itertools.permutations((40, 50, 60))))
def test_the_longest_is_read_among_equals(lengths) -> None:
    logged = dict(zip(("loss", "train_loss", "epoch/loss"), lengths, strict=True))
    assert chosen(logged) == (max(logged, key=logged.__getitem__), None)


def test_the_first_alias_is_read_among_series_of_one_length() -> None:
    assert chosen({"total_loss": 50, "loss": 50, "train/loss": 50}) == ("loss", None)


def test_a_name_that_ends_in_an_alias_is_read_where_no_exact_name_is_logged() -> None:
    assert chosen({"actor/loss": 50}) == ("actor/loss", None)
    assert chosen({"model.grad_norm": 50}) == (None, "model.grad_norm")
    assert chosen({"actor/loss": 50, "loss": 9}) == ("loss", None)


@pytest.mark.parametrize(
    "name", ["lossless", "floss", "loss_weight", "loss scale", "logloss", "lr"]
)
def test_a_name_that_only_resembles_a_loss_is_not_read(name) -> None:
    assert chosen({name: 50}) == (None, None)


def test_a_sum_needs_all_of_its_parts_and_has_the_points_of_the_shortest() -> None:
    parts = {"train/box_loss": 9, "train/cls_loss": 7, "train/dfl_loss": 8}
    assert chosen(parts) == (ULTRALYTICS, None)
    candidates = KeyResolver(load_settings()).candidates(tuple(parts))
    assert [key.parts for key in candidates.loss] == [tuple(ULTRALYTICS.split(" + "))]
    assert candidates.metrics == set(parts)
    del parts["train/dfl_loss"]
    assert " + " not in chosen(parts)[0]


def test_a_sum_of_the_person_s_own_is_read() -> None:
    candidates = KeyResolver(load_settings(loss_aliases=("a loss + b loss",))).candidates(
        ["A/loss", "b_loss", "loss"]
    )
    assert [str(key) for key in candidates.loss] == ["A/loss + b_loss"]


def test_a_person_s_key_beats_everything_even_a_longer_or_a_held_out_series() -> None:
    logged = {"loss": 500, "val_loss": 5, "grad_norm": 500, "gn": 1}
    assert chosen(logged, loss_key="val_loss") == ("val_loss", "grad_norm")
    assert chosen(logged, grad_norm_key="gn") == ("loss", "gn")


def test_a_person_s_key_is_taken_to_the_letter() -> None:
    assert chosen({"Loss": 50, "loss": 60}, loss_key="Loss") == ("Loss", None)
    assert chosen({"Loss": 50}, loss_key="loss") == (None, None)


def test_a_person_s_loss_that_is_missing_leaves_nothing_to_read() -> None:
    assert chosen({"loss": 50, "grad_norm": 50}, loss_key="my_loss") == (None, None)


def test_a_person_s_gradient_norm_that_is_missing_leaves_the_loss() -> None:
    assert chosen({"loss": 50, "grad_norm": 50}, grad_norm_key="gn") == ("loss", None)


def test_all_names_that_take_part_are_known_before_a_series_is_read() -> None:
    candidates = KeyResolver(load_settings()).candidates(["loss", "lr", "val_loss", "grad_norm"])
    assert candidates.metrics == {"loss", "grad_norm", "val_loss"}


@PROPERTY
@given(st.sets(st.text(max_size=12), max_size=8), st.randoms(use_true_random=False))
def test_any_names_resolve_to_themselves_in_whatever_order_they_come(names, random) -> None:
    listed = [*names, "loss", "Train Loss"]
    resolver = KeyResolver(load_settings())
    found = resolver.candidates(listed)
    random.shuffle(listed)
    assert KeyResolver(load_settings()).candidates(listed) == found
    assert found.metrics <= set(listed)
    assert {"loss", "Train Loss"} <= found.metrics
    tiers = [key.tier for key in found.loss]
    assert tiers == sorted(tiers)


ALIAS_PARTS = sorted({part for alias in (*LOSS_ALIASES, *GRAD_NORM_ALIASES)
                      for part in alias.split(" + ")})  # fmt: skip
LOGGED = st.one_of(
    st.sampled_from(ALIAS_PARTS),
    st.sampled_from(ALIAS_PARTS).map(str.upper),
    st.builds("{}/{}".format, st.sampled_from(("actor", "val", "dqi", "")), st.text(max_size=5)),
    st.builds("{}.{}".format, st.text(max_size=5), st.sampled_from(ALIAS_PARTS)),
    st.text(max_size=9),
)
CHOICE = st.one_of(st.none(), st.sampled_from(("mine", "val_loss", "loss", "tokens")))


@PROPERTY
@given(st.sets(LOGGED, max_size=12), CHOICE, CHOICE, CHOICE, CHOICE)
def test_every_name_that_takes_part_is_one_that_concerns(names, loss, norm, step, held) -> None:
    chosen_keys = {"loss_key": loss, "grad_norm_key": norm, "step_key": step}
    chosen_keys["validation_key"] = held
    resolver = KeyResolver(load_settings(**chosen_keys))
    listed = [*names, "mine", "val_loss", "tokens"]
    found = resolver.candidates(listed)
    assert all(resolver.concerns(name) for name in found.metrics)
    assert found.step == (step if step in listed and (found.loss or not loss) else "")
    assert not found.step or resolver.concerns(found.step)
    # what does not concern can be left out of the listing: it changes nothing but the layers,
    # which are no signal
    concerned = resolver.candidates([name for name in listed if resolver.concerns(name)])
    assert concerned._replace(layers=found.layers) == found


@pytest.mark.parametrize("name", ["accuracy", "val_acc", "dqi", "dqi_loss", "lr", "", "tokens"])
def test_what_can_be_neither_signal_nor_steps_does_not_concern(name) -> None:
    assert not KeyResolver(load_settings()).concerns(name)
    assert KeyResolver(load_settings(step_key=name or "step")).concerns(name) == bool(name)


def test_a_person_s_key_is_the_only_name_of_its_kind_that_concerns() -> None:
    resolver = KeyResolver(load_settings(loss_key="mine"))
    names = ("mine", "Mine", "loss", "train_loss", "grad_norm", "val_loss")
    assert [name for name in names if resolver.concerns(name)] == ["mine", "grad_norm", "val_loss"]


def test_each_part_of_a_sum_concerns() -> None:
    resolver = KeyResolver(load_settings(loss_aliases=("first half + second half",)))
    names = ("First Half", "second/half", "half", "loss", "first half + second half")
    assert [name for name in names if resolver.concerns(name)] == ["First Half", "second/half"]


def test_a_chosen_gradient_norm_that_is_not_logged_leaves_the_loss_alone() -> None:
    logged = {"loss": 9, "grad_norm": 9, "train/grad_norm": 9}
    assert chosen(logged, grad_norm_key="none") == ("loss", None)
