"""Putting files on a run, by MLflow's artifact repositories."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dqi_tracking.names import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping


def put_files(location: str, uri: str, files: Mapping[str, bytes]) -> None:
    """Write files below `dqi/` of a run's artifacts, as `MlflowClient.log_artifacts` does.

    Parameters
    ----------
    location : str
        Artifact URI of the run. With it no request is needed to find the place.
    uri : str
        Tracking URI.
    files : mapping of str to bytes
        Contents by file name.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

    place = str(add_databricks_profile_info_to_artifact_uri(location, uri))
    repository = get_artifact_repository(place, tracking_uri=uri)
    with tempfile.TemporaryDirectory(prefix="dqi-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        repository.log_artifacts(folder, FOLDER)
