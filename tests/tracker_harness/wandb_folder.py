"""A folder of offline runs, each made by the real client."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from dqi_tracking.names import FOLDER, OWN_FILES
from tests.tracker_harness.base import Harness, Points, rows_of
from tests.wandb_server.client import wait_for, wandb


class WandbFolderHarness(Harness):
    cannot = {  # noqa: RUF012
        "negative steps": "W&B counts steps from 0",
        "duplicate steps": "the client keeps one row a step",
        "running": "a file does not tell a run that goes on from one that was cut short",
    }

    metric_column = "summary.{}"
    param_column = "config.{}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "wandb"
        self._folder.mkdir()
        self._made = folder / "made"
        self._metrics: dict[str, dict[str, Points]] = {}
        self._told: dict[str, tuple[str, int, dict[str, str]]] = {}
        self.address = str(self._folder)

    def add(
        self,
        name: str,
        metrics: Mapping[str, Points],
        *,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
    ) -> str:
        run = f"id{len(self._metrics)}"
        self._metrics[run] = {key: list(points) for key, points in metrics.items()}
        self._told[run] = name, int(status == "FAILED"), dict(params or {})
        place = self._path(run).parent
        (place / FOLDER).mkdir(parents=True)
        (place / FOLDER / "notes.txt").write_text("of a person")
        (place / "files").mkdir()
        (place / "files" / "config.yaml").write_text("lr: 0.1")
        shutil.copyfile(self._logged(run), self._path(run))
        return run

    def extend(self, run: str, key: str, points: Points) -> None:
        """Log the run again with more points: a client that was ended cannot go on with a file."""
        self._metrics[run][key] = [*self._metrics[run][key], *points]
        shutil.copyfile(self._logged(run), self._path(run))

    def delete(self, run: str) -> None:
        shutil.rmtree(self._path(run).parent)

    def owned(self, run: str) -> object:
        return {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self._everything(self._path(run).parent)
            if path.name == "notes.txt" or path.parent.name != FOLDER
        }

    def files(self, run: str) -> dict[str, bytes]:
        below = self._everything(self._path(run).parent / FOLDER)
        return {path.name: path.read_bytes() for path in below if path.name in OWN_FILES}

    def writes(self) -> object:
        return {path: path.stat().st_mtime_ns for path in self._everything(self._folder)}

    def _path(self, run: str) -> Path:
        return self._folder / f"offline-run-20260101_000000-{run}" / f"run-{run}.wandb"

    def _logged(self, run: str) -> Path:
        shutil.rmtree(self._made, ignore_errors=True)
        self._made.mkdir(parents=True)
        name, exit_code, params = self._told[run]
        logged = wandb.init(
            mode="offline", dir=str(self._made), id=run, name=name, project="p", config=params
        )
        for row in rows_of(self._metrics[run]):
            step = row.pop("_step")
            logged.log(row, step=step)
        logged.finish(exit_code=exit_code)
        (log,) = self._made.glob("wandb/offline-run-*/run-*.wandb")
        # the client comes back before the end of the file is written
        told = log.parent / "logs" / "debug-internal.log"
        wait_for(lambda: "stream: all finished" in told.read_text())
        return log

    def _everything(self, folder: Path) -> list[Path]:
        return [path for path in folder.rglob("*") if path.is_file()]
