"""HTTP: one thread a connection, kept alive, all of them ended with the server."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.wandb_server.exchange import Answer, Request, read
from tests.wandb_server.faults import Exchange, Faults

Handle = Callable[[Request], Answer]


class HttpServer(ThreadingHTTPServer):
    """A server on a free port of the loopback; `stop` leaves no thread."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, handle: Handle, log: Callable[[Request], None], faults: Faults) -> None:
        self.handle, self.log, self.faults = handle, log, faults
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="wandb-server"
        )

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and wait for their threads."""
        self.faults.closing.set()
        self.faults.clear()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._sockets:
                # Idle kept-alive connections would keep their threads reading for ever.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    @contextlib.contextmanager
    def tracked(self, connection: socket.socket) -> Any:
        """Let `stop` shut this socket down while the context is open."""
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that gave up, or closing, is what faults are about.
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads a request, counts it, and answers it or lets a fault spoil it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def handle(self) -> None:
        with self.server.tracked(self.connection):
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass

    def serve(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = read(self.command, urlsplit(self.path).path, headers, body)
        self.server.log(request)
        exchange: Exchange = _Exchange(self, request)
        if not self.server.faults.spoil(request, exchange):
            exchange.send(exchange.carry_out())

    # http.server asks for these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        zipped = self.headers.get("Content-Encoding", "").lower() == "gzip"
        return gzip.decompress(body) if zipped else body


class _Exchange:
    """One request and its connection, as faults see them."""

    def __init__(self, handler: Handler, request: Request) -> None:
        self._handler = handler
        self._request = request

    def carry_out(self) -> Answer:
        return self._handler.server.handle(self._request)

    def send(self, answer: Answer, *, length: int | None = None) -> None:
        handler = self._handler
        handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body) if length is None else length))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def close(self) -> None:
        self._handler.close_connection = True
