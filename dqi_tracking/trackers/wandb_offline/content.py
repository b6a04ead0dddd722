"""One run's file as a history: what was read of it, and what there is to say about it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from dqi_tracking.errors import MissingMetric, ReadRejected
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.series import history_of
from dqi_tracking.trackers.wandb_offline.history import Columns
from dqi_tracking.trackers.wandb_offline.log import EmptyLog, LogDamage, NotALog
from dqi_tracking.trackers.wandb_offline.records import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.keys import KeyResolver
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import History, RunRef

_FETCH = "fetch the file anew from where the run was, if it is whole there"
_CUT = "it was cut short, or still goes on"


@dataclass(slots=True)
class Content:
    """What was read of a file.

    Attributes
    ----------
    file : str
        Name of the file.
    size : int
        Bytes of it.
    columns : Columns
        The metrics that may matter.
    has_end : bool
        Whether the end of the run is recorded.
    is_part : bool
        Whether the run has other files.
    damage : LogDamage, optional
        Where reading had to stop.
    """

    file: str
    size: int
    columns: Columns
    has_end: bool = False
    is_part: bool = False
    damage: LogDamage | None = None

    def warnings(self) -> tuple[str, ...]:
        """Say what of the run was not read, and whether it was over."""
        part = (f"`{self.file}` is one of several files of the run: each is scored by itself",)
        return (*self._damages(), *(part if self.is_part else ()))

    def _damages(self) -> tuple[str, ...]:
        rows = f"{self.columns.n_rows:,} of its rows were read"
        if self.damage is None:
            return () if self.has_end else (f"`{self.file}` records no end of the run: {_CUT}",)
        part = f"{self.damage.offset:,} of {self.size:,} bytes"
        if self.has_end:
            return (f"`{self.file}` is damaged after {part}, behind the end of the run: {rows}",)
        if self.damage.is_cut:
            return (f"`{self.file}` breaks off after {part}: {rows}; {_CUT}",)
        return (f"`{self.file}` is damaged after {part}: {rows}, what follows is lost",)


def read_content(
    opened: BinaryIO,
    ref: RunRef,
    file: str,
    concerns: Callable[[str], bool],
    *,
    norms: bool = False,
) -> Content:
    """Read a file once from its beginning, as far as it is whole.

    Parameters
    ----------
    opened : binary file
    ref : RunRef
    file : str
        Its name, to be told.
    concerns : callable
        Tells of a metric's name whether its points are kept: they are what memory is used for.
    norms : bool
        Whether of gradients' histograms the norm is kept.

    Raises
    ------
    MissingMetric
        When the file is empty.
    ReadRejected
        When the file is no W&B log.
    ConfigError
        As `records.decoder`.
    """
    # of a run that goes on, what is there now
    size = os.fstat(opened.fileno()).st_size
    content = Content(file, size, Columns(concerns, norms=norms))
    try:
        for record in decoded(opened, size):
            if record.HasField("history"):
                content.columns.add(record.history)
            elif record.HasField("exit"):
                content.has_end = True
    except EmptyLog:
        raise MissingMetric(
            f"`{file}` is empty: nothing was logged",
            fix="see the script's own output for why",
            run=ref.run_id,
        ) from None
    except NotALog as error:
        raise ReadRejected(
            f"`{file}` is no W&B log: {error}", fix=_FETCH, run=ref.run_id
        ) from error
    except LogDamage as damage:
        content.damage = damage
    return content


def history_from(content: Content, ref: RunRef, keys: KeyResolver, settings: Settings) -> Reading:
    """Make the history of a run out of what was read, with the run's metrics in its reference.

    Raises
    ------
    MissingMetric
        When no candidate has a point, and none can have been lost.
    ReadRejected
        When points may have been lost before the first, or the signal holds something that is no
        number.
    """
    by_name = content.columns.by_name
    # a metric of which no value is a number, such as images, is no candidate
    names = [name for name, column in by_name.items() if column.value]
    chosen = {settings.loss_key, settings.grad_norm_key}
    for name in chosen.intersection(by_name):
        if name and not by_name[name].value:
            _check_numbers(content, [name], ref)
    found = keys.candidates(names)
    ref = replace(
        ref,
        loss_keys=found.loss,
        grad_norm_keys=found.grad_norm,
        validation_keys=found.validation,
        rate_keys=found.rate,
        layer_metrics=keys.candidates(content.columns.names).layers,
        step_key=found.step,
    )
    try:
        history = history_of(ref, content.columns.series)
    except MissingMetric as error:
        damage = content.damage
        if damage is None:
            raise
        said = content.warnings()[0]
        if damage.is_cut or content.has_end:
            raise MissingMetric(f"{error.message}; {said}", fix=error.fix, run=ref.run_id) from None
        raise ReadRejected(f"{said}; {error.message}", fix=_FETCH, run=ref.run_id) from None
    _check_numbers(content, _signal(history, ref), ref)
    return Reading(ref, replace(history, warnings=(*content.warnings(), *history.warnings)))


def series_from(content: Content, keys: Sequence[str], ref: RunRef) -> dict[str, Series]:
    """Return those of some metrics that hold a number, in the order of `keys`.

    Raises
    ------
    ReadRejected
        When one of them holds something that is no number.
    """
    met = [key for key in keys if key in content.columns.by_name]
    _check_numbers(content, met, ref)
    found = {key: content.columns.series(key) for key in met}
    return {key: series for key, series in found.items() if series.step.size}


def _signal(history: History, ref: RunRef) -> Iterator[str]:
    """Yield the names of the metrics that the signal was made of."""
    is_loss = history.loss is not None
    read = history.loss_key if is_loss else history.grad_norm_key
    for key in ref.loss_keys if is_loss else ref.grad_norm_keys:
        if str(key) == read:
            yield from key.parts
    if ref.step_key:
        yield ref.step_key


def _check_numbers(content: Content, names: Iterable[str], ref: RunRef) -> None:
    for name in names:
        met = content.columns.by_name[name].no_number
        if met:
            raise ReadRejected(
                f"`{name}` holds {met.text} at step {met.step:g}, which is not a number",
                fix="name another metric with --loss-key",
                run=ref.run_id,
            )
