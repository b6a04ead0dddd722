"""The file stream: a training run's history, system metrics, summary, log, and its end."""

from __future__ import annotations

import json
from typing import Any

from tests.wandb_server.store import Run, Store


def splice(lines: list[Any], offset: int, content: list[Any]) -> None:
    """Write lines at an offset, over what a request that is repeated wrote before."""
    lines[offset : offset + len(content)] = content


def apply(store: Store, entity: str, project: str, name: str, body: dict[str, Any]) -> Run:
    """Write a request's lines to its run; any request is a sign of life."""
    run, _ = store.run(store.writable(entity, project), name)
    run.heartbeat_at = store.now()
    if not body.get("complete"):
        run.state = "preempting" if body.get("preempting") else "running"
    for file, chunk in (body.get("files") or {}).items():
        content, offset = chunk["content"], chunk["offset"]
        if file == "wandb-history.jsonl":
            splice(run.history, offset, [json.loads(line) for line in content])
        elif file == "wandb-events.jsonl":
            splice(run.events, offset, [json.loads(line) for line in content])
        elif file == "wandb-summary.json":
            run.summary = json.loads(content[-1])
        else:
            splice(run.log, offset, content)
    for file in body.get("uploaded") or []:
        if file in run.files:
            run.files[file].marked = True
    if body.get("complete"):
        run.exit_code = body.get("exitcode", 0)
        run.state = "failed" if run.exit_code else "finished"
    return run
