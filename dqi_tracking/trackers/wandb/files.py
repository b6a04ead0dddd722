"""Files on a run, several in one go.

`Run.upload_file` takes one file and sends four requests for it. The same messages of the client
take a list, so two files cost four requests instead of eight.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import WriteRejected
from dqi_tracking.names import FOLDER, OWN_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.trackers.limits import Deadline, Pace
    from dqi_tracking.trackers.wandb.client import Client

_CREATE = """
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
    createRunFiles(input: {
        entityName: $entity, projectName: $project, runName: $run, files: $files
    }) {
        runID
        uploadHeaders
        files { name uploadUrl }
    }
}
"""


def attach(
    client: Client, pace: Pace, deadline: Deadline, run_id: str, files: Mapping[str, bytes]
) -> None:
    """Put files on a run, below `dqi/`, in two requests and one for each file.

    Parameters
    ----------
    client : Client
    pace : Pace
    deadline : Deadline
    run_id : str
    files : mapping of str to bytes
        Contents by name.

    Raises
    ------
    WriteRejected
        When W&B takes no files for the run.
    """
    names = {f"{FOLDER}/{name}": content for name, content in files.items()}
    pace.wait(2 + len(names))
    created = deadline.call(lambda: _create(client, run_id, list(names)))
    with tempfile.TemporaryDirectory(dir=client.folder) as folder:
        for position, target in enumerate(created["files"]):
            path = Path(folder, str(position))
            path.write_bytes(names[target["name"]])
            deadline.call(
                lambda path=path, target=target: _send(
                    client, path, target["uploadUrl"], created["uploadHeaders"]
                )
            )
    deadline.call(lambda: _mark(client, run_id, list(names)))


def detach(client: Client, pace: Pace, deadline: Deadline, run_id: str) -> None:
    """Delete the files that `attach` put on a run, in two requests and one for each file."""
    pace.wait(2)
    names = [f"{FOLDER}/{name}" for name in OWN_FILES]

    def listed() -> list[Any]:
        # deleting needs to know the project as a listing tells it
        runs = client.runs({"name": run_id}, per_page=1)
        # servers tell of files that are not there as well, without size
        return [file for run in runs for file in run.files(names=names) if file.size]

    for file in deadline.call(listed):
        pace.wait(1)
        deadline.call(file.delete)


def _create(client: Client, run_id: str, names: list[str]) -> Any:
    variables = {
        "entity": client.entity,
        "project": client.project,
        "run": run_id,
        "files": names,
    }
    created = client.service.execute_graphql(_CREATE, variables)["createRunFiles"]
    if not created["runID"]:
        raise WriteRejected(
            "W&B takes no files for the run", fix="check that you may write to it", run=run_id
        )
    return created


def _send(client: Client, path: Path, url: str, headers: list[str]) -> None:
    messages = client.messages
    upload = messages.UploadFileRequest(
        url=f"{client.service.base_url}{url}" if url.startswith("/") else url,
        path=str(path),
        headers=dict(header.split(":", 1) for header in headers),
    )
    client.service.send_api_request(messages.ApiRequest(upload_file_request=upload))


def _mark(client: Client, run_id: str, names: list[str]) -> None:
    """Tell the server that the files are there; older ones have no word for it."""
    if not client.service.feature_enabled("MARK_RUN_FILES_UPLOADED"):
        return
    messages = client.messages
    mark = messages.MarkRunFilesUploadedRequest(
        entity=client.entity, project=client.project, run_id=run_id, files=names
    )
    client.service.send_api_request(messages.ApiRequest(mark_run_files_uploaded_request=mark))
