"""MLflow's exceptions, sorted into ours.

MLflow wraps whatever happened below it, often by text alone; the chain of causes and the words
are all there is to go by.
"""

from __future__ import annotations

import errno
import re
from functools import partial

from dqi_tracking.errors import (
    AuthError,
    RunNotFound,
    TrackerError,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.trackers.failures import Rejected, causes, sorted_by

_REFUSED_CODES = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_REFUSED_STATUS = {401, 403}
_TRANSIENT_CODES = {
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
}
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_TRANSIENT_WORDS = (
    "connection refused",
    "connection aborted",
    "connection broken",
    "connection reset",
    "connection to server",
    "timed out",
    "timeout",
    "database is locked",
    "server closed the connection",
    "terminating connection",
    "name or service not known",
    "max retries exceeded",
)
_DISK_WORDS = ("disk is full", "no space left", "disk quota")
_INSUFFICIENT_STORAGE = 507
_UNREADABLE_WORDS = ("not in a valid json format", "failed to parse")
_READ_ONLY_WORDS = ("readonly database", "read-only file system", "read-only transaction")
_UNSERVED_WORDS = ("scheme", "tracking uri must be")
_DELETED_WORDS = (
    "must be in the 'active' state",
    "must be in 'active' state",
    "must be in 'active' lifecycle_stage",
)

_REPEATED_STATUS = re.compile(r"too many (\d{3}) error responses")


def _sorted(
    error: Exception,
    what: str,
    address: str,
    run: str | None,
    rejected: Rejected,
) -> TrackerError:
    chain = list(causes(error))
    text = " ".join(str(link) for link in chain).lower()
    code = str(getattr(error, "error_code", ""))
    status = next((s for link in chain if (s := _status(link))), 0)
    said = f"could not {what}: {_first_line(error)}"
    kind: type[TrackerError]
    if refused := _storage(chain, text, status):
        kind, fix = refused
    elif code in _REFUSED_CODES or status in _REFUSED_STATUS:
        kind, fix = (
            AuthError,
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    elif code == "RESOURCE_DOES_NOT_EXIST" and run is not None:
        kind, fix = RunNotFound, "check the run's id, and that it was not deleted"
    elif any(words in text for words in _DELETED_WORDS):
        kind, fix = RunNotFound, "the run was deleted: `mlflow runs restore` it, or leave it out"
    elif code == "INVALID_PARAMETER_VALUE":
        kind, fix = rejected
    elif repeated := _REPEATED_STATUS.search(text):
        said = f"could not {what}: {address} answered {repeated[1]} again and again"
        kind, fix = TransientTrackerError, "look into the server's log, then run this again"
    elif why := next((words for words in _TRANSIENT_WORDS if words in text), ""):
        # the client's own text is a paragraph; what matters is its last cause
        said = f"could not {what}: {address} does not answer ({why})"
        kind, fix = TransientTrackerError, "check that it is up, then run this again"
    elif code in _TRANSIENT_CODES or status in _TRANSIENT_STATUS:
        kind, fix = TransientTrackerError, f"check that {address} is up, then run this again"
    elif any(words in text for words in _UNREADABLE_WORDS):
        kind = rejected[0]
        fix = f"check that {address} is the MLflow server itself, then run this again"
    else:
        kind, fix = TrackerError, "run `dqi doctor`, then this again"
    return kind(said, fix=fix, run=run)


def _storage(
    chain: list[BaseException], text: str, status: int
) -> tuple[type[TrackerError], str] | None:
    if (
        _no_space(chain)
        or status == _INSUFFICIENT_STORAGE
        or any(words in text for words in _DISK_WORDS)
    ):
        return WriteRejected, "free space on the disk that holds the store or its artifacts"
    if any(words in text for words in _READ_ONLY_WORDS) or _not_permitted(chain):
        return WriteRejected, "get write access to the store and its artifact folder"
    if "mlflow-artifacts" in text and any(words in text for words in _UNSERVED_WORDS):
        return (
            WriteRejected,
            "artifacts of this experiment go through its server: use the server's http address, "
            "or --no-artifact",
        )
    return None


def _status(link: BaseException) -> int:
    response = getattr(link, "response", None)
    status = getattr(response, "status_code", 0)
    return status if isinstance(status, int) else 0


def _no_space(chain: list[BaseException]) -> bool:
    return any(getattr(link, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for link in chain)


def _not_permitted(chain: list[BaseException]) -> bool:
    return any(isinstance(link, PermissionError) for link in chain) or any(
        getattr(link, "errno", None) == errno.EROFS for link in chain
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    # SQLAlchemy's note on where it wrote comes before what happened
    told = (line for line in lines if not line.startswith("(raised as a result of"))
    return next(told, type(error).__name__)


translated = partial(sorted_by, _sorted)
"""Turns whatever MLflow raises inside into one of our errors; see `sorted_by`."""
