"""Populations that are kept: quantiles of named cohorts, and their curves, as a small JSON.

A population belongs to the engine version that scored it, and is refused by any other; its curves,
where it has them, to the insight version that reduced them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.cohort_quantiles import CohortQuantiles
from dqi_tracking.insight.insight import INSIGHT_VERSION
from dqi_tracking.insight.population import MEASURES, MIN_COHORT, column
from dqi_tracking.insight.saved_curves import curves_content, curves_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from numpy.typing import ArrayLike

    from dqi_tracking.insight.checks import CohortCurves
    from dqi_tracking.types import FloatArray

_REFERENCE = Path(__file__).with_name("reference_population.json")
_REBUILD = "save the population again, from runs that this version has scored"


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Named cohorts of scored runs, to compare others with.

    Attributes
    ----------
    name : str
        What the runs are, in a few words.
    cohorts : mapping of str to CohortQuantiles
        By name. Names may come from a tracker: data, never trusted.
    sources : tuple of mapping
        Where the runs come from: name, repository, licence, families, runs.
    version : str
        Engine version that scored them.
    curves : mapping of str to CohortCurves
        Of the cohorts whose histories were read, by name; of a sample of their runs.
    """

    name: str
    cohorts: Mapping[str, CohortQuantiles]
    sources: tuple[Mapping[str, Any], ...] = ()
    version: str = ENGINE_VERSION
    curves: Mapping[str, CohortCurves] = field(default_factory=dict["str", "CohortCurves"])

    @classmethod
    def of(
        cls,
        scores: Mapping[str, ArrayLike],
        cohort: Sequence[str],
        *,
        name: str,
        sources: Sequence[Mapping[str, Any]] = (),
    ) -> Population:
        """Reduce scored runs to a population.

        Parameters
        ----------
        scores : mapping of str to array_like of shape (n,)
            `MEASURES` of each run, as from `population.measures`. A run with a value that is not
            finite is left out.
        cohort : sequence of n str
            Which cohort each run belongs to.
        name : str
            What the runs are.
        sources : sequence of mapping
            Where they come from.

        Returns
        -------
        Population
            Of a cohort below `MIN_COHORT` runs only the size is kept. O(n log n).

        Raises
        ------
        ConfigError
            When a measure is missing, lengths differ, a score lies outside of [0, 1], or no
            cohort is large enough.
        """
        table = _table(scores, len(cohort))
        is_known = np.logical_and.reduce(np.isfinite(table), axis=0)
        rows: dict[str, list[int]] = {}
        for row, label in enumerate(cohort):
            members = rows.setdefault(str(label), [])
            if is_known[row]:
                members.append(row)
        largest = max(map(len, rows.values()), default=0)
        if largest < MIN_COHORT:
            raise ConfigError(
                f"the largest of {len(rows)} cohorts has {largest} runs with scores",
                fix=f"choose cohorts of {MIN_COHORT} scored runs or more",
            )
        kept = {
            label: CohortQuantiles.of(table[:, members]) for label, members in sorted(rows.items())
        }
        return cls(name, kept, tuple(sources))

    def cohort(self, name: str) -> CohortQuantiles:
        """Return the cohort of that name; `ConfigError` where there is none."""
        if name not in self.cohorts:
            raise ConfigError(
                f"the population has no cohort {name[:200]!r}",
                fix=f"use one of {', '.join(map(repr, self.cohorts))[:500]}",
            )
        return self.cohorts[name]

    def to_json(self) -> str:
        """Write the population as JSON, for `from_json` of the same engine version."""
        head = {
            "engine_version": self.version,
            "name": self.name,
            "sources": [dict(source) for source in self.sources],
        }
        start = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        cohorts = _lines({name: cohort.content() for name, cohort in self.cohorts.items()})
        text = f'{start},\n "cohorts": {{\n{cohorts}\n }}'
        if self.curves:
            curves = _lines({name: curves_content(each) for name, each in self.curves.items()})
            text += f',\n "insight_version": {json.dumps(INSIGHT_VERSION)}'
            text += f',\n "curves": {{\n{curves}\n }}'
        return f"{text}\n}}\n"

    @classmethod
    def from_json(cls, text: str) -> Population:
        """Read a population.

        Parameters
        ----------
        text : str
            What `to_json` wrote.

        Returns
        -------
        Population

        Raises
        ------
        ConfigError
            When the text is no population, is damaged, is of another engine version, or holds
            curves of another insight version.
        """
        try:
            content = cast("dict[str, Any]", json.loads(text))
            version = str(content["engine_version"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigError("the file is not a population", fix=_REBUILD) from error
        if version != ENGINE_VERSION:
            raise ConfigError(
                f"the population was scored by engine version {version[:20]!r},"
                f" this is version {ENGINE_VERSION!r}",
                fix=_REBUILD,
            )
        try:
            cohorts = {
                str(name): CohortQuantiles.from_content(each)
                for name, each in content["cohorts"].items()
            }
            sources = tuple(dict(source) for source in content["sources"])
            name = str(content["name"])
            curves = _curves(content, set(cohorts))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ConfigError("the population is damaged", fix=_REBUILD) from error
        return cls(name, cohorts, sources, curves=curves)


def _lines(contents: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one line a cohort: small, and a change can be read."""
    return ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(content, allow_nan=False)}"
        for name, content in contents.items()
    )


def _curves(content: Mapping[str, Any], cohorts: Set[str]) -> dict[str, CohortCurves]:
    """Return the curves of a file; older files have none."""
    if "curves" not in content:
        return {}
    version = str(content["insight_version"])
    if version != INSIGHT_VERSION:
        raise ConfigError(
            f"the curves of the population are of insight version {version[:20]!r},"
            f" this is version {INSIGHT_VERSION!r}",
            fix=_REBUILD,
        )
    if not set(content["curves"]) <= cohorts:
        raise ValueError("curves of no cohort")
    return {str(name): curves_of(each) for name, each in content["curves"].items()}


@cache
def reference() -> Population:
    """Return the population of the package: public runs of seven workload families.

    Its cohorts are the families. They tell how such curves commonly look, at their own logging
    intervals; a run of one's own is better compared with one's own runs.
    """
    return Population.from_json(_REFERENCE.read_text(encoding="utf-8"))


def _table(scores: Mapping[str, ArrayLike], n_runs: int) -> FloatArray:
    missing = [name for name in MEASURES if name not in scores]
    if missing:
        raise ConfigError(f"the scores have no `{missing[0]}`", fix="pass all of `MEASURES`")
    columns = [column(scores[name], name) for name in MEASURES]
    if any(values.size != n_runs for values in columns):
        raise ConfigError(
            f"there are not as many scores as the {n_runs} cohort labels",
            fix="pass one label and one of each score for each run",
        )
    table = np.array(columns)
    if (table < 0).any() or (table > 1).any():
        raise ConfigError("a score lies outside of [0, 1]", fix="pass the scores of this package")
    return table
