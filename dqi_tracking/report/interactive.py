"""What makes the page over many runs interactive: plotly, packed into the page, and its data.

The page names each of its scripts by hash and allows no other, and no request to anywhere.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import os.path
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.report.experiment import column
from dqi_tracking.report.histograms import histogram
from dqi_tracking.report.printable import printable
from dqi_tracking.report.summaries import SCORES, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.report.experiment import Linked
    from dqi_tracking.types import FloatArray

LIMIT = 60
"""Characters of a name in a label; there is one for each run."""


class Scripts(NamedTuple):
    """The scripts of a page.

    Attributes
    ----------
    plotly : str
        plotly.js, compressed, in Base64: a third of its size.
    page : str
        The script that draws.
    hashes : tuple of str
        Of both as they run, for the page's content security policy.
    """

    plotly: str
    page: str
    hashes: tuple[str, ...]


def scripts_for(wanted: bool | None) -> Scripts | None:
    """Return the scripts, None for a page without them.

    Parameters
    ----------
    wanted : bool or None
        None where it depends on whether plotly is installed.

    Raises
    ------
    ConfigError
        When they are wanted, and plotly is not installed.
    """
    if wanted is False:
        return None
    try:
        return _scripts()
    except ImportError as error:
        if wanted is None:
            return None
        raise ConfigError(
            "plotly is not installed, which makes the page interactive",
            fix="pip install 'dqi-tracking[html]', or leave the scripts out",
        ) from error


@cache
def _scripts() -> Scripts:
    from plotly.offline import get_plotlyjs

    plotly = get_plotlyjs()
    page = files("dqi_tracking.report").joinpath("overview.js").read_text(encoding="utf-8")
    packed = gzip.compress(plotly.encode(), mtime=0)
    return Scripts(base64.b64encode(packed).decode(), page, (_hash(plotly), _hash(page)))


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def plot_data(runs: Sequence[Linked], high: float) -> dict[str, object]:
    """Return what the plots show, to be written as JSON.

    Parameters
    ----------
    runs : sequence of Linked
        Runs that have a DQI.
    high : float
        Upper end of the axes of early against late.

    Returns
    -------
    dict
        Histograms of each score; for each run `early`, `late`, `dqi`, its `name` in plotly's
        markup, and its page as what all of them begin with and its `tail`.
    """
    scores = {name: column(runs, name) for name in SCORES}
    urls = [run.url if run.url.startswith(("http://", "https://")) else "" for run in runs]
    start = os.path.commonprefix(urls)  # noqa: RUF071 - letters in common are what is meant
    return {
        "high": high,
        "histograms": [_histogram(SCORES[name], values) for name, values in scores.items()],
        "dqi": _short(scores["dqi"]),
        "early": _short(scores["dqi_early"]),
        "late": _short(scores["dqi_late"]),
        # plotly reads labels as a kind of HTML, after they have been JSON
        "name": [
            html.escape(printable(run.ref.name or run.ref.run_id, limit=LIMIT)) for run in runs
        ],
        "start": start,
        "tail": [url[len(start) :] for url in urls],
    }


def _histogram(name: str, values: FloatArray) -> dict[str, object]:
    edges, counts = histogram(values)
    told = values[np.isfinite(values)]
    middle = [float(np.median(told))] if told.size else []
    return {
        "name": name,
        "edges": _short(edges),
        "counts": counts.tolist(),
        "median": [{"at": at, "label": f"median {share(at)}"} for at in middle],
    }


def _short(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.4g}") if value == value else None for value in values.tolist()]
