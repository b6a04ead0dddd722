"""The exceptions of the W&B client, sorted into ours.

There are two families, `CommError` and `WandbApiFailedError`, and a few plain ones. The status of
the answer is there for a call that was refused at once; after the last of several tries only the
words are left.
"""

from __future__ import annotations

import re
from functools import partial

from dqi_tracking.errors import (
    AuthError,
    ExperimentNotFound,
    RunNotFound,
    TrackerError,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.trackers.failures import Rejected, causes, sorted_by

_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_REFUSED_STATUS = {401, 403}
_NOT_FOUND = 404
_TOO_MANY = 429
_STATUS = re.compile(r"\b(?:http|error|status(?: code)?):? (\d{3})\b", re.I)
_REFUSED_WORDS = ("permission denied", "unauthorized", "api key", "relogin", "not logged in")
_RUN_WORDS = (
    "could not find run",
    "run not found",
    "history found for run",
    "previously created and deleted",
)
_TRANSIENT_WORDS = {
    "connection refused": "connection refused",
    "connection reset": "connection reset",
    "no such host": "no such host",
    "did not respond in time": "no answer in time",
    "deadline exceeded": "no answer in time",
    "timed out": "no answer in time",
    "timeout": "no answer in time",
    "eof": "the answer was cut off",
    "connection closed": "connection closed",
    "giving up after": "tried in vain several times",
    "service process is not running": "the client's own service ended",
}
"""Words of the client, and ours for them, the most telling first."""
_UNREADABLE_WORDS = ("invalid character", "unexpected end of json", "decode", "unmarshal")
_LONG = 300


def _sorted(
    error: Exception,
    what: str,
    address: str,
    run: str | None,
    rejected: Rejected,
) -> TrackerError:
    chain = list(causes(error))
    text = " ".join(str(link) for link in chain).lower()
    status = _status_of(chain, text)
    said = _first_line(error)
    if status and "message" in said:
        # the client's own text is then an empty message, or the body as it came
        said = f"{address} answered {status}"
    kind, fix, said = (
        _missing(text, status, run, address)
        or _refused(text, status, said)
        or _passing(text, status, address)
        or _other(chain, text, status, said, rejected)
    )
    return kind(f"could not {what}: {said}", fix=fix, run=run)


Told = tuple[type[TrackerError], str, str]


def _missing(text: str, status: int, run: str | None, address: str) -> Told | None:
    if any(words in text for words in _RUN_WORDS) or (status == _NOT_FOUND and run):
        return (
            RunNotFound,
            "check the run's id, and that it was not deleted",
            "there is no such run",
        )
    if "could not find project" in text or status == _NOT_FOUND:
        return (
            ExperimentNotFound,
            "correct wandb:ENTITY/PROJECT, or log in as somebody who may see it",
            f"no project at {address}, or none that you may see",
        )
    return None


def _refused(text: str, status: int, said: str) -> Told | None:
    if status in _REFUSED_STATUS or (not status and any(words in text for words in _REFUSED_WORDS)):
        return (
            AuthError,
            "set WANDB_API_KEY to a key that may do this, or `wandb login` again",
            said,
        )
    return None


def _passing(text: str, status: int, address: str) -> Told | None:
    fix = "check that it is up, then run this again"
    if status in _TRANSIENT_STATUS:
        if status == _TOO_MANY:
            fix = "run this again with --max-requests-per-minute, or later"
        return TransientTrackerError, fix, f"{address} answered {status} again and again"
    if status or any(words in text for words in _UNREADABLE_WORDS):
        return None
    why = next((ours for words, ours in _TRANSIENT_WORDS.items() if words in text), "")
    return (TransientTrackerError, fix, f"{why} ({address})") if why else None


def _other(
    chain: list[BaseException],
    text: str,
    status: int,
    said: str,
    rejected: Rejected,
) -> Told:
    if status:
        return *rejected, said
    if any(words in text for words in _UNREADABLE_WORDS):
        fix = "check that WANDB_BASE_URL is the W&B server itself, then run this again"
        return rejected[0], fix, said
    if any(isinstance(link, OSError) and link.errno is not None for link in chain):
        return WriteRejected, "free space on the disk that holds temporary files", said
    return TrackerError, "run `dqi doctor` on the same address, then this again", said


def _status_of(chain: list[BaseException], text: str) -> int:
    for link in chain:
        status = getattr(getattr(link, "response", None), "http_status", 0)
        if isinstance(status, int) and status:
            return status
    told = _STATUS.search(text)
    return int(told[1]) if told else 0


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:_LONG] if lines else type(error).__name__


translated = partial(sorted_by, _sorted)
"""Turns whatever the W&B client raises inside into one of our errors; see `sorted_by`."""
