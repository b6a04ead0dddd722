"""What tests put into the server and look up in it, without a client and without a request."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.wandb_server.blobs import Blobs
from tests.wandb_server.history import step_of
from tests.wandb_server.store import (
    Artifact,
    Project,
    Row,
    Run,
    RunFile,
    SavedView,
    Store,
    opaque,
)


class Seeding:
    """The server's store, for tests; `entity` is the team whose projects they are."""

    entity: str
    store: Store
    blobs: Blobs
    uploads: dict[str, RunFile]

    def add_project(
        self, name: str, *, entity: str | None = None, private: bool = False
    ) -> Project:
        """Make a project; of an entity that is not the key's it is read-only, or hidden."""
        with self.store.lock:
            return self.store.add_project(entity or self.entity, name, private=private)

    def add_run(
        self,
        project: str,
        run_id: str,
        *,
        history: Iterable[Row] = (),
        state: str = "finished",
        summary: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        created_at: datetime | None = None,
        entity: str | None = None,
        exported: int | bool = 0,
        history_keys_null: bool = False,
        line_count: int | None = None,
    ) -> None:
        """Put a run in; rows without `_step` are counted through.

        `exported` rows (True: all) are in parquet; `line_count` claims a number of rows;
        without a `summary` it is the last value of each key.
        """
        rows = [{"_step": index, **row} for index, row in enumerate(history)]
        last = {key: value for row in sorted(rows, key=step_of) for key, value in row.items()}
        with self.store.lock:
            made = created_at or self.store.seed_time()
            home = self.store.add_project(entity or self.entity, project)
            home.runs[run_id] = Run(
                home,
                run_id,
                made,
                made,
                display_name=name or run_id,
                state=state,
                config={key: {"value": value} for key, value in (config or {}).items()},
                summary=copy.deepcopy(dict(last if summary is None else summary)),
                tags=list(tags),
                notes=notes,
                group=group,
                job_type=job_type,
                history=rows,
                exported=len(rows) if exported is True else int(exported),
                line_count=line_count,
                history_keys_null=history_keys_null,
            )

    def add_file(
        self, project: str, run_id: str, name: str, data: bytes, *, entity: str | None = None
    ) -> None:
        """Put a file into a run."""
        with self.store.lock:
            run = self.live(project, run_id, entity=entity)
            key = self.blobs.new_key(name)
            self.blobs.put(key, data)
            run.files[name] = RunFile(name, opaque("File", run.id, name), key, True, run.created_at)

    def live(self, project: str, run_id: str, *, entity: str | None = None) -> Run:
        """Return the run itself: what is changed in it, the client sees."""
        return self.store.projects[entity or self.entity, project].runs[run_id]

    def run(self, project: str, run_id: str, *, entity: str | None = None) -> Run:
        """Return a copy of a run as it is now, without its project; KeyError where it is not."""
        with self.store.lock:
            run = copy.copy(self.live(project, run_id, entity=entity))
            run.history, run.events = list(run.history), list(run.events)
            for name in ("config", "summary", "tags", "artifacts", "used_artifacts", "log"):
                setattr(run, name, copy.deepcopy(getattr(run, name)))
            run.files = {name: copy.copy(file) for name, file in run.files.items()}
            return run

    def runs(self, project: str, *, entity: str | None = None) -> list[str]:
        """Return the names of a project's runs."""
        with self.store.lock:
            found = self.store.projects.get((entity or self.entity, project))
            return sorted(found.runs) if found else []

    def file(self, project: str, run_id: str, name: str) -> bytes | None:
        """Return what a run's file holds, or None where it is not uploaded."""
        found = self.run(project, run_id).files.get(name)
        return self.blobs.get(found.blob) if found else None

    def artifacts(self, project: str, run_id: str | None = None) -> list[Artifact]:
        """Return the committed artifacts of a project, or those that a run logged or links."""
        with self.store.lock:
            known = [
                artifact
                for collection in self.store.projects[self.entity, project].collections.values()
                for artifact in collection.versions
                if artifact.state == "COMMITTED"
            ]
            if run_id is None:
                return known
            wanted = self.live(project, run_id).artifacts
            return [artifact for artifact in known if artifact.id in wanted]

    def aliases(self, artifact: Artifact) -> list[str]:
        """Return the aliases that point at an artifact."""
        found = artifact.collection.aliases.items()
        return sorted(alias for alias, version in found if version is artifact)

    def delete_run(self, project: str, run_id: str) -> None:
        """Delete a run, as somebody else does."""
        with self.store.lock:
            self.store.delete_run(self.live(project, run_id))

    def add_view(self, project: str, name: str, spec: str = "{}", **given: str) -> SavedView:
        """Save a view, as somebody else does."""
        with self.store.lock:
            view_id = opaque("View", self.store.number())
            view = SavedView(view_id, name, "project-view", self.store.seed_time(), spec=spec)
            for attribute, value in given.items():
                setattr(view, attribute, value)
            self.store.projects[self.entity, project].views[view.id] = view
            return view

    def views(self, project: str, *, entity: str | None = None) -> list[SavedView]:
        """Return copies of a project's saved views, the first made first."""
        with self.store.lock:
            found = self.store.projects[entity or self.entity, project].views
            return [copy.copy(view) for view in found.values()]
