"""One run explained on a terminal: curve, phases, what is weak, what that means and what not."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.cli.output import print_link
from dqi_tracking.cli.table import console
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from dqi_tracking.insight.checks import Finding
    from dqi_tracking.insight.fan import Fan
    from dqi_tracking.insight.insight import Insight
    from dqi_tracking.outlook import Outlook
    from dqi_tracking.report.glyphs import Glyphs
    from dqi_tracking.trackers.base import View
    from dqi_tracking.types import Duplicates, History, RunRef, Score

WIDEST = 120
"""Columns of the curve."""
WIDEST_TEXT = 100
"""Columns of sentences, which get hard to read beyond."""
PIPED = 100
"""Columns where there is no terminal."""


class Explained(NamedTuple):
    """A run, and what is to be said of it.

    Attributes
    ----------
    ref : RunRef
    history : History
    score : Score
    insight : Insight
    mark : str
        Fingerprint of this score, to compare with the one that stands on the run.
    duplicates : {"last", "keep"}
        The option that the score was made with.
    standing : tuple of str
        Where the run stands among others, in sentences.
    ahead : Ahead or None
        Where it is going: for a run that is not finished, or where that was asked for.
    phases : str
        What the phases follow, in words; `auto` for the method's rule.
    """

    ref: RunRef
    history: History
    score: Score
    insight: Insight
    mark: str
    duplicates: Duplicates
    standing: tuple[str, ...] = ()
    ahead: Ahead | None = None
    phases: str = "auto"


class Ahead(NamedTuple):
    """Where a run is going.

    Attributes
    ----------
    outlook : Outlook
    fan : Fan or None
        None where there is no forecast.
    """

    outlook: Outlook
    fan: Fan | None


def explain(run: Explained, view: View) -> None:
    """Print what there is to say of a run, and where its tracker shows it."""
    from rich.text import Text

    from dqi_tracking.report.glyphs import encodable, glyphs_of

    out = console()
    glyphs = glyphs_of(out.encoding)
    width = min(shutil.get_terminal_size((PIPED, 24)).columns, WIDEST)

    def write(line: Text | str) -> None:
        text = Text(line) if isinstance(line, str) else line
        text.plain = encodable(text.plain, out.encoding)
        # lines are broken already; an address must stay whole
        out.print(text, soft_wrap=True)

    sections = (
        _headline(run, glyphs),
        _curve(run, width, glyphs),
        _ahead(run),
        _phases(run, width, glyphs),
        _words(run),
    )
    for number, section in enumerate(filter(None, sections)):
        if number:
            write("")
        for line in section:
            for each in _wrapped(line, width) if isinstance(line, str) else [line]:
                write(each)
    if view.url or view.command:
        write("")
        print_link("in the tracker", view, write)


def _wrapped(sentence: str, width: int) -> list[str]:
    return textwrap.wrap(
        sentence, min(width, WIDEST_TEXT), subsequent_indent="  ", break_on_hyphens=False
    )


def _headline(run: Explained, glyphs: Glyphs) -> list[Text | str]:
    from dqi_tracking.report.meaning import STATES
    from dqi_tracking.report.weakness import share

    ref, score = run.ref, run.score
    where = ", ".join(printable(text) for text in (ref.group, ref.status, ref.run_id))
    dqi, raw = (share(value, 4, glyphs) for value in (score.dqi, score.dqi_raw))
    return [
        f"{printable(ref.name)}  ({where})",
        f"DQI {dqi}   in logged units {raw}   status {score.status}   "
        f"{score.n_points:,} points of `{printable(score.signal)}`",
        f"{STATES[run.insight.state.name]}: {run.insight.state.sentence}",
    ]


def _curve(run: Explained, width: int, glyphs: Glyphs) -> Sequence[Text]:
    from dqi_tracking.report.terminal import draw

    fan = run.ahead and run.ahead.fan
    return draw(
        run.history, run.score, width=width, duplicates=run.duplicates, glyphs=glyphs, fan=fan
    )


def _ahead(run: Explained) -> list[str]:
    """Return what is expected of a run in words."""
    from dqi_tracking.cli.forecast_words import in_short

    if run.ahead is None:
        return []
    legend = (
        "in the picture: what is expected as a line, the 80 % interval between close dots, the 90 %"
        " one between wide ones; what was logged first may lie outside"
    )
    return [*([legend] if run.ahead.fan else []), *in_short(run.ahead.outlook)]


def _phases(run: Explained, width: int, glyphs: Glyphs) -> list[Text | str]:
    from dqi_tracking.report.weakness import component_bars, phases_in_words

    if run.score.status not in ("ok", "flat"):
        return []
    bars = component_bars(run.score, width=width, glyphs=glyphs)
    told = [] if run.phases.startswith("auto") else [f"phases: {printable(run.phases)}"]
    return [*bars, *told, *phases_in_words(run.score)]


def _words(run: Explained) -> list[str]:
    """Return what is weak and what that means, and what to bear in mind."""
    from dqi_tracking.report.meaning import STATE_WORTH, STATUSES, WHAT_IT_IS
    from dqi_tracking.report.weakness import weakness_in_words

    sentences = [
        STATUSES[run.score.status],
        *weakness_in_words(run.score),
        _validation(run.history),
        *run.standing,
        *(f"found: {_finding(found)}" for found in run.insight.findings),
        *(f"note: {printable(warning)}" for warning in run.score.warnings),
        f"on the run: {_standing(run.ref, run.mark)}",
        _checks(run),
        STATE_WORTH[run.insight.state.name],
        WHAT_IT_IS,
    ]
    return [sentence for sentence in sentences if sentence]


def _validation(history: History) -> str:
    """Return which series the state was judged with beside the loss."""
    if history.validation is None:
        return ""
    n_points = history.validation.step.size
    points = "point" if n_points == 1 else "points"
    return f"validation loss: `{printable(history.validation.loss_key)}`, {n_points:,} {points}"


def _finding(found: Finding) -> str:
    """Return a finding by its name, with its steps where its sentence has none."""
    from dqi_tracking.report.geometry import number

    steps = f", steps {number(found.start_step)} to {number(found.stop_step)}"
    where = "" if "step" in found.sentence else steps
    return f"{found.name.replace('_', ' ')}: {found.sentence}{where}"


def _checks(run: Explained) -> str:
    from dqi_tracking.report.meaning import CHECKS_WORTH, NO_FINDING

    if run.score.status not in ("ok", "flat"):
        return ""
    return CHECKS_WORTH if run.insight.findings else f"direct checks: {NO_FINDING}"


def _standing(ref: RunRef, mark: str) -> str:
    from dqi_tracking.stamp import standing_mark

    written = standing_mark(ref)
    if written is None:
        return "nothing written yet; `dqi score --write` or `dqi backfill` does"
    if written == mark:
        return "this score is written"
    return "a score of other points or options is written; `dqi backfill` brings it up to date"
