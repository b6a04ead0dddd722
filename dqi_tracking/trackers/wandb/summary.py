"""The keys of DQI in a run's summary: put there, looked after, taken off.

A write sends the whole summary, so it starts from what stands there at that moment. Whoever else
writes at the same time may do so from an older state and drop our keys: each write therefore also
asks for the run written before it, in the same request, and puts back what is gone.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from dqi_tracking.errors import RunNotFound
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.summary import KEYS, MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dqi_tracking.trackers.limits import Pace
    from dqi_tracking.trackers.wandb.client import Client

Keys = dict[str, float | str]
_SECONDS_TO_LOOK = 30.0


class _Written(NamedTuple):
    run_id: str
    keys: Keys


class SummaryWriter:
    """Writes summaries of a project's runs.

    Parameters
    ----------
    client : Client
    pace : Pace
    """

    def __init__(self, client: Client, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._unverified: list[_Written] = []
        self._lock = threading.Lock()

    def put(self, run_id: str, keys: Keys, deadline: Deadline) -> None:
        """Let a run's summary hold these keys of ours and no others of ours.

        Sends two requests: one reads this run and the one before, one writes.

        Raises
        ------
        RunNotFound
            When there is no such run.
        """
        self._put(run_id, lambda _: keys, deadline)

    def amend(
        self,
        run_id: str,
        mark: str,
        change: Callable[[Mapping[str, Any]], Keys],
        deadline: Deadline,
    ) -> None:
        """Change our keys in a run's summary, as `put`, unless its commit mark is another one.

        Parameters
        ----------
        run_id, mark : str
        change : callable
            Given the summary as it stands, returns the keys of ours that it is to hold.
        deadline : Deadline
        """

        def choose(stands: Mapping[str, Any]) -> Keys | None:
            return change(stands) if stands.get(MARK) == mark else None

        self._put(run_id, choose, deadline)

    def unmark(self, run_id: str, deadline: Deadline) -> None:
        """Take the commit mark out of a run's summary, and nothing else."""
        run = self._read([run_id], deadline).get(run_id)
        if run is None:
            raise _gone(run_id)
        summary = run.summary_metrics
        rest = {key: summary[key] for key in KEYS if key in summary and key != MARK}
        self._write(run, rest, deadline)

    def verify(self, deadline: Deadline) -> None:
        """See to it that the last writes stand."""
        before = self._take_unverified()
        if before:
            self._put_back(before, self._read([run for run, _ in before], deadline), deadline)

    def _put(
        self, run_id: str, choose: Callable[[Mapping[str, Any]], Keys | None], deadline: Deadline
    ) -> None:
        before = self._take_unverified()
        try:
            found = self._read([run_id, *(written.run_id for written in before)], deadline)
        except Exception:
            with self._lock:
                self._unverified.extend(before)
            raise
        if run_id not in found:
            raise _gone(run_id)
        self._put_back(before, found, deadline)
        keys = choose(found[run_id].summary_metrics)
        if keys is None:
            return
        self._write(found[run_id], keys, deadline)
        if keys:
            with self._lock:
                self._unverified.append(_Written(run_id, keys))

    def _take_unverified(self) -> list[_Written]:
        with self._lock:
            taken, self._unverified = self._unverified, []
        return taken

    def _read(self, run_ids: list[str], deadline: Deadline) -> dict[str, Any]:
        self._pace.wait(1)
        wanted = {"name": {"$in": run_ids}} if len(run_ids) > 1 else {"name": run_ids[0]}
        runs = deadline.call(lambda: list(self._client.runs(wanted, per_page=len(run_ids))))
        return {run.id: run for run in runs}

    def _put_back(
        self, written: list[_Written], found: Mapping[str, Any], deadline: Deadline
    ) -> None:
        for run_id, keys in written:
            run = found.get(run_id)
            # what was added since, such as percentiles, is no loss
            if run is not None and not _holds(run, keys):
                # without its keys a run is scored again in the next pass: no error of another run
                with suppress(Exception):
                    self._write(run, keys, deadline)

    def _write(self, run: Any, keys: Keys, deadline: Deadline) -> None:
        if _stands(run, keys):
            return
        self._pace.wait(1)
        try:
            deadline.call(lambda: _send(run, keys))
        except Exception:
            # an answer that got lost, or came too late, says nothing of what was done
            if not self._stands_now(run.id, keys):
                raise

    def _stands_now(self, run_id: str, keys: Keys) -> bool:
        try:
            found = self._read([run_id], Deadline(_SECONDS_TO_LOOK, "look again", run_id))
        except Exception:  # noqa: BLE001 - then the first error stands
            return False
        return run_id in found and _stands(found[run_id], keys)


def _gone(run_id: str) -> RunNotFound:
    return RunNotFound(f"run `{run_id}` is gone", fix="leave it out: it was deleted", run=run_id)


def _holds(run: Any, keys: Keys) -> bool:
    return all(run.summary_metrics.get(key) == value for key, value in keys.items())


def _stands(run: Any, keys: Keys) -> bool:
    summary = run.summary_metrics
    return {key: summary[key] for key in KEYS if key in summary} == keys


def _send(run: Any, keys: Keys) -> None:
    # what the client will send, with our keys in it
    stands = run.summary_metrics
    _put_into_words(stands)
    for key in KEYS:
        stands.pop(key, None)
    run.summary.update(keys)


def _put_into_words(values: Any) -> None:
    """Replace, at any depth, NaN and infinity by the words that W&B itself keeps for them.

    The client would send null for a person's NaN, and what is no JSON for the others.
    """
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in list(items):
        if isinstance(value, dict | list):
            _put_into_words(value)
        elif isinstance(value, float) and not math.isfinite(value):
            values[key] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
