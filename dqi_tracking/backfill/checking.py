"""What a pass knows of the population that its runs are checked against, if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.cohorts.checks import CohortChecks

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqi_tracking.config import Settings
    from dqi_tracking.types import Outcome


class Checking:
    """Reads the population, and counts the runs whose cohorts it has no curves of.

    Parameters
    ----------
    text : str or None
        As a person names a population; None for none.
    settings : Settings

    Raises
    ------
    ConfigError
        As `CohortChecks.named`.
    """

    def __init__(self, text: str | None, settings: Settings) -> None:
        self.population = None if text is None else CohortChecks.named(text, settings)
        self.columns = self.population.columns if self.population else ()
        self._n_alone = 0

    def note(self, outcome: Outcome) -> None:
        """Take note of what became of a run."""
        if self.population and outcome.outcome == "scored":
            self._n_alone += self.population.comparison(outcome.ref) is None

    def tell(self, say: Callable[[str], None]) -> None:
        """Say how many runs were compared with no cohort, if any."""
        if self._n_alone:
            runs = "1 run was" if self._n_alone == 1 else f"{self._n_alone:,} runs were"
            say(
                f"{runs} compared with no cohort: the population has no curves of theirs; "
                "--population FILE:COHORT names one for all"
            )
