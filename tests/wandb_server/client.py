"""What the server's tests share: the real client, and short ways to ask it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import pytest

wandb = pytest.importorskip("wandb")
from wandb.errors import AuthenticationError, CommError  # noqa: E402
from wandb.sdk.lib.service.service_connection import WandbApiFailedError  # noqa: E402

__all__ = [
    "PATH",
    "SERVED",
    "AuthenticationError",
    "CommError",
    "P",
    "WandbApiFailedError",
    "losses",
    "names",
    "scan",
    "wait_for",
    "wandb",
]

# One worker runs all of them, with one server and one service process.
SERVED = [pytest.mark.usefixtures("wandb_env"), pytest.mark.xdist_group("wandb")]
P = "p"
PATH = f"team/{P}"


def wait_for(done: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so, and fail where it does not come."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.02)


def names(runs: Iterable[wandb.apis.public.Run]) -> list[str]:
    """Return the ids of a listing, which asks for its pages."""
    return [run.id for run in runs]


def scan(run: wandb.apis.public.Run, *keys: str, page: int = 1_000_000) -> list[dict]:
    """Return a run's history from the server, not from the client's cache."""
    return list(run.scan_history(keys=list(keys) or None, page_size=page, use_cache=False))


def losses(count: int, spread: int = 1) -> list[dict]:
    """Return the history of a run whose loss falls, with steps `spread` apart."""
    return [{"_step": i * spread, "loss": 1 / (i + 1)} for i in range(count)]
