"""One forecast on stdout: in words, as JSON, or as CSV."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows
from dqi_tracking.cli.table import console
from dqi_tracking.insight.forecasting.calibration import shipped
from dqi_tracking.insight.forecasting.verdict import change, number
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dqi_tracking.outlook import Outlook

WORTH = (
    "No promise: on families of public runs left out of the calibration, 90 % intervals held"
    " 75 to 100 % of the time, family by family. Runs of your own that are alike make better ones:"
    " dqi forecast --calibrate ADDRESS --out FILE."
)
OWN_WORTH = (
    "No promise: the intervals hold for runs that are like those they were measured on, if for any."
)
ACTIONS = {"stop": "stopping may pay", "continue": "no reason to stop is seen"}
"""What the advice comes to; nothing is ever stopped."""

WIDEST = 100
_SHORT = 0.25
"""Share of the run so far under which little is gained by most runs, and little can be told."""
_AT_START = 0.9
"""Share of the run so far without a new best from which the metric may be one that rises."""

_COLUMNS = (
    "run",
    "name",
    "group",
    "signal",
    "status",
    "step",
    "horizon",
    "horizon_from",
    "loss_now",
    "loss",
    "level",
    "low",
    "high",
    "low80",
    "high80",
    "low90",
    "high90",
    "gain",
    "gain_low90",
    "gain_high90",
    "gain_per_1000_steps",
    "gain_per_hour",
    "steps_per_hour",
    "saturation_step",
    "verdict",
    "sentence",
    "advice",
    "advice_reason",
    "stalled_steps",
    "steps_left",
    "calibration",
    "calibration_size",
    "n_points",
    "mode",
    "learning_rate",
    "warnings",
    "version",
)


def print_outlook(found: Outlook, form: Format) -> None:
    """Print a forecast on stdout."""
    if form is not Format.TABLE:
        Rows(form, (), _COLUMNS).add(row_of(found))
        return
    for line in lines_of(found):
        paragraph(line)


def paragraph(text: str) -> None:
    """Print a paragraph on stdout, in lines that can be read."""
    from rich.text import Text

    from dqi_tracking.report.glyphs import encodable

    out = console()
    width = min(out.width, WIDEST)
    for line in textwrap.wrap(text, width, subsequent_indent="  ") or [""]:
        out.print(Text(encodable(line, out.encoding)), soft_wrap=True)


def row_of(found: Outlook) -> dict[str, Any]:
    """Return a forecast by the names of its parts."""
    told, advice, ref = found.forecast, found.advice, found.ref
    names = [name for name in _COLUMNS if hasattr(told, name) and name not in ("group", "warnings")]
    row = {name: getattr(told, name) for name in names} | {
        "run": ref.run_id,
        "name": ref.name,
        "group": ref.group,
        "signal": found.history.loss_key,
        "horizon_from": found.horizon.origin,
        "gain_per_hour": found.gain_per_hour,
        "steps_per_hour": found.steps_per_hour,
        "advice": advice.action,
        "advice_reason": advice.reason,
        "stalled_steps": advice.stalled_steps,
        "steps_left": advice.steps_left,
        "calibration": told.group,
        "calibration_size": told.group_size,
        "learning_rate": found.rate.key,
        "warnings": _warnings(found),
    }
    return {name: row[name] for name in _COLUMNS}


def in_short(found: Outlook) -> list[str]:
    """Return what a forecast comes to in a few sentences."""
    told = found.forecast
    if told.status != "ok":
        return [f"no forecast: {told.sentence}"]
    where = f" ({printable(found.horizon.origin)})" if found.horizon.origin else ""
    return [
        f"forecast{where}: {told.sentence}",
        f"advice: {ACTIONS[found.advice.action]}: {found.advice.reason}",
        *(f"note: {printable(warning)}" for warning in _warnings(found)),
        "`dqi forecast` tells more. No promise: 90 % intervals held 75 to 100 % of the time on"
        " families of public runs left out.",
    ]


def lines_of(found: Outlook) -> Iterator[str]:
    """Yield what there is to say of a forecast, a paragraph each; names are made printable."""
    told, ref = found.forecast, found.ref
    where = ", ".join(printable(text) for text in (ref.group, ref.status, ref.run_id))
    yield f"{printable(ref.name)}  ({where})"
    known = f" ({printable(found.horizon.origin)})" if found.horizon.origin else ""
    yield f"`{printable(found.history.loss_key)}` at step {number(told.horizon)}{known}"
    yield ""
    if told.status == "ok":
        yield from _figures(found)
    else:
        yield f"no forecast: {told.sentence} (status {told.status})"
    yield ""
    if told.status == "ok":
        yield f"advice: {ACTIONS[found.advice.action]}: {found.advice.reason}"
    for warning in _warnings(found):
        yield f"note: {printable(warning)}"
    if told.status == "ok":
        yield (
            f"intervals: measured on {printable(told.group)},"
            f" {told.group_size:,} curves; forecast by {_mode(found)}"
        )
        yield WORTH if told.group.startswith(shipped().name) else OWN_WORTH


def _figures(found: Outlook) -> Iterator[str]:
    told = found.forecast
    better = "higher" if found.higher_is_better else "lower"
    yield from _columns(
        ("now", f"{number(told.loss_now)} at step {number(told.step)}, noise averaged out"),
        ("expected", f"{number(told.loss)}  ({better} is better)"),
        *(
            (f"{level:.3g} % interval", f"{number(low)} to {number(high)}")
            for level, low, high in _intervals(found)
        ),
        (
            "gain over now",
            f"{change(told.gain)}  (90 %: {change(told.gain_low90)} to {change(told.gain_high90)})",
        ),
        ("95 % of the gain", _saturation(told.saturation_step)),
        ("return", _return(found)),
    )
    yield ""
    yield told.sentence


def _columns(*rows: tuple[str, str]) -> Iterator[str]:
    width = max(len(head) for head, _ in rows) + 2
    for head, text in rows:
        yield f"  {head:<{width}}{text}"


def _intervals(found: Outlook) -> list[tuple[float, float, float]]:
    told = found.forecast
    ends = [(80.0, told.low80, told.high80), (90.0, told.low90, told.high90)]
    if told.level not in (0.8, 0.9):
        ends.append((100 * told.level, told.low, told.high))
    return sorted(ends)


def _saturation(step: float) -> str:
    return f"by step {number(step)}" if math.isfinite(step) else "none is expected"


def _return(found: Outlook) -> str:
    from dqi_tracking.trackers.base import RUNNING

    told = found.forecast
    text = f"{change(told.gain_per_1000_steps)} per 1,000 steps"
    if math.isnan(found.steps_per_hour):
        return f"{text}; no time was logged to tell it per hour"
    # of a run that goes on the tracker knows no end
    clock = "start and the time now" if found.ref.status in RUNNING else "start and end time"
    return (
        f"{text}; {change(found.gain_per_hour)} per hour, at {number(found.steps_per_hour)} steps"
        f" an hour by the run's {clock}, pauses included"
    )


def _mode(found: Outlook) -> str:
    if found.forecast.mode == "learning_rate":
        return f"time and the learning rate `{printable(found.rate.key)}`"
    if found.rate.key:
        return f"time alone: `{printable(found.rate.key)}` has not fallen to half of its peak"
    return "time alone: no learning rate is logged"


def _warnings(found: Outlook) -> list[str]:
    told, problem = found.forecast, found.rate.problem
    notes = list(told.warnings)
    if problem:
        notes.append(f"the learning rate could not be read: {problem}")
    seen = told.step - float(found.history.step.min())
    if told.verdict == "undetermined" and told.horizon - told.step < _SHORT * seen:
        notes.append("so short a way ahead gains little on most runs: look further, with --at")
    if found.advice.stalled_steps > _AT_START * seen and not found.higher_is_better:
        notes.append(
            "the lowest value is at the start: where the metric should rise, say --higher-is-better"
        )
    return notes
