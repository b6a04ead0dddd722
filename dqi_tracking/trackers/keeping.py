"""Keeping a tracker's saved view where nobody asked for it, and so without a word of complaint."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dqi_tracking.errors import DQIError

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker, View

_log = logging.getLogger("dqi_tracking")


def kept_view(tracker: Tracker) -> View | None:
    """Return the saved view, the plain one where it was refused, None where there is no such view.

    Parameters
    ----------
    tracker : Tracker
        Its runs were listed.
    """
    if not tracker.keeps_view:
        return None
    try:
        return tracker.save_view()
    except DQIError as error:
        _log.info("no saved view: %s", error.message)
        return tracker.view()
