"""The server: routes, counts, and what tests put in and look up without a client."""

from __future__ import annotations

import contextlib
import json
import threading
import traceback
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator

from tests.wandb_server import file_stream, graphql
from tests.wandb_server.behaviour import Behaviour
from tests.wandb_server.blobs import PREFIX, Blobs, ranged
from tests.wandb_server.context import Context
from tests.wandb_server.exchange import Answer, Request, Seen, json_answer
from tests.wandb_server.faults import Faults
from tests.wandb_server.http import HttpServer
from tests.wandb_server.mutations import Root
from tests.wandb_server.seeding import Seeding
from tests.wandb_server.store import Refused, RunFile, Store

USER = "tester"
TEAM = "team"
API_KEY = "0123456789abcdef0123456789abcdef01234567"


class WandbServer(Seeding, Faults):
    """A W&B server at `url` for `api_key`, which may write to the entities `tester` and `team`.

    `behaviour` says what the cloud is not known to do; `requests` are counted since the last
    `reset_counts`. Faults (`fail`, `hang`, ...) and seeds (`add_run`, ...) come from its bases.
    """

    def __init__(self) -> None:
        Faults.__init__(self)
        self.api_key = API_KEY
        self.entity = TEAM
        self.behaviour = Behaviour()
        self._requests: list[Request] = []
        self._log_lock = threading.Lock()
        self.errors: list[str] = []
        self.uploads: dict[str, RunFile] = {}
        self._http = HttpServer(self._handle, self._log, self)
        self.url = self._http.url
        self.blobs = Blobs(self.url)
        self.store = Store(USER, {USER, TEAM})
        self._http.start()

    def stop(self) -> None:
        """End the server and all its threads."""
        self._http.stop()

    def reset(self) -> None:
        """Forget everything: runs, counts, faults, settings."""
        self.clear()
        self.blobs.clear()
        self.behaviour = Behaviour()
        self.store = Store(USER, {USER, TEAM})
        self.errors.clear()
        self.uploads.clear()
        self.reset_counts()

    def reset_counts(self) -> None:
        """Forget the requests."""
        with self._log_lock:
            self._requests.clear()

    @property
    def seen(self) -> list[Request]:
        """The requests, whole."""
        with self._log_lock:
            return list(self._requests)

    @property
    def requests(self) -> list[Seen]:
        """The requests: ("query", "Runs"), ("file_stream", "POST"), ("storage", "PUT"), ..."""
        return [Seen(request.kind, request.operation) for request in self.seen]

    @property
    def counts(self) -> Counter[Seen]:
        """The number of requests of each kind and name."""
        return Counter(self.requests)

    @property
    def mutations(self) -> list[str]:
        """The names of the mutations."""
        return [request.operation for request in self.seen if request.kind == "mutation"]

    @property
    def writes(self) -> list[Seen]:
        """The requests that may change something: mutations, file streams, uploads."""
        return [Seen(r.kind, r.operation) for r in self.seen if r.writes]

    def _log(self, request: Request) -> None:
        with self._log_lock:
            self._requests.append(request)

    def _handle(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except Refused as refused:
            return json_answer({"error": str(refused)}, refused.status)
        except Exception:  # noqa: BLE001 - a bug of the server is told to the test, as a 500
            self.errors.append(traceback.format_exc())
            return Answer(500)

    def _route(self, request: Request) -> Answer:
        if request.path.startswith(PREFIX):
            return self._storage(request)
        if request.kind == "other":
            return json_answer({"error": "not found"}, 404)
        if not self._authorized(request):
            message = "user is not logged in"
            return json_answer({"errors": [{"message": message}], "error": message}, 401)
        with self.store.lock:
            if request.kind == "file_stream":
                entity, project, run = request.path.split("/")[2:5]
                file_stream.apply(self.store, entity, project, run, json.loads(request.body))
                return json_answer({})
            context = Context(self.store, self.blobs, self.behaviour, self.uploads)
            status, value = graphql.answer(Root(context), request.document)
        if status >= 500:
            self.errors.append(json.dumps(value.get("errors")))
        return json_answer(value, status)

    def _authorized(self, request: Request) -> bool:
        wanted = "Basic " + b64encode(f"api:{self.api_key}".encode()).decode()
        return request.headers.get("authorization") == wanted

    def _storage(self, request: Request) -> Answer:
        key = request.path.removeprefix(PREFIX)
        if request.method == "PUT":
            self.blobs.put(key, request.body)
            with self.store.lock:
                if file := self.uploads.get(key):
                    file.blob, file.updated_at = key, self.store.now()
            return Answer(200)
        data = self.blobs.get(key)
        if data is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return Answer(*ranged(data, request.headers.get("range")))


@contextlib.contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """Run a server while the context is open."""
    server = WandbServer()
    try:
        yield server
    finally:
        server.stop()
