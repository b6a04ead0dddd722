"""A request as the server sees it, and the answer that it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.wandb_server import graphql
from tests.wandb_server.blobs import PREFIX


class Seen(NamedTuple):
    """One counted request: "query", "mutation", "file_stream", "storage" or "other", its name."""

    kind: str
    operation: str


@dataclass(frozen=True)
class Request:
    """A request; `operation` is the name of a GraphQL operation, else the method."""

    method: str
    path: str
    kind: str
    operation: str
    variables: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes
    document: dict[str, Any]

    @property
    def writes(self) -> bool:
        """Whether the request is meant to change something."""
        return self.kind in {"mutation", "file_stream"} or (
            self.kind == "storage" and self.method == "PUT"
        )


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON; NaN is not JSON and fails here."""
    body = json.dumps(value, allow_nan=False).encode()
    return Answer(status, body, {"Content-Type": "application/json"})


def read(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Return what a request asks for."""
    kind, operation, document = "other", method, {}
    if path == "/graphql" and method == "POST":
        document = _object(body)
        kind, operation = graphql.operation(str(document.get("query") or ""))
    elif path.startswith("/files/") and path.endswith("/file_stream"):
        kind, operation = "file_stream", method
    elif path.startswith(PREFIX):
        kind = "storage"
    variables = document.get("variables") or {}
    return Request(method, path, kind, operation, variables, headers, body, document)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
