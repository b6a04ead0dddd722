"""The layers of a run as a heat map on a terminal, and those without a signal by name."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.text import Text

from dqi_tracking.cli.output import talk
from dqi_tracking.cli.table import console
from dqi_tracking.report.glyphs import ALERT, COLOURS, bar, encodable, glyphs_of
from dqi_tracking.report.layer_rows import NAME, findings_in_words, highest, layer_rows
from dqi_tracking.types import PHASES

if TYPE_CHECKING:
    from dqi_tracking.insight.layers import LayerProfile
    from dqi_tracking.report.glyphs import Glyphs
    from dqi_tracking.report.layer_rows import LayerRow

MOST_ROWS = 60
"""Rows: more layers are folded into stretches of neighbours."""
CELL = 5
WIDEST_TEXT = 100


def announce_requests(n_layers: int) -> None:
    """Say that layers are read one by one, which takes its time."""
    talk(
        f"reading {n_layers:,} layers by a request for each: an MLflow server gives one metric at "
        "a time, and a backfill leaves them out; through the store's own URI both take one read"
    )


def print_layers(found: LayerProfile) -> None:
    """Print a profile below what `explain` printed."""
    out = console()
    glyphs = glyphs_of(out.encoding)
    for line in ("", *_lines(found, glyphs)):
        text = Text(line) if isinstance(line, str) else line
        text.plain = encodable(text.plain, out.encoding)
        out.print(text, soft_wrap=True)


def _lines(found: LayerProfile, glyphs: Glyphs) -> list[Text | str]:
    rows = layer_rows(found, MOST_ROWS)
    scale = highest(rows)
    width = max(len(_name(row)) for row in rows)
    n = len(found.layers)
    head = (
        f"{n:,} layer{'' if n == 1 else 's'}, DQI of each one's gradient norm in the phases of the "
        f"run; a full bar is {scale:.3f}, the highest"
    )
    if len(rows) < n:
        head += f". Folded into {len(rows)} stretches of neighbours, the median of each"
    columns = "  ".join(f"{phase:<{CELL + 6}}" for phase in PHASES)
    lines: list[Text | str] = [
        *textwrap.wrap(head, WIDEST_TEXT, subsequent_indent="  "),
        f"{'':<{width}}  {columns}  DQI",
        *(_line(row, width, scale, glyphs) for row in rows),
    ]
    told = findings_in_words(found) or ["No layer has a flat or vanishing signal"]
    for sentence in told:
        lines.extend(textwrap.wrap(sentence, WIDEST_TEXT, subsequent_indent="  "))
    return lines


def _line(row: LayerRow, width: int, scale: float, glyphs: Glyphs) -> Text:
    line = Text(f"{_name(row):<{width}}", style=ALERT if row.is_found else "")
    for phase, value in zip(PHASES, row.phases, strict=True):
        drawn = bar(value / scale if scale else 0.0, CELL, glyphs)
        line.append("  ").append(drawn, COLOURS[phase]).append(f" {_number(value, glyphs)}", "none")
    return line.append(f"  {_number(row.dqi, glyphs)}", "none")


def _name(row: LayerRow) -> str:
    others = f" +{row.n - 1}" if row.n > 1 else ""
    return f"{row.name[-NAME:]}{others}"


def _number(value: float, glyphs: Glyphs) -> str:
    return f"{value:.3f}" if value == value else glyphs.none.center(5)
