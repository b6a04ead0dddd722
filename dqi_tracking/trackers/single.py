"""The run that an address is of, where it must be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError, RunNotFound
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef


def single_run(tracker: Tracker, address: str, columns: tuple[str, ...] = ()) -> RunRef:
    """Return the only run of a tracker, whatever its status.

    Parameters
    ----------
    tracker : Tracker
    address : str
        At which it was opened, for the messages.
    columns : tuple of str
        As in `Query`.

    Raises
    ------
    RunNotFound
        When there is none.
    ConfigError
        When there are several.
    """
    only = Query(include_failed=True, include_running=True, limit=2, columns=columns)
    refs = list(tracker.find(only))
    if not refs:
        raise RunNotFound(f"no run at `{address}`", fix="check the address")
    if len(refs) > 1:
        raise ConfigError(
            f"`{address}` holds several runs",
            fix="name one: runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or a folder or file of its "
            "own",
        )
    return refs[0]
