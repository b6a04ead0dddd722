"""Settings: `DQI_*` variables, `dqi.toml`, `[tool.dqi]` of pyproject.toml, in this order.

What a person gives on the command line or in a call beats all of them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dqi_tracking.errors import ConfigError
from dqi_tracking.types import Duplicates, NanPolicy, Units

LOSS_ALIASES: tuple[str, ...] = (
    "loss",
    "train/loss",
    "training/loss",
    "train_loss_step",
    "train_loss_epoch",
    "loss_step",
    "loss_epoch",
    "loss_metrics/global_avg_loss",
    "lm loss",
    "reduced_train_loss",
    "loss/train/total",
    "total_loss",
    "raw_loss",
    "epoch/loss",
    "batch/loss",
    "train/box_loss + train/cls_loss + train/dfl_loss",
    "train-logloss",
    "train-mlogloss",
    "train-rmse",
    "training-binary_logloss",
    "training-multi_logloss",
    "training-l2",
)
"""Names of the training loss in HF Trainer, Lightning, Keras, torchtitan, Megatron, NeMo,
Composer, fastai, detectron2, ultralytics (a sum), XGBoost and LightGBM."""

GRAD_NORM_ALIASES: tuple[str, ...] = (
    "grad_norm",
    "train/grad_norm",
    "gradient_norm",
    "grad-norm",
    "global_grad_norm",
    "grad_2.0_norm_total",
    "l2_norm/grad/global",
)
"""Names of the global gradient norm in the same frameworks."""

VALIDATION_ALIASES: tuple[str, ...] = (
    "val_loss",
    "validation_loss",
    "valid_loss",
    "eval_loss",
    "validation_metrics/loss",
    "lm loss validation",
    "epoch/val_loss",
    "val_loss_epoch",
    "valid_loss_epoch",
    "loss/val",
    "loss/validation",
    "loss/eval",
    "loss/eval/total",
    "metrics/eval/CrossEntropy",
    "metrics/eval/LanguageCrossEntropy",
    "val/box_loss + val/cls_loss + val/dfl_loss",
    *(
        f"{data}-{metric}"
        for data in ("validation", "valid", "eval", "validation_0", "valid_0", "test")
        for metric in ("logloss", "mlogloss", "rmse", "binary_logloss", "multi_logloss", "l2")
    ),
)
"""Names of the validation loss in Lightning, Keras, NeMo, fastai, HF Trainer, torchtitan, Megatron,
Composer, ultralytics (a sum), XGBoost and LightGBM, whose data sets people name."""

LEARNING_RATE_ALIASES: tuple[str, ...] = (
    "learning_rate",
    "train/learning_rate",
    "lr",
    "train/lr",
    "learning-rate",
    "epoch/learning_rate",
    "batch/learning_rate",
    "optim/lr",
    "optimizer/lr",
    "lr/pg0",
    "lr_0",
    "lr-Adam",
    "lr-AdamW",
    "lr-SGD",
    "lr-Adam/pg1",
    "lr-AdamW/pg1",
    "lr-SGD/pg1",
    "lr-DecoupledAdamW/group0",
    "lrs/global_avg_lr",
)
"""Names of the learning rate in HF Trainer, Keras, Lightning's monitor, Megatron, NeMo, Composer,
fastai, detectron2, ultralytics, torchtitan."""


class Settings(BaseSettings):
    """Everything that can be set, with its default.

    Parameters
    ----------
    tracking_uri : str, optional
        MLflow store to use instead of `MLFLOW_TRACKING_URI`.
    loss_key, grad_norm_key : str, optional
        Metric to read, whatever the aliases say.
    validation_key : str, optional
        The same for the validation loss, which the state of a run is judged with.
    step_key : str, optional
        Metric to take the steps from, such as ``tokens`` or ``epoch``, on the runs that have it.
    loss_aliases, grad_norm_aliases : tuple of str
        Names that are taken for the loss and the gradient norm. Case and the separators
        ``/ - _ .`` and space make no difference; `a + b` means the sum of two metrics.
    validation_aliases : tuple of str
        Names that are taken for the validation loss, likewise; a name that ends in one of the
        loss and tells of data held out is taken, too. Where there are none at all, none is read.
    nan_policy, units, duplicates, weights
        As in `dqi_tracking.score`.
    phases : str
        Where the phases end: `auto` for the method's 40 % and 75 % rule; `schedule` for the run's
        own plan, which is its annotations `dqi.phase.early_end` and `dqi.phase.mid_end` (tags,
        params or config), else its logged learning rate, else the rule; or ``STEP,STEP``.
    learning_rate_aliases : tuple of str
        Names that are taken for the learning rate, as `loss_aliases`.
    weights_hash : str
        Of the file that the weights are from, as `--weights FILE` sets it; part of the fingerprint.
    jobs : int, optional
        Runs worked on at the same time; what suits the tracker where left out.
    artifact : bool
        Whether the tracker's own artifacts are written: on MLflow the two files, on W&B the
        Artifact that holds them.
    max_requests_per_minute : int, optional
        Pace of the requests to W&B; as fast as it answers where left out.
    deadline : float
        Seconds after which reading or writing one run of W&B is given up.
    view : bool
        Whether a backfill or a ranking keeps the saved view "DQI" of the runs on MLflow.
    percentiles : bool
        Whether a backfill also writes where each run stands in its cohort: one more write for each
        run whose percentile moved. A `cohort` means it, too.
    cohort : str, optional
        Column of the tracker whose value is the same on runs that are compared with each other,
        such as ``params.model`` or ``config.model``; the experiment or project where left out.
    state_dir : str, optional
        Folder for what backfills on this machine remember; the user's state folder of the system
        where left out.
    """

    model_config = SettingsConfigDict(
        env_prefix="DQI_",
        toml_file="dqi.toml",
        pyproject_toml_table_header=("tool", "dqi"),
        extra="forbid",
        frozen=True,
    )

    tracking_uri: str | None = None
    loss_key: str | None = None
    grad_norm_key: str | None = None
    validation_key: str | None = None
    step_key: str | None = None
    loss_aliases: tuple[str, ...] = LOSS_ALIASES
    grad_norm_aliases: tuple[str, ...] = GRAD_NORM_ALIASES
    validation_aliases: tuple[str, ...] = VALIDATION_ALIASES
    nan_policy: NanPolicy = "propagate"
    units: Units = "relative"
    duplicates: Duplicates = "last"
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)
    weights_hash: str = ""
    phases: str = "auto"
    learning_rate_aliases: tuple[str, ...] = LEARNING_RATE_ALIASES
    jobs: int | None = None
    artifact: bool = True
    max_requests_per_minute: int | None = Field(default=None, ge=1)
    deadline: float = Field(default=300.0, gt=0)
    view: bool = True
    percentiles: bool = False
    cohort: str | None = Field(default=None, min_length=1)
    state_dir: str | None = Field(default=None, min_length=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls),
            PyprojectTomlConfigSettingsSource(settings_cls),
        )


def load_settings(**given: Any) -> Settings:
    """Read the settings of this folder and environment.

    Parameters
    ----------
    **given
        Values that a person gave; those that are None count as not given.

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        When a value is not of its kind, a name is not known, or a file is not TOML.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise ConfigError(
            f"setting `{name}`: {first['msg'].lower()}",
            fix=f"correct `{name}` in the option, DQI_{name.upper()}, dqi.toml or pyproject.toml",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"settings cannot be read: {error}",
            fix="correct the DQI_* variable (lists are JSON: [0.5, 0.3, 0.2]), dqi.toml or "
            "pyproject.toml",
        ) from error
