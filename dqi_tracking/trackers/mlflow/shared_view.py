"""The saved view "DQI" of MLflow's run table: its columns shown, the highest score first.

MLflow keeps a saved view as a tag of the experiment, in the format of its own "Save view" button.
The format is not documented: what is here was read from the UI of 3.17, so an older server gets
no view.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from dqi_tracking.errors import ReadRejected, TrackerError, WriteRejected
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.mlflow.erasing import TAG as FACT
from dqi_tracking.trackers.mlflow.failures import translated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow import MlflowClient
    from mlflow.entities import Experiment

NAME = "DQI"
"""In the menu of saved views."""
KEY = "dqi"
TAG = f"mlflow.sharedViewState.{KEY}"
OLDEST_SERVER = (3, 17)
WIDTH = 90
"""Pixels of a column of numbers: four digits, and no more than fits beside the others."""

_NUMBERS = ("dqi", "dqi_early", "dqi_mid", "dqi_late")
_FACTS = ("weakest", "status")
_VERSION = re.compile(r"(\d+)\.(\d+)\.")
_OK = 200


def view_state() -> str:
    """Return the value of the tag, the same each time; below 1,000 characters of 5,000 allowed."""
    numbers = [f"metrics.`{name}`" for name in _NUMBERS]
    words = [f"tags.`{FACT}{fact}`" for fact in _FACTS]
    state = {
        "searchFilter": "",
        "orderByKey": "metrics.`dqi`",
        "orderByAsc": False,
        "selectedColumns": [*numbers, *words],
        # else they come in the order of the alphabet, behind the duration
        "columnOrder": ["attributes.`Run Name`", *numbers, *words],
        "columnWidths": dict.fromkeys(numbers, WIDTH),
    }
    # MLflow lists the newest first: a person's own views stand above this one
    return _json({"name": NAME, "createdAt": 0, "state": _json(state)})


class SharedView:
    """The view on the experiments of a store.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Tracking URI.
    address : str
        The same without credentials, for messages.
    seconds : float or None
        Deadline of a request.
    """

    def __init__(self, client: MlflowClient, uri: str, address: str, seconds: float | None) -> None:
        self._client = client
        self._uri = uri
        self._address = address
        self._seconds = seconds

    def save(self, experiments: Iterable[Experiment]) -> None:
        """Put the view on experiments, where it is not there as it should be.

        One that cannot take it stops no other.

        Parameters
        ----------
        experiments : iterable of Experiment
            As they were listed: what their tags say costs no request.

        Raises
        ------
        TrackerError
            The first that an experiment met with, or that the server's UI has no such views.
        """
        value = view_state()
        lacking = [each for each in experiments if each.tags.get(TAG) != value]
        if not lacking:
            return
        self._check_ui()
        refused: TrackerError | None = None
        for experiment in lacking:
            try:
                self._put(experiment.experiment_id, value)
            except TrackerError as error:
                refused = refused or error
                if error.transient:
                    break
        if refused:
            raise refused

    def drop(self, experiments: Iterable[Experiment]) -> None:
        """Take the view off experiments.

        Raises
        ------
        TrackerError
            Where MLflow refuses it.
        """
        refused = WriteRejected, "delete the view `DQI` in the menu of saved views"
        for experiment in experiments:
            if TAG in experiment.tags:
                with translated("take off the saved view", self._address, rejected=refused):
                    self._deadline("take off the saved view").call(
                        lambda number=experiment.experiment_id: self._delete(number)
                    )

    def _put(self, experiment_id: str, value: str) -> None:
        refused = WriteRejected, "leave the view out: --no-view"
        with translated("save the view", self._address, rejected=refused):
            self._deadline("save the view").call(
                lambda: self._client.set_experiment_tag(experiment_id, TAG, value)
            )

    def _delete(self, experiment_id: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.delete_experiment_tag(experiment_id, TAG)
        except MlflowException as error:
            # the request was sent twice, or a person deleted the view meanwhile
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def _check_ui(self) -> None:
        if not self._uri.startswith(("http://", "https://")):
            if self._uri.startswith("databricks"):
                raise _unknown(self._address, "Databricks has an own UI")
            # the UI is then that of an MLflow on this machine
            return
        with translated("ask for the server's version", self._address):
            text = self._deadline("ask for the server's version").call(self._version)
        found = _VERSION.match(text)
        if not found or tuple(map(int, found.groups())) < OLDEST_SERVER:
            raise _unknown(self._address, f"its version is {text[:20] or 'not told'}")

    def _version(self) -> str:
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        response = http_request(get_default_host_creds(self._uri), "/version", "GET")
        return response.text if response and response.status_code == _OK else ""

    def _deadline(self, what: str) -> Deadline:
        return Deadline(self._seconds, what, "")


def _unknown(address: str, why: str) -> ReadRejected:
    oldest = ".".join(map(str, OLDEST_SERVER))
    return ReadRejected(
        f"{address} shows no saved views of runs: {why}",
        fix=f"update the server to MLflow {oldest} or later, or add the columns by hand",
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
