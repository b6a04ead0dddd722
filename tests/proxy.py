"""A loopback reverse proxy that counts the requests to a real server, and spoils some of them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te"}
READ_METHODS = {"GET", "HEAD", "OPTIONS"}
UPSTREAM_SECONDS = 60.0

When = Callable[[str, str, bytes], bool]


@dataclass(frozen=True)
class Answer:
    """A response as the proxy hands it on."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass
class _Rule:
    when: When
    act: Callable[[_Handler, bytes], None]
    left: int | None


class FaultProxy:
    """A reverse proxy in front of `upstream`, at `uri` while its context is open.

    Rules are asked in the order they were added; the first that fits acts, at most `times` times.
    A rule's `when` gets the method, the request target with its query, and the body.
    """

    def __init__(self, upstream: str) -> None:
        parts = urllib.parse.urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._rules: list[_Rule] = []
        self._releases: list[threading.Event] = []
        self._sockets: set[socket.socket] = set()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="fault-proxy"
        )
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for release in self._releases:
                release.set()
            for connection in self._sockets:
                # Idle kept-alive connections would keep their threads reading for ever.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """The number of requests by method and path (without the query)."""
        with self._lock:
            return self._counts.copy()

    @property
    def writes(self) -> int:
        """The number of requests that may change something: neither reads nor searches."""
        return sum(
            number
            for (method, path), number in self.counts.items()
            if method not in READ_METHODS and not path.endswith("/search")
        )

    def reset(self) -> None:
        """Forget the counts and the rules."""
        with self._lock:
            self._counts.clear()
            self._rules.clear()

    def fail(
        self,
        when: When,
        *,
        status: int = 502,
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        applied: bool = False,
    ) -> None:
        """Answer with an error; `applied` lets the server carry out the request before."""

        def act(handler: _Handler, sent: bytes) -> None:
            if applied:
                handler.forward(sent)
            handler.answer(Answer(status, list((headers or {}).items()), body))

        self._add(when, act, times)

    def cut(self, when: When, *, times: int | None = None, aborted: bool = False) -> None:
        """Send half of the server's body, as if it were all; `aborted` keeps its full length."""

        def act(handler: _Handler, sent: bytes) -> None:
            answer = handler.forward(sent)
            half = answer.body[: len(answer.body) // 2]
            length = len(answer.body) if aborted else len(half)
            handler.answer(Answer(answer.status, answer.headers, half), length=length)
            handler.close_connection = True

        self._add(when, act, times)

    def hang(
        self,
        when: When,
        release: threading.Event | None = None,
        *,
        times: int | None = None,
        applied: bool = False,
    ) -> None:
        """Answer nothing until `release` is set (closing sets it), then drop the connection."""
        event = release or threading.Event()
        with self._lock:
            self._releases.append(event)

        def act(handler: _Handler, sent: bytes) -> None:
            if applied:
                handler.forward(sent)
            event.wait()
            handler.close_connection = True

        self._add(when, act, times)

    def drip(
        self, when: When, *, times: int | None = None, size: int = 16, interval: float = 0.05
    ) -> None:
        """Send the server's body in pieces of `size` bytes, one in each `interval` seconds."""

        def act(handler: _Handler, sent: bytes) -> None:
            answer = handler.forward(sent)
            handler.answer(Answer(answer.status, answer.headers), length=len(answer.body))
            for start in range(0, len(answer.body), size):
                handler.wfile.write(answer.body[start : start + size])
                if self.closing.wait(interval):
                    handler.close_connection = True
                    return

        self._add(when, act, times)

    def _add(self, when: When, act: Callable[[_Handler, bytes], None], times: int | None) -> None:
        with self._lock:
            self._rules.append(_Rule(when, act, times))

    def _take(self, method: str, target: str, body: bytes) -> _Rule | None:
        """Count a request and return the rule that spoils it, if any."""
        with self._lock:
            self._counts[method, urllib.parse.urlsplit(target).path] += 1
            for rule in self._rules:
                if rule.left != 0 and rule.when(method, target, body):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule
        return None

    @contextlib.contextmanager
    def _open(self, connection: socket.socket) -> Iterator[None]:
        """Let closing shut this socket down while the context is open."""
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that gave up, or closing, is what these tests are about.
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.proxy._open(self.connection):
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass

    def serve(self) -> None:
        body = self._body()
        rule = self.server.proxy._take(self.command, self.path, body)
        if rule:
            rule.act(self, body)
        else:
            self.answer(self.forward(body))

    # http.server asks for these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def forward(self, body: bytes) -> Answer:
        """Carry out the request on the real server."""
        host, port = self.server.proxy.upstream
        with contextlib.closing(
            http.client.HTTPConnection(host, port, timeout=UPSTREAM_SECONDS)
        ) as connection:
            connection.connect()
            with self.server.proxy._open(connection.sock):
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_HEADERS}
                connection.request(self.command, self.path, body or None, headers)
                response = connection.getresponse()
                kept = [(k, v) for k, v in response.getheaders() if k.lower() not in HOP_HEADERS]
                return Answer(response.status, kept, response.read())

    def answer(self, answer: Answer, *, length: int | None = None) -> None:
        """Send a response, with the length of its body unless another is given."""
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
