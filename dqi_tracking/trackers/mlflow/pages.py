"""Where MLflow's UI shows runs."""

from __future__ import annotations

import shlex
from urllib.parse import quote, urlencode

from dqi_tracking.errors import masked
from dqi_tracking.trackers.base import View
from dqi_tracking.trackers.mlflow.shared_view import KEY
from dqi_tracking.trackers.mlflow.store import is_file_store

_BY_DQI = urlencode({"orderByKey": "metrics.`dqi`", "orderByAsc": "false"})
# MLflow takes no notice of the view where the link holds a filter or an order beside it
_SAVED = urlencode({"viewStateShareKey": KEY})


class Pages:
    """The pages of the UI of a store.

    Parameters
    ----------
    uri : str
        Tracking URI. One that no server answers at is shown by `mlflow ui` on this machine.
    """

    def __init__(self, uri: str) -> None:
        address = masked(uri)
        is_served = uri.startswith(("http://", "https://"))
        self._base = address.replace("***@", "").rstrip("/") if is_served else ""
        allow = "MLFLOW_ALLOW_FILE_STORE=true " if is_file_store(uri) else ""
        start = f"{allow}mlflow ui --backend-store-uri {shlex.quote(address)}"
        self._command = "" if is_served else start

    def run(self, experiment_id: str, run_id: str) -> View:
        """Return the page of a run."""
        return self._view(f"/{experiment_id}/runs/{quote(run_id)}")

    def table(self, experiment_id: str) -> View:
        """Return the runs of an experiment, sorted by `dqi`."""
        return self._view(f"/{experiment_id}/runs?{_BY_DQI}")

    def saved(self, experiment_id: str) -> View:
        """Return the runs of an experiment in its saved view."""
        return self._view(f"/{experiment_id}/runs?{_SAVED}")

    def experiments(self) -> View:
        """Return the list of all experiments."""
        return self._view("")._replace(is_sorted=False)

    def _view(self, page: str) -> View:
        base = self._base or "http://127.0.0.1:5000"
        return View(f"{base}/#/experiments{page}", self._command)
