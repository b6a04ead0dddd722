"""What an address covers, told from its text alone: no tracker is opened, none need be up."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dqi_tracking.errors import masked

if TYPE_CHECKING:
    from dqi_tracking.config import Settings

Kind = Literal["all", "experiment", "run", "path"]

_WANDB = "https://api.wandb.ai"
_FILES = "files"


@dataclass(frozen=True, slots=True)
class Scope:
    """A store, and what of it is meant.

    Attributes
    ----------
    store : str
        The same text for the same store, however it was written; without credentials.
    kind : {"all", "experiment", "run", "path"}
        What of the store.
    name : str
        Of the experiment, run or path; empty for all.
    """

    store: str
    kind: Kind = "all"
    name: str = ""

    def overlaps(self, other: Scope) -> bool:
        """Tell whether a run may belong to both; where only the tracker knows, it may."""
        if self.store != other.store:
            return False
        if self.kind == other.kind == "path":
            mine, theirs = PurePath(self.name), PurePath(other.name)
            return mine.is_relative_to(theirs) or theirs.is_relative_to(mine)
        if self.kind != other.kind or self.name == other.name:
            # a run may be one of any experiment
            return True
        # an experiment is named by its id, too
        return self.kind == "experiment" and self.name.isdigit() != other.name.isdigit()


def scope_of(address: str, settings: Settings) -> Scope:
    """Return what an address covers. An address that cannot be meant is told by `open_tracker`.

    Parameters
    ----------
    address : str
        As in `open_tracker`.
    settings : Settings
        Where the MLflow store is.
    """
    scheme, colon, target = address.partition(":")
    if colon and scheme == "mlflow":
        kind: Kind = "experiment" if target else "all"
        return Scope(_mlflow_store(settings), kind, target)
    if colon and scheme == "runs":
        return Scope(_mlflow_store(settings), "run", target.strip("/"))
    if colon and scheme == "wandb":
        parts = target.strip("/").split("/")
        run = parts[-1] if len(parts) > 2 else ""
        server = _server(os.environ.get("WANDB_BASE_URL") or _WANDB)
        return Scope("/".join((server, *parts[:2])), "run" if run else "all", run)
    return Scope(_FILES, "path", _resolved(address))


def _mlflow_store(settings: Settings) -> str:
    uri = settings.tracking_uri or _mlflow_default()
    try:
        parts = urlsplit(uri)
    except ValueError:
        return masked(uri)
    if parts.scheme.partition("+")[0] == "sqlite":
        # three slashes go before a relative path, four before an absolute one
        return f"sqlite:///{_resolved(parts.path.removeprefix('/'))}"
    if parts.scheme == "file":
        return _resolved(url2pathname(parts.path))
    # a one-letter scheme is a Windows drive
    return _resolved(uri) if len(parts.scheme) < 2 else _server(uri)


def _mlflow_default() -> str:
    # what a program set in this process is known to MLflow alone, which may not be loaded for it
    if mlflow := sys.modules.get("mlflow"):
        return str(mlflow.get_tracking_uri())
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    # MLflow's own rule for a folder without any setting
    return "mlruns" if any(Path("mlruns").glob("*/meta.yaml")) else "sqlite:///mlflow.db"


def _server(url: str) -> str:
    """Return a URL without credentials and driver, its server in small letters."""
    bare = masked(url).replace("***@", "").rstrip("/")
    scheme, _, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return f"{re.sub(r'[+].*', '', scheme).lower()}://{host.lower()}{slash}{path}"


def _resolved(path: str) -> str:
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError, ValueError):
        return path
