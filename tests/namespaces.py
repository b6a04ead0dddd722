"""`dqi` in namespaces of its own, where a disk can be full or read-only for real, also for root."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
"""Mounts are seen by nobody else, and go with the process."""
OWNER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""The owner of root's files, without root's right to pass over their modes."""


class Said(NamedTuple):
    """What a command said: exit code, lines of JSON on stdout, stderr."""

    code: int
    rows: list[dict[str, object]]
    stderr: str


class Namespaced:
    """A process in namespaces, running one `dqi` command after the other.

    One process for many commands, because importing MLflow takes seconds.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def dqi(self, *arguments: str, after: str = ":") -> Said:
        """Run a command, after a script of the shell that prepares the namespace."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([after, arguments]) + "\n")
        self._process.stdin.flush()
        code, out, err = json.loads(self._process.stdout.readline())
        return Said(code, [json.loads(line) for line in out.splitlines()], err)


@contextlib.contextmanager
def namespaced(unshare: tuple[str, ...]) -> Iterator[Namespaced]:
    """Start a process in namespaces of its own, and end it."""
    command = [*unshare, sys.executable, "-m", "tests.namespaces"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        yield Namespaced(process)


def allowed() -> bool:
    """Tell whether this machine lets us make namespaces and mount in them."""
    tried = ["sh", "-c", "mount -t tmpfs none /mnt"]
    done = subprocess.run([*MOUNTS, *tried], capture_output=True, check=False)
    return done.returncode == 0


def _serve() -> None:
    from dqi_tracking.cli import main

    for line in sys.stdin:
        after, arguments = json.loads(line)
        subprocess.run(["sh", "-euc", after], check=True, stdin=subprocess.DEVNULL)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        sys.stdout.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
