"""A run as the schema describes it, with its history and files."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.wandb_server import artifact_view, parquet
from tests.wandb_server.context import Context
from tests.wandb_server.history import flat, history_keys, json_text, lookup, page, plain, sampled
from tests.wandb_server.nodes import file_node, project_node
from tests.wandb_server.pages import connection
from tests.wandb_server.store import Run, RunFile, opaque, stamp


class RunView:
    """A run; fields that are computed are methods here, others come from the run itself."""

    graphql_type = "Run"

    def __init__(self, context: Context, run: Run) -> None:
        self._context = context
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    @property
    def id(self) -> str:
        return self._run.id

    @property
    def project_id(self) -> int:
        return self._run.project.internal_id

    @property
    def project(self) -> dict[str, Any]:
        return project_node(self._run.project)

    @property
    def user(self) -> dict[str, Any]:
        user = self._context.store.user
        return {"id": opaque("User", user), "name": user, "username": user}

    @property
    def read_only(self) -> bool:
        return self._run.project.entity not in self._context.store.entities

    @property
    def sweep_name(self) -> None:
        return None

    @property
    def created_at(self) -> str:
        return stamp(self._run.created_at)

    @property
    def heartbeat_at(self) -> str:
        return stamp(self._run.heartbeat_at)

    @property
    def config(self) -> str:
        return json.dumps(plain(self._run.config))

    def wandb_config(self, keys: list[str] | None = None) -> str:
        internal = self._run.config.get("_wandb", {}).get("value", {})
        return json.dumps({key: internal[key] for key in keys or internal if key in internal})

    @property
    def summary_metrics(self) -> str:
        return json_text(self._run.summary, self._context.behaviour.nonfinite)

    @property
    def system_metrics(self) -> str:
        return json.dumps(plain(self._run.events[-1]) if self._run.events else {})

    @property
    def history_keys(self) -> dict[str, Any] | None:
        return history_keys(self._run)

    @property
    def history_line_count(self) -> int:
        run = self._run
        return len(run.history) if run.line_count is None else run.line_count

    @property
    def events_line_count(self) -> int:
        return len(self._run.events)

    @property
    def log_line_count(self) -> int:
        return len(self._run.log)

    @property
    def history_tail(self) -> str:
        return json.dumps([json.dumps(plain(row)) for row in self._run.history[-1:]])

    @property
    def events_tail(self) -> str:
        return json.dumps([json.dumps(plain(row)) for row in self._run.events[-1:]])

    def history(
        self, min_step: int | None = None, max_step: int | None = None, samples: int = 500
    ) -> list[str]:
        behaviour = self._context.behaviour
        rows = page(self._run, min_step, max_step, samples, exact=behaviour.exact_pages)
        return [json_text(row, behaviour.nonfinite) for row in rows]

    def events(self, samples: int = 500) -> list[str]:
        return [json.dumps(plain(row)) for row in self._run.events[:samples]]

    def sampled_history(self, specs: list[str]) -> list[list[dict[str, Any]]]:
        exact = self._context.behaviour.exact_pages
        return [sampled(self._run, json.loads(spec), exact=exact) for spec in specs]

    def parquet_history(self, live_keys: list[str]) -> dict[str, Any]:
        run, blobs = self._run, self._context.blobs
        urls = []
        if run.exported:
            key = f"exports/{run.project.entity}/{run.project.name}/{run.name}/{run.exported}"
            if blobs.get(key) is None:
                rows = run.history[: run.exported]
                struct = self._context.behaviour.parquet_nested == "struct"
                blobs.put(key, parquet.write(rows if struct else [flat(row) for row in rows]))
            urls.append(blobs.url(key))
        live = [
            {key: plain(lookup(row, key)) for key in live_keys}
            for row in run.history[run.exported :]
            if all(isinstance(lookup(row, key), int | float | str) for key in live_keys)
        ]
        return {"parquet_urls": urls, "live_data": live}

    @property
    def file_count(self) -> int:
        return sum(file.blob is not None for file in self._run.files.values())

    def files(
        self,
        names: list[str] | None = None,
        after: str | None = None,
        first: int | None = None,
        pattern: str | None = None,
    ) -> dict[str, Any]:
        known = {name: file for name, file in self._run.files.items() if file.blob}
        if names:
            # A name that is not there has a node too, with size 0 and md5 "0".
            absent = RunFile("", "")
            found = [(name, known.get(name, absent)) for name in names]
        else:
            like = re.escape(pattern or "%").replace("%", ".*").replace("_", ".")
            found = [(n, f) for n, f in sorted(known.items()) if re.fullmatch(like, n)]
        return connection(found, lambda item: self.file(*item), after, first)

    def file(self, name: str, file: RunFile) -> dict[str, Any]:
        return file_node(
            self._context.blobs,
            file.blob or f"absent/{name}",
            id=file.id or opaque("File", self._run.id, name),
            name=name,
            updated_at=stamp(file.updated_at) if file.blob else None,
        )

    def output_artifacts(self, after: str | None = None, first: int | None = None) -> Any:
        return artifact_view.named(self._context, self._run.artifacts, after, first)

    def input_artifacts(self, after: str | None = None, first: int | None = None) -> Any:
        return artifact_view.named(self._context, self._run.used_artifacts, after, first)
