"""`dqi report`: many runs on one page that needs nothing but itself."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from dqi_tracking.report.experiment import EXAMPLES, Experiment, Linked, column
from dqi_tracking.report.geometry import Trace, positions, svg_path, ticks
from dqi_tracking.report.histograms import bars, cells, histogram
from dqi_tracking.report.interactive import plot_data, scripts_for
from dqi_tracking.report.meaning import MEANS, STATUSES
from dqi_tracking.report.printable import printable
from dqi_tracking.report.small_curve import SMALL_HEIGHT, SMALL_WIDTH, small_curve
from dqi_tracking.report.summaries import QUANTILES, groups, share, spreads, weaknesses
from dqi_tracking.report.templates import template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.types import Duplicates, FloatArray

WHAT_IT_IS = (
    "DQI (Data Quality Index) describes the shape of a run's loss curve by one number in [0, 1]. "
    "Compare runs of the same workload, logged at the same interval, and no others; higher does "
    "not mean better."
)
WIDTH, HEIGHT = 2000, 1000
SQUARE = 1000
"""Units of the drawings; they are stretched to the page."""
MOST_DOTS = 2_000
"""Runs up to which each one is a dot; beyond, shades say how many there are."""
MOST_GROUPS = 30
MOST_REASONS = 50
LIMIT = 200
"""Characters of a name or reason; longer ones are cut."""


def overview_html(
    experiment: Experiment, *, scripts: bool | None = None, duplicates: Duplicates = "last"
) -> str:
    """Return the page over many runs.

    For light and dark, screen and paper. It makes no request; what it may run is named by hash.

    Parameters
    ----------
    experiment : Experiment
        Its names and facts are data: they are escaped and lose their control characters.
    scripts : bool, optional
        Whether plotly makes the plots interactive; where it is installed if left out. The page
        is whole without: browsers that run no scripts show drawings.
    duplicates : str
        As in `dqi_tracking.score`, for the small curves.

    Returns
    -------
    str
        HTML. Of 10,000 runs some 100 kB without scripts, 5 MB at most with them.

    Raises
    ------
    ConfigError
        When scripts are asked for and plotly is not installed.
    """
    loaded = scripts_for(scripts)
    numbered = [run for run in experiment.scored if not math.isnan(run.metric("dqi"))]
    early, late = column(numbered, "dqi_early"), column(numbered, "dqi_late")
    high = _high(early, late)
    found_groups = groups(numbered)
    unscored = experiment.unscored
    return template("overview.html.jinja").render(
        experiment=experiment,
        what_it_is=WHAT_IT_IS,
        numbered=len(numbered),
        histogram=_histogram(column(numbered, "dqi")) if numbered else None,
        quantiles=[_percentile(at) for at in QUANTILES],
        spreads=spreads(numbered),
        phases=_phases(early, late, high) if numbered else None,
        groups=found_groups[:MOST_GROUPS] if len(found_groups) > 1 else [],
        groups_high=max((group.quartiles[2] for group in found_groups), default=0.0) or 1.0,
        more_groups=max(0, len(found_groups) - MOST_GROUPS),
        weaknesses=weaknesses(numbered),
        of_weakness=max(1, sum(run.fact("status") == "ok" for run in numbered)),
        meanings=MEANS,
        lists=_lists(experiment, duplicates),
        statuses=_statuses(experiment.scored),
        unscored=unscored[:MOST_REASONS],
        more_reasons=max(0, len(unscored) - MOST_REASONS),
        notes=_notes(experiment.scored),
        scripts=loaded,
        script=Markup(loaded.page if loaded else ""),  # noqa: S704 - of this package
        data=plot_data(numbered, high) if loaded and numbered else None,
        small=(SMALL_WIDTH, SMALL_HEIGHT),
        share=share,
        percent=_percent,
        text=_text,
        link=_link,
    )


def _percent(position: float) -> str:
    return f"{100 * position:.4g}%"


def _percentile(at: float) -> str:
    return {0.0: "lowest", 0.5: "median", 1.0: "highest"}.get(at, f"{100 * at:g} %")


def _text(text: str) -> str:
    return printable(text, limit=LIMIT)


def _link(url: str) -> str:
    """Return a page of the web, and nothing that a browser could take for a script."""
    return url if url.startswith(("http://", "https://")) else ""


def _high(early: FloatArray, late: FloatArray) -> float:
    """Return the upper end of both axes: the ends of the bins are round."""
    return float(histogram(np.concatenate((early, late))).edges[-1])


def _histogram(values: FloatArray) -> dict[str, object]:
    found = histogram(values)
    low, high = float(found.edges[0]), float(found.edges[-1])
    most = int(found.counts.max())
    count_ticks = ticks(0.0, float(most), count=min(4, most))
    median = float(np.median(values))
    return {
        "path": bars(found, WIDTH, HEIGHT),
        "box": (WIDTH, HEIGHT),
        "y": count_ticks,
        "x": ticks(low, high, count=5),
        "left": 2 + max(len(tick.label) for tick in count_ticks),
        "median": (median - low) / (high - low),
        "description": f"{values.size:,} runs from {share(float(values.min()))} to "
        f"{share(float(values.max()))}, half of them up to {share(median)}.",
    }


def _phases(early: FloatArray, late: FloatArray, high: float) -> dict[str, object]:
    told = np.isfinite(early) & np.isfinite(late)
    early, late = early[told], late[told]
    axis = ticks(0.0, high, count=4)
    dots = early.size <= MOST_DOTS
    x, y = positions(early, 0.0, high), positions(late, 0.0, high)
    each = Trace(x, y, np.ones(x.size, dtype=np.bool_))
    return {
        "dots": svg_path(each, SQUARE, SQUARE) if dots else "",
        "cells": [] if dots else cells(early, late, high, SQUARE),
        "box": (SQUARE, SQUARE),
        "ticks": axis,
        "description": "One dot a run."
        if dots
        else "The stronger the colour, the more runs are there.",
        "left": 2 + max(len(tick.label) for tick in axis),
        "runs": early.size,
        "above": int((early > late).sum()),
        "below": int((early < late).sum()),
    }


def _lists(experiment: Experiment, duplicates: Duplicates) -> list[dict[str, object]]:
    if not experiment.lowest:
        titled = {"Runs by DQI": experiment.highest}
    else:
        titled = {
            f"Highest DQI ({len(experiment.highest)} runs)": experiment.highest,
            f"Lowest DQI ({len(experiment.lowest)} runs)": experiment.lowest,
        }
    return [
        {"title": title, "rows": [small_curve(drawn, duplicates) for drawn in runs]}
        for title, runs in titled.items()
        if runs
    ]


def _statuses(scored: Sequence[Linked]) -> list[dict[str, object]]:
    """Return the statuses that scores have, with examples of all but `ok`; most frequent first."""
    by_status: dict[str, list[Linked]] = {}
    for run in scored:
        by_status.setdefault(run.fact("status"), []).append(run)
    meanings = {str(status): meaning for status, meaning in STATUSES.items()}
    found = sorted(by_status.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "name": "" if status == "ok" else _text(status.replace("_", " ")) or "no status",
            "runs": len(runs),
            "meaning": meanings.get(status, ""),
            "examples": [] if status == "ok" else runs[:EXAMPLES],
        }
        for status, runs in found[:MOST_REASONS]
    ]


def _notes(scored: Sequence[Linked]) -> list[str]:
    """Return what makes scores on this page hard to compare."""
    notes: list[str] = []
    versions = sorted({run.fact("version") for run in scored})
    if len(versions) > 1:
        told = ", ".join(_text(version) for version in versions[:9])
        notes.append(
            f"Scores of different engine versions stand here ({told}): `dqi backfill` brings them "
            "to one."
        )
    signals = Counter(run.fact("signal") for run in scored if run.fact("signal"))
    if len(signals) > 1:
        told = ", ".join(f"{_text(name)} ({runs:,})" for name, runs in signals.most_common(5))
        notes.append(f"The scores were read from different metrics: {told}.")
    return notes
