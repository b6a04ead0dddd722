"""A `.csv` or `.parquet` file of curves: one row a logged step, one column a metric.

An empty cell (null) means that nothing was logged at this step; `nan` means that NaN was.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.errors import (
    ConfigError,
    ReadRejected,
    StoreNotFound,
    WriteRejected,
)
from dqi_tracking.trackers.base import Query, View
from dqi_tracking.trackers.columns import EVERY, text_of
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.series import Series, history_of, readings
from dqi_tracking.types import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Reading
    from dqi_tracking.types import FloatArray, History, Stamp

STEP_COLUMNS = ("step", "global_step", "_step", "trainer/global_step", "iteration", "iter", "epoch")
RUN_COLUMNS = ("run", "run_id", "run_name")


class CurveFileTracker:
    """The runs of one file; there is nowhere to write to.

    Parameters
    ----------
    path : Path
    table : pyarrow.Table
        A step column, metric columns, and a run column where the file holds several runs.
    settings : Settings
    """

    batch = 16
    reads_several = True
    jobs = 1
    keeps_view = False

    def __init__(self, path: Path, table: Any, settings: Settings) -> None:
        self.address = str(path)
        self._path = path
        names = set(table.column_names)
        twice = sorted(name for name in names if table.column_names.count(name) > 1)
        if twice:
            raise ReadRejected(
                f"`{path}` has more than one column `{twice[0]}`", fix="rename or drop one of them"
            )
        columns = (*STEP_COLUMNS, settings.step_key)
        step = next((name for name in columns if name in names), None)
        self._run = next((name for name in RUN_COLUMNS if name in names), None)
        if step is None:
            raise ReadRejected(
                f"`{path}` has no step column among {', '.join(sorted(names)) or 'no columns'}",
                fix=f"name it with --step-key, or call it one of {', '.join(STEP_COLUMNS)}",
            )
        self._step = step
        self._table = table if self._run is None else _with_text(table, self._run)
        own = (self._step, self._run)
        self._metrics = [name for name in table.column_names if name not in own]
        self._candidates = KeyResolver(settings).candidates(self._metrics)
        self._step_key = step if step == settings.step_key else self._candidates.step

    @classmethod
    def open(cls, address: str, settings: Settings) -> CurveFileTracker:
        """Read the file.

        Raises
        ------
        StoreNotFound
            When there is no such file.
        ReadRejected
            When it is not what its ending says, or has no step column.
        """
        path = Path(address).expanduser()
        if not path.is_file():
            raise StoreNotFound(f"no file `{path}`", fix="correct the path")
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        try:
            if path.suffix.lower() == ".csv":
                convert = pyarrow.csv.ConvertOptions(
                    null_values=[""],
                    strings_can_be_null=True,
                    column_types=dict.fromkeys(RUN_COLUMNS, pa.string()),
                )
                table = pyarrow.csv.read_csv(path, convert_options=convert)
            else:
                table = pyarrow.parquet.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise ReadRejected(
                f"`{path}` cannot be read: {str(error).splitlines()[0]}",
                fix="check that the file is whole, and what its ending says",
            ) from error
        return cls(path, table, settings)

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs in the order of their first row; there are no filters.

        Columns are those of the file by their names, of each the run's last value.

        Raises
        ------
        ConfigError
            When `query.where` is given.
        """
        if query.where:
            raise ConfigError("a curve file has no filters", fix="leave --where out")
        names: list[str] = (
            [self._path.stem]
            if self._run is None
            else self._table.column(self._run).unique().to_pylist()
        )
        columns = self._columns(query)
        for name in names[: query.limit]:
            yield RunRef(
                run_id=name,
                name=name,
                group=self._path.name,
                loss_keys=self._candidates.loss,
                grad_norm_keys=self._candidates.grad_norm,
                validation_keys=self._candidates.validation,
                rate_keys=self._candidates.rate,
                layer_metrics=self._candidates.layers,
                step_key=self._step_key,
                columns=columns.get(name, {}),
            )

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield the history of each run."""
        yield from readings(refs, self._history)

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Return some columns of a run."""
        rows = self._rows(ref)
        found = {key: self._series(rows, key) for key in keys if key in self._metrics}
        return {key: series for key, series in found.items() if series.step.size}

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the columns that hold a value of the run."""
        rows = self._rows(ref)
        columns = {name: rows.column(name) for name in self._metrics}
        held = (name for name, column in columns.items() if column.null_count < len(column))
        return tuple(sorted(held))

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Refuse: a file of curves has no place for scores."""
        del stamp, files
        raise WriteRejected(
            f"a curve file holds no scores: `{self.address}`",
            fix="leave --write out, and redirect --json or --csv into a file",
            run=ref.run_id,
        )

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Refuse, as `write`."""
        self.write(ref, stamp, {})

    def erase(self, ref: RunRef) -> str:
        """Refuse, as `write`: there is nothing to take off."""
        raise WriteRejected(
            f"a curve file holds no scores: `{self.address}`",
            fix="name the tracker that the scores were written to",
            run=ref.run_id,
        )

    def view(self, ref: RunRef | None = None) -> View:
        """Return nothing: there is no UI."""
        del ref
        return View("", "")

    def save_view(self) -> View:
        """Return nothing: there is no UI."""
        return self.view()

    def drop_view(self) -> None:
        """Do nothing: there is no view."""

    def close(self) -> None:
        """Forget nothing: the table goes with the object."""

    def _history(self, ref: RunRef) -> History:
        rows = self._rows(ref)
        return history_of(ref, lambda key: self._series(rows, key))

    def _columns(self, query: Query) -> dict[str, dict[str, str]]:
        """Return the columns asked for of each run, by its name."""
        names = self._metrics
        if EVERY not in query.columns:
            names = [name for name in names if name in query.columns]
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for name in names:
            for run, value in self._last(name):
                found[run][name] = text_of(value)
        return found

    def _last(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the last value of a column for each run."""
        rows = self._table.filter(self._table.column(name).is_valid())
        if not rows.num_rows:
            return
        if self._run is None:
            yield self._path.stem, rows.column(name)[-1].as_py()
            return
        coded = rows.column(self._run).combine_chunks().dictionary_encode()
        last = np.zeros(len(coded.dictionary), dtype=np.intp)
        # of one run's rows the last assignment stays
        last[coded.indices.to_numpy()] = np.arange(rows.num_rows)
        values = rows.column(name).take(last).to_pylist()
        yield from zip(coded.dictionary.to_pylist(), values, strict=True)

    def _rows(self, ref: RunRef) -> Any:
        if self._run is None:
            return self._table
        import pyarrow.compute as pc

        return self._table.filter(pc.field(self._run) == ref.run_id)

    def _series(self, rows: Any, key: str) -> Series:
        logged = rows.filter(rows.column(key).is_valid())
        return Series(self._numbers(logged, self._step), self._numbers(logged, key))

    def _numbers(self, rows: Any, name: str) -> FloatArray:
        import pyarrow as pa

        try:
            column = rows.column(name).cast(pa.float64(), safe=False)
        except pa.ArrowException as error:
            raise ReadRejected(
                f"column `{name}` of `{self.address}` holds something that is not a number",
                fix="clean the column, or name another with --loss-key",
            ) from error
        return np.asarray(column, dtype=np.float64)


def _with_text(table: Any, column: str) -> Any:
    """Return the table with one column as text, whatever it holds: 7 and 2024-01-01 are names."""
    text = table.column(column).cast("string").fill_null("")
    return table.set_column(table.column_names.index(column), column, text)
