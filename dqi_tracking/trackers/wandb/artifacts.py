"""Artifacts of scored runs, logged by one run of the project that does nothing else.

A finished run cannot log an Artifact without being resumed, which would change it. So the run
`dqi-backfill` logs them, and the scored run is then told that the Artifact is its output.
"""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import TransientTrackerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.trackers.limits import Deadline, Pace
    from dqi_tracking.trackers.wandb.client import Client

WRITER = "dqi-backfill"
"""Id, name and job type of the run that logs the Artifacts; it is never scored."""
TYPE = "dqi"
ALIAS = "dqi"
REQUESTS_AN_ARTIFACT = 11
"""What the client sends to log one and link it, measured."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.\-]")
_LONGEST_NAME = 128


class ArtifactWriter:
    """The run that logs Artifacts, started with the first of them.

    Parameters
    ----------
    client : Client
    pace : Pace
    """

    def __init__(self, client: Client, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._lock = threading.Lock()
        self._writer: Any = None

    def attach(self, run_id: str, files: Mapping[str, bytes], deadline: Deadline) -> None:
        """Log the files as the Artifact `dqi-<run id>`, and link it to the run."""
        self._pace.wait(REQUESTS_AN_ARTIFACT)
        with self._lock:
            if self._writer is None:
                self._writer = deadline.call(self._started)
            writer = self._writer
        artifact = deadline.call(lambda: self._logged(writer, run_id, files))
        run = self._client.run(run_id)
        deadline.call(lambda: run.log_artifact(artifact, aliases=[ALIAS]))

    def remove(self, run_id: str, deadline: Deadline) -> None:
        """Delete the Artifact of a run, all its versions, and with it the link."""
        self._pace.wait(2)
        run = self._client.run(run_id)
        linked: list[Any] = deadline.call(lambda: list(run.logged_artifacts()))
        ours = [
            each for each in linked if each.type == TYPE and _collection(each) == name_of(run_id)
        ]
        if ours:
            self._pace.wait(2)
            deadline.call(lambda: ours[0].collection.delete())

    def finish(self, deadline: Deadline) -> None:
        """End the run that logs, if it was started."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            deadline.call(writer.finish)

    def _started(self) -> Any:
        wandb = self._client.wandb
        return wandb.init(
            entity=self._client.entity,
            project=self._client.project,
            id=WRITER,
            name=WRITER,
            job_type=WRITER,
            resume="allow",
            mode="online",
            # a run that this process trains stays the current one
            reinit="create_new",
            dir=self._client.folder,
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def _logged(self, writer: Any, run_id: str, files: Mapping[str, bytes]) -> Any:
        wandb = self._client.wandb
        # the run's id in name and metadata: artifacts of one content would become one
        artifact = wandb.Artifact(name_of(run_id), type=TYPE, metadata={"run": run_id})
        with TemporaryDirectory(dir=self._client.folder) as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            artifact.add_dir(folder)
            writer.log_artifact(artifact)
            artifact.wait()
        if artifact.is_draft():
            raise TransientTrackerError(
                "W&B did not finish the Artifact", fix="run this again", run=run_id
            )
        return artifact


def name_of(run_id: str) -> str:
    """Return the name of a run's Artifact: of characters that W&B takes, and unique."""
    name = f"{TYPE}-{run_id}"
    if len(name) <= _LONGEST_NAME and not _FORBIDDEN.search(name):
        return name
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return f"{_FORBIDDEN.sub('-', name)[: _LONGEST_NAME - 13]}-{digest}"


def _collection(artifact: Any) -> str:
    return str(artifact.source_name).partition(":")[0]
