"""Offline runs of W&B: made by the real client, and written byte by byte by a writer of our own.

The writer knows nothing of the reader in the package. Its files are compared with the client's.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from wandb.proto.wandb_internal_pb2 import HistoryRecord, Record

BLOCK = 32768
HEADER = b":W&B\xe1\xbe\x00"

_CLIENT = """
import json, math, sys, wandb
import numpy as np

settings = wandb.Settings(
    console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True, silent=True
)
for spec in json.load(sys.stdin):
    code, body = spec.pop("exit_code", 0), spec.pop("body")
    with_console = spec.pop("with_console", False)
    used = wandb.Settings(silent=True) if with_console else settings
    run = wandb.init(mode="offline", dir=sys.argv[1], settings=used, **spec)
    exec(body, {"run": run, "wandb": wandb, "np": np, "math": math})
    run.finish(exit_code=code)
wandb.teardown()
"""


def client_environment(home: Path) -> dict[str, str]:
    """Return the environment of a client that knows of no other run, account or server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return kept | {"HOME": str(home), "WANDB_DIR": str(home)}


def make_runs(folder: Path, *runs: Mapping[str, Any]) -> dict[str, Path]:
    """Let the real client make offline runs, one after the other, in a process of its own.

    Parameters
    ----------
    folder : Path
        Gets a folder `wandb`.
    *runs : mapping
        Parameters of `wandb.init`, and `body`: the script that logs, in which `run`, `wandb`, `np`
        and `math` are known; `exit_code`; `with_console`, for the client's own settings.

    Returns
    -------
    dict of str to Path
        The file of each run by its id, the latest of several.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", _CLIENT, str(folder)],
        input=json.dumps(runs),
        text=True,
        check=True,
        capture_output=True,
        env=client_environment(folder),
        cwd=folder,
        timeout=120,
    )
    return files_by_id(folder)


def files_by_id(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by the id in their name, the latest of several."""
    paths = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    return {path.stem.removeprefix("run-"): path for path in paths}


def client_runs(folder: Path) -> dict[str, Path]:
    """Let the client make one run of each kind, and return the file of each by its id."""
    curve = "for i in range({n}): run.log({row}) "
    row = '{"loss": math.exp(-i / 12) + 0.05 * math.sin(i**2), "lr": 0.1}'
    return make_runs(
        folder,
        {"id": "twice", "name": "first part", "body": curve.format(n=10, row=row)},
        {"id": "plain", "name": "my run", "project": "proj", "body": curve.format(n=60, row=row)},
        {"id": "long", "name": "long", "body": curve.format(n=3000, row=row)},
        {"id": "nested", "name": "nested", "body": _NESTED},
        {"id": "odd", "name": "odd", "body": _ODD},
        {"id": "failed", "name": "failed", "body": "run.log({'loss': 1.0})", "exit_code": 3},
        {"id": "empty", "name": "empty", "body": ""},
        {
            "id": "big",
            "config": {"text": "x" * 100_000, "nested": {"lr": 0.1}},
            "body": f"run.name = 'named later'; run.log({{'loss': {'1' * 70_000}e-69999}})",
            "with_console": True,
        },
        {"id": "twice", "name": "second part", "body": curve.format(n=20, row=row)},
    )


_NESTED = """
for i in range(40):
    run.log({"train": {"loss": 2 / (i + 1), "deep": {"grad_norm": i}}, "val": {"loss": 9}})
"""
_ODD = """
run.log({"loss": 3.0, "train_loss": wandb.Histogram([1, 2, 3])})
run.log({"loss": float("nan"), "train_loss": "low", "flag": True})
run.log({"loss": math.inf})
run.log({"loss": -math.inf})
run.log({"loss": None})
run.log({"loss": np.float32("nan")})
run.log({"table": wandb.Table(columns=["loss"], data=[[1.0]])})
run.log({"loss": np.float64(0.1)}, step=1000)
run.log({"loss": 2}, step=1000)
run.log({"loss": 10**20, "total_loss": [1, 2]}, step=1001)
"""


def killed_run(folder: Path, n_rows: int = 3000) -> Path:
    """Let the client log rows `{"loss": step}` and be killed, and return what it leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    body = f"""
import os
for i in range({n_rows}): run.log({{"loss": i}})
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, str(folder)],
        input=json.dumps([{"id": "killed", "body": body}]),
        text=True,
        check=False,
        # the client's service holds the pipes too: this waits for its end
        capture_output=True,
        env=client_environment(folder),
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == -9, done.stderr
    return files_by_id(folder)["killed"]


class LogWriter:
    """Writes records as LevelDB does, behind W&B's header."""

    def __init__(self, header: bytes = HEADER) -> None:
        self.content = bytearray(header)
        self.ends: list[int] = []
        """Where each record ends."""

    @property
    def room(self) -> int:
        """Bytes left in the block."""
        return BLOCK - len(self.content) % BLOCK

    def add(self, record: bytes) -> None:
        """Write a record, in as many chunks as it needs."""
        begun = False
        while True:
            if self.room < 7:
                self.content += bytes(self.room)
            part = record[: self.room - 7]
            record = record[len(part) :]
            # full 1, first 2, middle 3, last 4
            kind = (3 if begun else 2) if record else (4 if begun else 1)
            self.content += chunk(kind, part)
            begun = True
            if not record:
                break
        self.ends.append(len(self.content))


def chunk(kind: int, data: bytes) -> bytes:
    """Return one chunk with its checksum."""
    return struct.pack("<IHB", crc32(bytes([kind]) + data), len(data), kind) + data


def run_record(run_id: str, name: str = "", project: str = "proj", started: int = 1) -> bytes:
    """Return the record that begins a run; `started` in seconds since the epoch."""
    record = Record(num=2)
    record.run.run_id, record.run.display_name, record.run.project = run_id, name, project
    record.run.start_time.seconds = started
    return record.SerializeToString()


def exit_record(code: int = 0, runtime: int = 0) -> bytes:
    """Return the record that ends a run; `runtime` in seconds."""
    record = Record(num=9)
    record.exit.SetInParent()
    record.exit.exit_code, record.exit.runtime = code, runtime
    return record.SerializeToString()


def history_record(step: int, items: Mapping[str | Sequence[str], str]) -> bytes:
    """Return a row, each value in JSON: under nested keys, as the client of now writes it."""
    record = Record(num=3)
    fill(record.history, step, items)
    return record.SerializeToString()


def old_history_record(step: int, items: Mapping[str, Any]) -> bytes:
    """Return a row as clients up to 0.15 wrote it: plain keys, a dictionary in one item."""
    record = Record(num=3)
    for key, value in {**items, "_step": step}.items():
        record.history.item.add(key=key, value_json=json.dumps(value))
    return record.SerializeToString()


def fill(history: HistoryRecord, step: int, items: Mapping[str | Sequence[str], str]) -> None:
    """Put a row's items and its step into a record."""
    for key, text in {**items, "_step": str(step)}.items():
        path = [key] if isinstance(key, str) else key
        history.item.add(nested_key=path, value_json=text)
    history.step.num = step


def run_of(
    rows: Iterable[Mapping[str | Sequence[str], str]],
    *,
    run_id: str = "made",
    started: int = 1,
    end: bytes | None = exit_record(),
) -> LogWriter:
    """Write a whole run: one row a step from 0 on, each value in JSON."""
    writer = LogWriter()
    writer.add(run_record(run_id, started=started))
    for step, row in enumerate(rows):
        writer.add(history_record(step, row))
    if end is not None:
        writer.add(end)
    return writer


def losses(values: Iterable[float]) -> list[dict[str | Sequence[str], str]]:
    """Return rows of a loss."""
    return [{"loss": json.dumps(value)} for value in values]


def put(folder: Path, content: bytes, run_id: str = "made") -> Path:
    """Write a file as the client names it, in a folder as the client makes it."""
    path = folder / "wandb" / f"offline-run-20260101_000000-{run_id}" / f"run-{run_id}.wandb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
