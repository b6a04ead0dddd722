"""Phase weights in a file: what they are, and what they were learned from."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.engine.fusion import checked_weights
from dqi_tracking.errors import ConfigError
from dqi_tracking.fitting.kept_file import keep

if TYPE_CHECKING:
    from dqi_tracking.insight.weighing.result import WeightFit

MAX_BYTES = 1 << 20

Weight = Annotated[float, Field(ge=0, le=1)]
Pair = tuple[float | None, float | None]


class WeightsFile(BaseModel):
    """The contents of the file, as JSON. No date: the same data make the same file.

    Attributes
    ----------
    format : {1}
    weights : tuple of float
        Early, mid, late; non-negative, sum 1.
    engine_version : str
        Of the phase scores that they were learned from.
    outcome, group : str
        Columns of the tracker; an empty group means the experiment or project.
    lower_is_better : bool
    groups : tuple of str
        Those that took part.
    runs : int
    share : float
        How much of the weights is learned; the rest is the default.
    p : float or None
        Of the permutation test; None where there was one group only.
    intervals : tuple of tuple of float
        95 % of each weight.
    gain, gain_interval : float, tuple of float
        Rank correlation above the default's, on groups left out.
    supported : bool
        Whether the data support the weights against the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    weights: tuple[Weight, Weight, Weight]
    engine_version: str
    outcome: str
    lower_is_better: bool
    group: str
    groups: tuple[str, ...]
    runs: int
    share: float
    p: float | None
    intervals: tuple[Pair, Pair, Pair]
    gain: float | None
    gain_interval: Pair
    supported: bool

    @classmethod
    def of(cls, fit: WeightFit, *, outcome: str, lower_is_better: bool, group: str) -> WeightsFile:
        """Put together what is to be said of a fit."""
        early, mid, late = fit.intervals
        return cls(
            weights=fit.weights,
            engine_version=ENGINE_VERSION,
            outcome=outcome,
            lower_is_better=lower_is_better,
            group=group,
            groups=fit.groups,
            runs=fit.n_runs,
            share=fit.share,
            p=_known(fit.p),
            intervals=(_pair(early), _pair(mid), _pair(late)),
            gain=_known(fit.gain),
            gain_interval=_pair(fit.gain_interval),
            supported=fit.is_supported,
        )

    def write(self, path: Path) -> None:
        """Write the file; one that stood there is replaced at once, or stays as it was.

        Raises
        ------
        WriteRejected
            When the disk does not take it.
        """
        keep(path, self.model_dump_json(indent=1), "weights")


class Chosen(NamedTuple):
    """Weights that a person chose.

    Attributes
    ----------
    weights : tuple of float
        Early, mid, late; non-negative, sum 1.
    digest : str
        16 hexadecimal digits of the file's contents; empty where there was none.
    is_supported : bool
        False for a file that says that its data do not support it.
    """

    weights: tuple[float, ...]
    digest: str = ""
    is_supported: bool = True


def chosen_weights(text: str) -> Chosen:
    """Return the weights that a person means: three numbers with commas, or a file.

    Raises
    ------
    ConfigError
        When the numbers are no weights, there is no such file, it is none of weights, or they are
        of another engine version.
    """
    try:
        given = tuple(float(part) for part in text.split(","))
    except ValueError:
        return _read(Path(text))
    checked_weights(given)
    return Chosen(given)


def _read(path: Path) -> Chosen:
    try:
        path = path.expanduser()
        with path.open("rb") as opened:
            # a file of weights is small; a longer one is cut, and then no JSON
            content = opened.read(MAX_BYTES)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"no weights in `{path}`: {getattr(error, 'strerror', None) or error}",
            fix="name a file that `dqi weights fit -o FILE` wrote, or three numbers such as "
            "0.5,0.3,0.2",
        ) from error
    try:
        file = WeightsFile.model_validate_json(content)
        checked_weights(file.weights)
    except (ValueError, ConfigError) as error:
        raise ConfigError(
            f"`{path}` is no file of weights: {_first(error)}",
            fix="write it with `dqi weights fit -o FILE`",
        ) from error
    if file.engine_version != ENGINE_VERSION:
        raise ConfigError(
            f"the weights in `{path}` are of engine {file.engine_version}, this is engine "
            f"{ENGINE_VERSION}",
            fix="backfill the runs, then `dqi weights fit` again",
        )
    return Chosen(file.weights, hashlib.sha256(content).hexdigest()[:16], file.supported)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, found['loc'])) or 'contents'}: {found['msg'].lower()}"
    return str(error)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(values: tuple[float, float]) -> Pair:
    return _known(values[0]), _known(values[1])
