"""Options that several commands share, and how they become settings and queries."""

from __future__ import annotations

import logging
import re
import time
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dqi_tracking.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.config import Settings

Address = Annotated[
    str,
    typer.Argument(
        help="mlflow:EXPERIMENT, mlflow: for all, runs:/RUN_ID, wandb:ENTITY/PROJECT[/RUN_ID], a "
        "folder of offline W&B runs, FILE.csv, FILE.parquet"
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(help="MLflow store to use instead of MLFLOW_TRACKING_URI."),
]
LossKey = Annotated[str | None, typer.Option(help="Metric to read as the loss.")]
GradNormKey = Annotated[
    str | None,
    typer.Option(
        help="Metric to read as the gradient norm; `none`, or any that is not logged, reads none."
    ),
]
ValidationKey = Annotated[
    str | None,
    typer.Option(help="Metric to read as the validation loss, which tells overfitting."),
]
StepKey = Annotated[
    str | None,
    typer.Option(
        help="Metric to take the steps from, such as tokens or epoch, on the runs that have it."
    ),
]
NanPolicyName = Annotated[
    str | None,
    typer.Option("--nan-policy", help="Non-finite points: propagate, omit or interpolate."),
]
UnitsName = Annotated[
    str | None,
    typer.Option("--units", help="Units of phases and components: relative or raw."),
]
DuplicatesName = Annotated[
    str | None, typer.Option("--duplicates", help="Rows of one step: last or keep.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|W,W,W",
        help="Weights of the phases: a file of `dqi weights fit`, or early, mid and late, such as "
        "0.5,0.3,0.2.",
    ),
]
PhasesName = Annotated[
    str | None,
    typer.Option(
        "--phases",
        metavar="RULE",
        help="Where the phases end: auto (the method's rule), schedule (the run's own annotations, "
        "or its logged learning rate), or at two steps: STEP,STEP.",
    ),
]
Where = Annotated[
    str,
    typer.Option(
        help="Filter in the tracker's own language, such as \"params.model = 'gpt'\", or on W&B "
        '\'{"config.model": "gpt"}\'.'
    ),
]
IncludeFailed = Annotated[bool, typer.Option(help="Also failed and killed runs.")]
IncludeRunning = Annotated[bool, typer.Option(help="Also running and scheduled runs.")]
NoArtifact = Annotated[
    bool,
    typer.Option(
        "--no-artifact",
        help="Leave the tracker's own artifacts alone: on MLflow phases.json and phases.html, on "
        "W&B the Artifact.",
    ),
]
NoFiles = Annotated[
    bool, typer.Option("--no-files", help="Write no phases.json and no phases.html anywhere.")
]
NoView = Annotated[
    bool, typer.Option("--no-view", help='Keep no saved view "DQI" of the runs on MLflow.')
]
Cohort = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What is the same on runs that are compared with each other: params.model, or on W&B "
        "config.model. The experiment or project where left out.",
    ),
]
PopulationName = Annotated[
    str | None,
    typer.Option(
        "--population",
        metavar="FILE",
        help="Percentiles against a saved population: FILE or FILE:COHORT of `dqi population "
        "save`, or reference:FAMILY of the public runs that come with the package. `dqi show` also "
        "checks the run against its curves.",
    ),
]
AgainstPopulation = Annotated[
    str | None,
    typer.Option(
        "--population",
        metavar="FILE",
        help="Also check each run against the curves of a saved population (noise, scale, "
        "distance, logging interval): FILE or FILE:COHORT of `dqi population save`. With another "
        "file, runs are scored again.",
    ),
]
MaxRequestsPerMinute = Annotated[
    int | None, typer.Option(min=1, help="Pace of the requests to W&B.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say on stderr which way was taken, and why.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header.")]

_log = logging.getLogger("dqi_tracking")
_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class Format(Enum):
    """How data goes to stdout."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def speak(verbose: bool) -> None:
    """Let the package's log go to stderr: its notes with `--verbose`, else its warnings alone."""
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("note: %(message)s"))
        logger = logging.getLogger("dqi_tracking")
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)


def format_of(as_json: bool, as_csv: bool) -> Format:
    """Return the format asked for.

    Raises
    ------
    ConfigError
        When two are asked for.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other", fix="leave one of them out")
    return Format.JSON if as_json else Format.CSV if as_csv else Format.TABLE


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings, with what a command was given before all other sources.

    Parameters
    ----------
    given : mapping
        The command's parameters by name, which is `locals()` where it begins. Those that share
        the name of a setting are that setting; None is not given.

    Raises
    ------
    ConfigError
        As `load_settings`.
    """
    from dqi_tracking.config import Settings, load_settings

    chosen = {name: given[name] for name in Settings.model_fields if name in given}
    if given.get("no_artifact"):
        chosen["artifact"] = False
    # a switch that is left off is no choice: variables and files may have made one
    if not given.get("percentiles"):
        chosen.pop("percentiles", None)
    if given.get("no_view"):
        chosen["view"] = False
    # a command without the choice judges no state: it reads the loss alone
    if "validation_key" not in given:
        chosen["validation_aliases"] = ()
    if chosen.get("weights") is not None:
        chosen |= _weights(chosen["weights"])
    return load_settings(**chosen)


def _weights(text: str) -> dict[str, Any]:
    from dqi_tracking.fitting.weights_file import chosen_weights

    found = chosen_weights(text)
    if not found.is_supported:
        _log.warning("the runs that `%s` was learned from do not support its weights", text)
    return {"weights": found.weights, "weights_hash": found.digest}


def since_of(text: str | None) -> int:
    """Return a point in time, in milliseconds since the epoch.

    Parameters
    ----------
    text : str or None
        An age (``90m``, ``12h``, ``7d``, ``2w``), or an ISO 8601 date or time, in UTC where it
        names no zone.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    if text is None:
        return 0
    if age := re.fullmatch(r"(\d+)([mhdw])", text):
        return int((time.time() - int(age[1]) * _UNITS[age[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))  # 3.10 knows no `Z`
    except ValueError as error:
        raise ConfigError(
            f"--since `{text}` is no time",
            fix="use an age such as 7d, or a date such as 2026-01-31",
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)
