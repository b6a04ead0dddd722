"""Where runs are kept: one protocol, one module or folder a tracker, none knows another."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dqi_tracking.config import Settings, load_settings
from dqi_tracking.errors import ConfigError

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker

_BY_SCHEME = {
    "mlflow": "dqi_tracking.trackers.mlflow:MlflowTracker",
    "runs": "dqi_tracking.trackers.mlflow:MlflowTracker",
}
_BY_SUFFIX = {
    ".csv": "dqi_tracking.trackers.curve_file:CurveFileTracker",
    ".parquet": "dqi_tracking.trackers.curve_file:CurveFileTracker",
}


def open_tracker(address: str, *, settings: Settings | None = None) -> Tracker:
    """Open the tracker that an address means.

    Parameters
    ----------
    address : str
        ``mlflow:`` (all experiments), ``mlflow:EXPERIMENT`` (name or id), ``runs:/RUN_ID``, or a
        ``.csv``/``.parquet`` curve file.
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
    scheme, _, _ = address.partition(":")
    suffix = f".{address.rpartition('.')[2].lower()}"
    entry = _BY_SCHEME.get(scheme) or _BY_SUFFIX.get(suffix)
    if entry is None:
        raise ConfigError(
            f"address `{address}` is of no known form",
            fix="use mlflow:EXPERIMENT, mlflow: for all experiments, runs:/RUN_ID, or a .csv or "
            ".parquet file",
        )
    module, _, name = entry.partition(":")
    tracker: Tracker = getattr(import_module(module), name).open(
        address, settings or load_settings()
    )
    return tracker
