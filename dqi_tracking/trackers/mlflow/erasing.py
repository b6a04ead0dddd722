"""Taking a score off a run of MLflow, in an order that leaves no half of it looking like one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.errors import WriteRejected, masked
from dqi_tracking.names import FOLDER, LISTED, LISTED_FACTS, OWN_FILES
from dqi_tracking.trackers.mlflow.failures import translated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow import MlflowClient
    from mlflow.entities import Run

TAG = "dqi."
"""Prefix of the tags of facts."""

_FILES = {f"{FOLDER}/{name}" for name in OWN_FILES}
_LEFT_ALONE = "files stay, as --no-artifact asks"
_METRICS_STAY = "metrics stay, since MLflow cannot delete them"


def take_off(client: MlflowClient, run: Run, uri: str, *, artifact: bool) -> str:
    """Delete the tags and files of a score; return what stays, and why.

    Parameters
    ----------
    client : MlflowClient
    run : Run
        As it is now.
    uri : str
        Tracking URI.
    artifact : bool
        Whether the files are deleted.
    """
    # without its mark a run counts as not scored; the other tags go last, for while one is there
    # a run that was interrupted here is found again
    mark, *others = (f"{TAG}{fact}" for fact in reversed(LISTED_FACTS))
    _delete_tags(client, run, [mark])
    if artifact:
        _delete_files(client, run, uri)
    _delete_tags(client, run, others)
    stays = [] if set(LISTED).isdisjoint(run.data.metrics) else [_METRICS_STAY]
    return "; ".join(stays if artifact else [*stays, _LEFT_ALONE])


def _delete_tags(client: MlflowClient, run: Run, tags: Iterable[str]) -> None:
    from mlflow.exceptions import MlflowException

    for tag in tags:
        if tag not in run.data.tags:
            continue
        try:
            client.delete_tag(run.info.run_id, tag)
        except MlflowException as error:
            # the request was sent twice, or somebody else was faster: the tag is gone
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


def _delete_files(client: MlflowClient, run: Run, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run_id, location = run.info.run_id, str(run.info.artifact_uri)
    refused = WriteRejected, "check that you may delete the run's artifacts"
    # files may lie with another server than the one that holds the run
    with translated("delete its files", masked(location), run=run_id, rejected=refused):
        there = {file.path for file in client.list_artifacts(run_id, FOLDER)}
        ours = there & _FILES
        if ours:
            # a person's own file in the folder stays, and the folder with it
            repository = get_artifact_repository(location, uri)
            for path in (FOLDER,) if ours == there else sorted(ours):
                repository.delete_artifacts(path)
