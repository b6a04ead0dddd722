"""Checks of runs against a saved population: which of its curves a run is compared with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dqi_tracking.cohorts.choice import Chosen
from dqi_tracking.cohorts.place import label_of
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.comparison import Beside, Comparison
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.config import Settings
    from dqi_tracking.insight.checks import CohortCurves
    from dqi_tracking.types import RunRef, Score


@dataclass(frozen=True, slots=True, eq=False)
class CohortChecks:
    """The curves of a population, as a pass over runs takes them along.

    Attributes
    ----------
    curves : mapping of str to CohortCurves
        By cohort.
    cohort : str
        The cohort for every run; where empty, each run's own.
    column : str or None
        Column whose value names a run's cohort; the experiment or project where None.
    digest : str
        16 hexadecimal digits of the file and of this choice: they decide what is found.
    """

    curves: Mapping[str, CohortCurves]
    cohort: str
    column: str | None
    digest: str

    @classmethod
    def of(cls, chosen: Chosen, column: str | None) -> CohortChecks | None:
        """Take the curves out of a population; None where it holds none."""
        if not chosen.population.curves:
            return None
        decides = [chosen.digest, chosen.cohort, None if chosen.cohort else column]
        digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
        return cls(chosen.population.curves, chosen.cohort, column, digest)

    @classmethod
    def named(cls, text: str, settings: Settings) -> CohortChecks:
        """Read what a person named; see `Chosen.of`.

        Raises
        ------
        ConfigError
            When the population has no curves, too.
        """
        found = cls.of(Chosen.of(text), settings.cohort)
        if found is None:
            raise ConfigError(
                f"the population `{printable(text)}` holds no curves to check runs against",
                fix="keep them: `dqi population save FILE` without --curves 0, of finished runs "
                "that have a loss",
            )
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a listing that tell a run's cohort."""
        return (self.column,) if self.column and not self.cohort else ()

    def comparison(self, ref: RunRef) -> Comparison | None:
        """Return what a run is compared with; None where its cohort has no curves."""
        name = self.cohort or label_of(ref, self.column)
        curves = self.curves.get(name)
        if curves is None:
            return None
        return Comparison(curves, f"{len(curves.noise):,} saved runs of cohort `{name}`")

    def beside(self, ref: RunRef) -> Beside:
        """Return what a run is compared with, or why with nothing."""
        found = self.comparison(ref)
        if found:
            return Beside(found, f"compared with {printable(found.told, limit=300)}")
        name = printable(self.cohort or label_of(ref, self.column), limit=200)
        return Beside(None, f"compared with no cohort: the population has no curves of `{name}`")

    def noted(self, score: Score, ref: RunRef) -> Score:
        """Return a score that says so where the run was compared with none."""
        found = self.beside(ref)
        return score if found.comparison else replace(score, warnings=(*score.warnings, found.told))
