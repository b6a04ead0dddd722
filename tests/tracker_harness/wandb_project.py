"""A project on the loopback W&B server, which the real client reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dqi_tracking.names import FOLDER, OWN_FILES
from dqi_tracking.trackers.summary import KEYS
from tests.tracker_harness.base import Harness, Points, rows_of
from tests.wandb_server.client import PATH, P
from tests.wandb_server.history import plain
from tests.wandb_server.server import WandbServer

FIELDS = (
    "name", "display_name", "state", "created_at", "heartbeat_at", "config", "tags", "notes",
    "description", "group", "job_type", "commit", "events", "log", "exit_code",
)  # fmt: skip
READING = ("query", "SampledHistoryPage")


class WandbHarness(Harness):
    address = f"wandb:{PATH}"
    cannot = {"negative steps": "W&B counts steps from 0"}  # noqa: RUF012

    metric_column = "summary.{}"
    param_column = "config.{}"

    def __init__(self, server: WandbServer) -> None:
        self._server = server

    def add(
        self,
        name: str,
        metrics: Mapping[str, Points],
        *,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
    ) -> str:
        rows = rows_of(metrics)
        last = {key: value for row in rows for key, value in row.items()}
        self._server.add_run(
            P,
            f"id-{name}",
            name=name,
            state=status.lower(),
            history=rows,
            summary=last | {"best": 0.5, "dqi_mine": "yes", "of": {"a": {"person": [1, None]}}},
            config={"lr": 0.1, **(params or {})},
            tags=["mine"],
            notes="by hand",
            group="people",
        )
        self._server.add_file(P, f"id-{name}", f"{FOLDER}/notes.txt", b"of a person")
        run = self._server.live(P, f"id-{name}")
        # a run that goes on gives signs of life
        lived = timedelta(days=9) if status == "RUNNING" else timedelta(seconds=20)
        run.heartbeat_at = run.created_at + lived
        return f"id-{name}"

    def extend(self, run: str, key: str, points: Points) -> None:
        self._server.live(P, run).history += rows_of({key: points})

    def delete(self, run: str) -> None:
        self._server.delete_run(P, run)

    def owned(self, run: str) -> object:
        found = self._server.run(P, run)
        values: dict[str, Any] = {name: getattr(found, name) for name in FIELDS}
        values["history"] = found.history
        # as it is told: NaN and its word are one
        values["summary"] = plain({k: v for k, v in found.summary.items() if k not in KEYS})
        values["files"] = self._files(run, ours=False)
        # NaN is not equal to itself, but its word is
        return {name: repr(value) for name, value in values.items()}

    def files(self, run: str) -> dict[str, bytes]:
        return self._files(run, ours=True)

    def writes(self) -> object:
        return len(self._server.writes)

    def n_histories(self) -> int:
        return self._server.counts[READING]

    def n_requests(self) -> int:
        return sum(self._server.counts.values())

    def filter_for(self, name: str) -> str | None:
        return f'{{"display_name": "{name}"}}'

    def _files(self, run: str, *, ours: bool) -> dict[str, bytes]:
        names = {f"{FOLDER}/{name}": name for name in OWN_FILES}
        return {
            names.get(name, name): content
            for name in self._server.run(P, run).files
            if (name in names) is ours and (content := self._server.file(P, run, name)) is not None
        }
