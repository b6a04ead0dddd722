"""Where runs are kept: one protocol, one module or folder a tracker, none knows another."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dqi_tracking.config import Settings, load_settings
from dqi_tracking.errors import ConfigError

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker

_BY_SCHEME = {
    "mlflow": "dqi_tracking.trackers.mlflow:MlflowTracker",
    "runs": "dqi_tracking.trackers.mlflow:MlflowTracker",
    "wandb": "dqi_tracking.trackers.wandb:WandbTracker",
}
_BY_SUFFIX = {
    ".csv": "dqi_tracking.trackers.curve_file:CurveFileTracker",
    ".parquet": "dqi_tracking.trackers.curve_file:CurveFileTracker",
    ".wandb": "dqi_tracking.trackers.wandb_offline:WandbOfflineTracker",
}
_OF_FOLDER = "dqi_tracking.trackers.wandb_offline:WandbOfflineTracker"


def open_tracker(address: str, *, settings: Settings | None = None) -> Tracker:
    """Open the tracker that an address means.

    Parameters
    ----------
    address : str
        ``mlflow:`` (all experiments), ``mlflow:EXPERIMENT`` (name or id), ``runs:/RUN_ID``,
        ``wandb:ENTITY/PROJECT``, ``wandb:ENTITY/PROJECT/RUN_ID``, a folder of offline W&B runs or
        one ``.wandb`` file, or a ``.csv``/``.parquet`` curve file.
    settings : Settings, optional
        Metric keys and the tracking URI; read from the environment and files where left out.

    Returns
    -------
    Tracker
        To be closed by whoever opened it.

    Raises
    ------
    ConfigError
        When the address is of no known form.
    TrackerError
        When nothing can be opened there.
    """
    scheme, colon, _ = address.partition(":")
    suffix = Path(address).suffix.lower()
    # a bare `wandb` is the folder that the client makes
    entry = _BY_SCHEME.get(scheme) if colon else None
    entry = entry or _BY_SUFFIX.get(suffix) or (_OF_FOLDER if _is_folder(address) else None)
    if entry is None:
        raise ConfigError(
            f"address `{address}` is of no known form",
            fix="use mlflow:EXPERIMENT, mlflow: for all experiments, runs:/RUN_ID, "
            "wandb:ENTITY/PROJECT, a folder that exists and holds offline W&B runs, or a .wandb, "
            ".csv or .parquet file",
        )
    module, _, name = entry.partition(":")
    tracker: Tracker = getattr(import_module(module), name).open(
        address, settings or load_settings()
    )
    return tracker


def _is_folder(address: str) -> bool:
    try:
        return bool(address) and Path(address).expanduser().is_dir()
    except PermissionError:
        # there is one, and its tracker says that it may not be read
        return True
    except (OSError, RuntimeError):
        return False
