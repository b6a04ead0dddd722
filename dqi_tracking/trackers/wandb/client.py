"""The W&B client: opened without a prompt, with bounded retries, in a folder of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dqi_tracking.errors import AuthError, masked
from dqi_tracking.trackers.wandb.failures import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

_RETRIES = {
    # the client's own mean minutes for a call to a dead server
    "WANDB_HTTP_TIMEOUT": "30",
    "WANDB_X_GRAPHQL_RETRY_MAX": "3",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "10",
    "WANDB_X_FILE_TRANSFER_RETRY_MAX": "3",
    "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "10",
}
_FOLDERS = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")


class Client:
    """The public API of W&B for one project.

    Parameters
    ----------
    entity, project : str
    timeout : float
        Seconds after which a single request is given up, its retries included.

    Raises
    ------
    AuthError
        When there is no key, or the server does not know it.
    TransientTrackerError
        When the server does not answer.
    """

    def __init__(self, entity: str, project: str, *, timeout: float) -> None:
        self.entity = entity
        self.project = project
        self._surroundings = Surroundings()
        self._surroundings.enter()
        try:
            self._wandb = _wandb()
            with translated("start the W&B client", "its own service"):
                server = masked(str(self._wandb.setup().settings.base_url)).rstrip("/")
            self.address = f"{server}/{entity}/{project}"
            with translated("log in", server):
                try:
                    # an entity that is given is not asked for
                    api = self._wandb.Api(
                        overrides={"entity": entity}, timeout=max(1, round(timeout))
                    )
                except self._wandb.errors.UsageError as error:
                    raise AuthError(
                        f"no W&B key for {server}",
                        fix="set WANDB_API_KEY, or run `wandb login` once",
                    ) from error
            # upload_file and a whole scan are public, the handle that both send through is not
            self.service: Any = api._service_api
        except BaseException:
            self._surroundings.leave()
            raise

    @property
    def wandb(self) -> Any:
        """The client's module."""
        return self._wandb

    @property
    def messages(self) -> Any:
        """The messages that the client's service takes."""
        from wandb.proto import wandb_api_pb2

        return wandb_api_pb2

    @property
    def folder(self) -> str:
        """A folder for whatever the client writes, removed with it."""
        return self._surroundings.folder

    @property
    def url(self) -> str:
        """The project in W&B's own UI."""
        # a project's name may hold spaces and signs that mean something in a link
        place = "/".join(quote(name, safe="") for name in (self.entity, self.project))
        return f"{self.service.app_url.rstrip('/')}/{place}"

    def run_url(self, run_id: str) -> str:
        """Return a run's page in W&B's own UI."""
        return f"{self.url}/runs/{quote(run_id, safe='')}"

    def runs(self, filters: Mapping[str, Any], *, per_page: int) -> Any:
        """Return a listing, newest first, with summaries and names of metrics.

        A new one each time: `Api.runs` keeps its listings.
        """
        return self._wandb.apis.public.Runs(
            self.service,
            self.entity,
            self.project,
            filters=dict(filters),
            order="-created_at",
            per_page=per_page,
            lazy=False,
        )

    def run(self, run_id: str) -> Any:
        """Return a handle of a run, without asking for it: enough to read and to attach."""
        return self._wandb.apis.public.Run(
            self.service, self.entity, self.project, run_id, {"name": run_id}
        )

    def close(self) -> None:
        """Give back the surroundings."""
        self._surroundings.leave()


class Surroundings:
    """Environment variables and a folder for the client, put back as they were at the end.

    The client makes a folder for each run that it lists, keeps what it downloads under names that
    say neither server nor version, and asks for a key where it finds a terminal. None of this is
    wanted, and a training run that the same process starts later must not inherit the remedies.
    """

    _lock = threading.Lock()
    _users = 0
    _before: dict[str, str | None] = {}  # noqa: RUF012 - one process has one environment
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _ours = False

    def __init__(self) -> None:
        self._inside = False

    @property
    def folder(self) -> str:
        """The folder, while somebody is inside."""
        shared = Surroundings._folder
        return shared.name if shared else tempfile.gettempdir()

    def enter(self) -> None:
        """Set the variables; the first one to enter makes the folder."""
        shared = Surroundings
        with shared._lock:
            self._inside = True
            shared._users += 1
            if shared._users > 1:
                return
            shared._folder = tempfile.TemporaryDirectory(
                prefix="dqi-wandb-", ignore_cleanup_errors=True
            )
            wanted = dict.fromkeys(_FOLDERS, shared._folder.name) | {"WANDB_SILENT": "true"}
            wanted |= {name: os.environ.get(name, value) for name, value in _RETRIES.items()}
            shared._before = {name: os.environ.get(name) for name in wanted}
            shared._ours = not _is_set_up()
            os.environ.update(wanted)

    def leave(self) -> None:
        """Put the variables back; the last one to leave ends what only we have started."""
        shared = Surroundings
        with shared._lock:
            if not self._inside:
                return
            self._inside = False
            shared._users -= 1
            if shared._users:
                return
            if shared._ours and _is_set_up():
                # a session of the client keeps the variables that it was started with
                _wandb().teardown()
            for name, value in shared._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            if shared._folder:
                shared._folder.cleanup()
            shared._folder = None


def _is_set_up() -> bool:
    setup = sys.modules.get("wandb.sdk.wandb_setup")
    return getattr(setup, "_singleton", None) is not None


def _wandb() -> ModuleType:
    import wandb

    return wandb
