"""`dqi demo`: real runs, scored and ranked, in a store of their own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dqi_tracking.cli import backfill, rank
from dqi_tracking.cli.output import runnable, say, talk


def demo(
    folder: Annotated[Path, typer.Option(help="Where the store goes.")] = Path("dqi-demo"),
) -> int:
    """Import real runs into a local MLflow store, score them, and rank them."""
    from dqi_tracking.config import load_settings
    from dqi_tracking.demo import EXPERIMENT, import_runs
    from dqi_tracking.ranking import rank as rank_table

    talk("importing the demo's runs …")
    store = import_runs(folder)
    say(f"{store.n_imported} real runs imported into {store.uri}")
    address, uri = f"mlflow:{EXPERIMENT}", store.uri
    code = backfill.backfill(address, tracking_uri=uri, no_view=True)
    rank.rank(address, tracking_uri=uri)
    table = rank_table(address, settings=load_settings(tracking_uri=uri))
    if table.empty:
        return code
    dqi = shlex.quote(runnable("dqi"))
    say("DQI describes the shape of a loss curve: compare runs of one workload, logged at one")
    say("interval, and no others. To look around, and to explain one run:")
    say(f"  export MLFLOW_TRACKING_URI={shlex.quote(uri)}")
    say(f"  {dqi} rank {address} --where \"params.workload = 'wmt'\"")
    say(f"  {dqi} show runs:/{table['run'].iloc[0]}")
    return code
