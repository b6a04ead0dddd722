"""What the resolvers share: the store, the blobs, and the server's settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.wandb_server.behaviour import Behaviour
from tests.wandb_server.blobs import Blobs
from tests.wandb_server.store import RunFile, Store


@dataclass(frozen=True)
class Context:
    """The server's parts; `uploads` tells which file of a run a URL was made for."""

    store: Store
    blobs: Blobs
    behaviour: Behaviour
    uploads: dict[str, RunFile] = field(default_factory=dict)
