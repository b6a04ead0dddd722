"""A calibration of the forecast in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError
from dqi_tracking.fitting.kept_file import keep
from dqi_tracking.insight.forecasting.calibration import Calibration

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Size beyond which a file cannot be a calibration."""


def read_calibration(path: Path) -> Calibration:
    """Read a calibration that `write_calibration` wrote.

    Raises
    ------
    ConfigError
        When there is no such file, or it is none of this forecaster.
    """
    try:
        path = path.expanduser()
        with path.open("rb") as opened:
            # a calibration is small; a longer file is cut, and then no JSON
            text = opened.read(MAX_BYTES).decode("utf-8", "replace")
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"no calibration in `{path}`: {getattr(error, 'strerror', None) or error}",
            fix="name a file that `dqi forecast --calibrate ADDRESS --out FILE` wrote",
        ) from error
    try:
        return Calibration.from_json(text)
    except ConfigError as error:
        raise ConfigError(
            f"`{path}`: {error.message}",
            fix="write it with `dqi forecast --calibrate ADDRESS --out FILE`",
        ) from error


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration; a file that stood there is replaced at once, or stays as it was.

    Raises
    ------
    WriteRejected
        When the disk does not take it.
    """
    keep(path, calibration.to_json(), "calibration")
