"""A population that a person named, and runs held against it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.cohorts.place import NOWHERE, label_of
from dqi_tracking.cohorts.populations import is_comparable
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import measures, weakest
from dqi_tracking.insight.saved_population import Population, reference
from dqi_tracking.names import SCORES, STANDING
from dqi_tracking.report.printable import printable
from dqi_tracking.types import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.types import Component, RunRef, Stamp

REFERENCE = "reference"
"""Name of the population that comes with the package."""
MAX_BYTES = 64 << 20
"""Size beyond which a file cannot be a population: some 1,200 cohorts with their curves."""


class Against(NamedTuple):
    """Where a run stands against a population.

    Attributes
    ----------
    percentile : float
        Of its DQI, in [0, 100]; NaN for none.
    cohort : str
        Name of the cohort it was held against.
    size : int
        Runs of that cohort.
    reason : str
        Why there is no percentile; empty where there is one.
    weakest : str or None
        Component that stands lowest, and its percentile.
    weakest_percentile : float
    """

    percentile: float
    cohort: str
    size: int
    reason: str = ""
    weakest: Component | None = None
    weakest_percentile: float = math.nan


@dataclass(frozen=True, slots=True)
class Chosen:
    """A population, and which of its cohorts a run is held against.

    Attributes
    ----------
    population : Population
    cohort : str
        The cohort for every run; where empty, each run's own.
    digest : str
        SHA-256 of the file; empty for the population of the package.
    """

    population: Population
    cohort: str = ""
    digest: str = ""

    @classmethod
    def of(cls, text: str) -> Chosen:
        """Read what a person named: ``FILE``, ``FILE:COHORT``, ``reference:FAMILY``.

        Raises
        ------
        ConfigError
            When there is no such file or cohort (the fix names those there are), or the file is no
            population of this engine version.
        """
        name, colon, cohort = text.partition(":")
        if name == REFERENCE:
            population, digest = reference(), ""
        else:
            name, colon, cohort = _file_and_cohort(text)
            population, digest = _read(name)
        if not colon:
            cohort = next(iter(population.cohorts)) if len(population.cohorts) == 1 else ""
        elif cohort not in population.cohorts:
            raise _unknown(population, cohort)
        return cls(population, cohort, digest)

    def cohort_of(self, label: str) -> str:
        """Return the name of the cohort that a run of this cohort is held against.

        Raises
        ------
        ConfigError
            When the population has none of that name.
        """
        name = self.cohort or label
        if name not in self.population.cohorts:
            raise _unknown(self.population, name)
        return name

    def against(
        self, metrics: Sequence[Mapping[str, float]], label: str, weights: Sequence[float]
    ) -> list[Against]:
        """Hold runs of one cohort against the population.

        Parameters
        ----------
        metrics : sequence of mapping
            `names.SCORES` of each run, NaN for a score that is none.
        label : str
            Name of their cohort.
        weights : sequence of three floats
            Those of the phases.

        Raises
        ------
        ConfigError
            As `cohort_of`.
        """
        name = self.cohort_of(label)
        cohort = self.population.cohort(name)
        columns = {key: [each.get(key, math.nan) for each in metrics] for key in SCORES}
        found = measures(columns, weights=weights)
        dqi = cohort.standing("dqi", found["dqi"])
        parts = {part: cohort.standing(part, found[part]) for part in COMPONENTS}
        return [
            Against(
                float(dqi.percentile[row]),
                name,
                cohort.size,
                dqi.reason(row),
                lowest,
                float(parts[lowest].percentile[row]) if lowest else math.nan,
            )
            for row, lowest in enumerate(weakest(parts))
        ]


class Scale:
    """A chosen population as a ranking uses it, for runs whose cohorts it may not all have.

    Parameters
    ----------
    chosen : Chosen
    column : str or None
        Column whose value names a run's cohort.
    weights : sequence of three floats
        Of the phases, as the runs were scored with.
    """

    def __init__(self, chosen: Chosen, column: str | None, weights: Sequence[float]) -> None:
        self._chosen = chosen
        self._column = column
        self._weights = weights
        self._missing: ConfigError | None = None
        self._is_used = False
        self.columns = (column,) if column else ()
        self.name = chosen.population.name

    @classmethod
    def of(cls, text: str, settings: Settings) -> Scale:
        """Read what a person named; see `Chosen.of`."""
        return cls(Chosen.of(text), settings.cohort, settings.weights)

    @property
    def chosen(self) -> Chosen:
        """The population."""
        return self._chosen

    def against(self, ref: RunRef, metrics: Mapping[str, float]) -> Against:
        """Hold one run against the population; see `Chosen.against`."""
        label = label_of(ref, self._column)
        return self._chosen.against([metrics], label, self._weights)[0]

    def place(self, ref: RunRef, stamp: Stamp) -> dict[str, str | float]:
        """Return the columns of a table that tell where a run stands."""
        if not is_comparable(stamp):
            return dict(NOWHERE)
        try:
            found = self.against(ref, stamp.metrics)
        except ConfigError as error:
            self._missing = self._missing or error
            return dict(NOWHERE)
        self._is_used = True
        size = float(found.size)
        place = {"dqi_cohort": found.cohort, "dqi_cohort_size": size}
        return NOWHERE | place | {STANDING[0]: found.percentile}

    def check(self) -> None:
        """Raise what was wrong, if the population had no cohort for any of the runs.

        Raises
        ------
        ConfigError
        """
        if self._missing and not self._is_used:
            raise self._missing


def _file_and_cohort(text: str) -> tuple[str, str, str]:
    """Split at the first colon behind which no file's name goes on: both may hold colons."""
    ends = [place for place, letter in enumerate(text) if letter == ":"]
    for end in (*ends, len(text)):
        if _is_file(text[:end]):
            return text[:end], text[end : end + 1], text[end + 1 :]
    return text, "", ""


def _is_file(path: str) -> bool:
    try:
        return Path(path).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _read(path: str) -> tuple[Population, str]:
    """Return what a file holds, and its SHA-256."""
    try:
        file = Path(path).expanduser()
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"`{printable(path)}` is too large to be a population", fix="name another file"
            )
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(
            f"the population `{printable(path)}` cannot be read: {why}",
            fix="name a file of `dqi population save`, or reference:FAMILY",
        ) from error
    return Population.from_json(text), hashlib.sha256(text.encode()).hexdigest()


def _unknown(population: Population, cohort: str) -> ConfigError:
    names = ", ".join(f"`{printable(name)}`" for name in population.cohorts)
    asked = f"`{printable(cohort[:200])}`" if cohort else "that name"
    return ConfigError(
        f"the population has no cohort {asked}",
        fix=f"add the name of one after a colon, or choose runs by --cohort: {names[:500]}",
    )
