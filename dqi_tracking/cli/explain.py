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
    mark : str
        Fingerprint of this score, to compare with the one that stands on the run.
    duplicates : {"last", "keep"}
        The option that the score was made with.
    """

    ref: RunRef
    history: History
    score: Score
    mark: str
    duplicates: Duplicates


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
    from dqi_tracking.report.weakness import share

    ref, score = run.ref, run.score
    where = ", ".join(printable(text) for text in (ref.group, ref.status, ref.run_id))
    dqi, raw = (share(value, 4, glyphs) for value in (score.dqi, score.dqi_raw))
    return [
        f"{printable(ref.name)}  ({where})",
        f"DQI {dqi}   in logged units {raw}   status {score.status}   "
        f"{score.n_points:,} points of `{printable(score.signal)}`",
    ]


def _curve(run: Explained, width: int, glyphs: Glyphs) -> Sequence[Text]:
    from dqi_tracking.report.terminal import draw

    return draw(run.history, run.score, width=width, duplicates=run.duplicates, glyphs=glyphs)


def _phases(run: Explained, width: int, glyphs: Glyphs) -> list[Text | str]:
    from dqi_tracking.report.weakness import component_bars, phases_in_words

    if run.score.status not in ("ok", "flat"):
        return []
    bars = component_bars(run.score, width=width, glyphs=glyphs)
    return [*bars, *phases_in_words(run.score)]


def _words(run: Explained) -> list[str]:
    """Return what is weak and what that means, and what to bear in mind."""
    from dqi_tracking.report.meaning import STATUSES, WHAT_IT_IS
    from dqi_tracking.report.weakness import weakness_in_words

    sentences = [
        STATUSES[run.score.status],
        *weakness_in_words(run.score),
        *(f"note: {printable(warning)}" for warning in run.score.warnings),
        f"on the run: {_standing(run.ref, run.mark)}",
        WHAT_IT_IS,
    ]
    return [sentence for sentence in sentences if sentence]


def _standing(ref: RunRef, mark: str) -> str:
    from dqi_tracking.stamp import standing_mark

    written = standing_mark(ref)
    if written is None:
        return "nothing written yet; `dqi score --write` or `dqi backfill` does"
    if written == mark:
        return "this score is written"
    return "a score of other points or options is written; `dqi backfill` brings it up to date"
