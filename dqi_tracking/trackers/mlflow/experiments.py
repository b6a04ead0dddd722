"""Which experiments an address means."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from dqi_tracking.errors import ExperimentNotFound
from dqi_tracking.trackers.mlflow.store import is_file_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PAGE = 1_000


def named_experiments(client: MlflowClient, name: str, address: str) -> list[Experiment]:
    """Return the experiments of a store that are meant, deleted ones never.

    Parameters
    ----------
    client : MlflowClient
    name : str
        A name, or else an id; empty for all.
    address : str
        The store, for the message.

    Raises
    ------
    ExperimentNotFound
        When there is none of this name or id, or it was deleted.
    """
    if not name:
        return _all(client)
    found = _by_name(client, name, address)
    if found is None and name.isdigit():
        found = next((each for each in _all(client) if each.experiment_id == name), None)
    if found is None:
        raise _not_found(client, name, address)
    if found.lifecycle_stage != "active":
        raise ExperimentNotFound(
            f"experiment `{name}` was deleted",
            fix=f"`mlflow experiments restore --experiment-id {found.experiment_id}`",
        )
    return [found]


def _by_name(client: MlflowClient, name: str, address: str) -> Experiment | None:
    if "'" in name and is_file_store(address):
        # MLflow's file store puts the name as it is between the quotes of a filter
        return next((each for each in _all(client) if each.name == name), None)
    return client.get_experiment_by_name(name)


def _all(client: MlflowClient) -> list[Experiment]:
    experiments: list[Experiment] = []
    token: str | None = None
    while True:
        page = client.search_experiments(max_results=PAGE, page_token=token)
        experiments.extend(page)
        token = page.token
        if not token:
            return experiments


def _not_found(client: MlflowClient, name: str, address: str) -> ExperimentNotFound:
    names = [experiment.name for experiment in _all(client)]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    fix = (
        f"did you mean `mlflow:{close[0]}`?"
        if close
        else f"it holds {len(names)}: `mlflow experiments search` lists them"
    )
    return ExperimentNotFound(f"no experiment `{name}` in {address}", fix=fix)
