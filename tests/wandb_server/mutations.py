"""Writing runs: making and changing them, their files, deleting them."""

from __future__ import annotations

import json
from typing import Any

from tests.wandb_server.artifact_mutations import ArtifactMutations
from tests.wandb_server.queries import ProjectView, Queries
from tests.wandb_server.run_view import RunView
from tests.wandb_server.store import Refused, Run, RunFile, opaque
from tests.wandb_server.views import ViewMutations

TEXT = {
    "display_name": "display_name",
    "description": "description",
    "notes": "notes",
    "commit": "commit",
    "job_type": "job_type",
    "group_name": "group",
    "state": "state",
}


def change(run: Run, values: dict[str, Any]) -> None:
    """Write what an `upsertBucket` gives; what it leaves out stays, summaries are replaced."""
    for name, attribute in TEXT.items():
        if values.get(name) is not None:
            setattr(run, attribute, values[name])
    if values.get("tags") is not None:
        run.tags = list(values["tags"])
    if values.get("config") is not None:
        run.config = json.loads(values["config"])
    if values.get("summary_metrics") is not None:
        run.summary = json.loads(values["summary_metrics"])


class Root(ArtifactMutations, ViewMutations, Queries):
    """The fields of `Query` and of `Mutation`: the root of every request."""

    def upsert_model(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        store = self._context.store
        before = len(store.projects)
        project = store.writable(input.get("entity_name"), input["name"], create=True)
        view = ProjectView(self._context, project)
        return {"project": view, "model": view, "inserted": len(store.projects) > before}

    def upsert_bucket(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        store = self._context.store
        if input.get("id"):
            # Named by its storage id a run is edited: neither its state nor its heartbeat moves.
            run, inserted = store.run_by_id(input["id"]), False
        elif input.get("name"):
            project = store.writable(input.get("entity_name"), input.get("model_name"), create=True)
            run, inserted = store.run(project, input["name"], create=True)
            run.state, run.heartbeat_at = "running", store.now()
            run.display_name = run.display_name or run.name
        else:
            raise Refused("upsertBucket needs an id or a name")
        change(run, input)
        return {"bucket": RunView(self._context, run), "inserted": inserted}

    def delete_run(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        store = self._context.store
        run = store.run_by_id(input["id"])
        if input.get("delete_artifacts"):
            for artifact in [a for a in store.artifacts.values() if a.id in run.artifacts]:
                self.drop(artifact)
        store.delete_run(run)
        return {"client_mutation_id": None}

    def _run(self, values: dict[str, Any]) -> Run:
        store = self._context.store
        project = store.writable(values["entity_name"], values["project_name"])
        return store.run(project, values["run_name"])[0]

    def create_run_files(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        run, blobs = self._run(input), self._context.blobs
        files = []
        for name in input["files"]:
            file = run.files.setdefault(name, RunFile(name, opaque("File", run.id, name)))
            key = blobs.new_key(name)
            self._context.uploads[key] = file
            files.append({"name": name, "upload_url": blobs.url(key)})
        return {"run_id": run.id, "upload_headers": [], "files": files}

    def mark_run_files_uploaded(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        run = self._run(input)
        for name in input["files"]:
            if name in run.files:
                run.files[name].marked = True
        return {"success": True}

    def delete_files(self, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        wanted, found = set(input["files"]), 0
        for run in self._context.store.all_runs():
            for name in [name for name, file in run.files.items() if file.id in wanted]:
                self._context.blobs.drop(run.files.pop(name).blob)
                found += 1
        return {"success": found == len(wanted)}
