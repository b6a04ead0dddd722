"""The blob store: signed-looking URLs, upload by PUT, download by GET and HEAD, with ranges."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote

PREFIX = "/storage/"


@dataclass
class Blobs:
    """Bytes by key, at URLs under `base`."""

    base: str
    _bytes: dict[str, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_key(self, name: str) -> str:
        """Return a key that nothing is stored under yet."""
        return f"{uuid.uuid4().hex}/{quote(name)}"

    def url(self, key: str) -> str:
        """Return where a blob is put and got."""
        return f"{self.base}{PREFIX}{key}?signature=loopback"

    def put(self, key: str, data: bytes) -> None:
        """Store a blob."""
        with self._lock:
            self._bytes[key] = data

    def get(self, key: str | None) -> bytes | None:
        """Return a blob, or None where none was uploaded."""
        with self._lock:
            return self._bytes.get(key or "")

    def drop(self, key: str | None) -> None:
        """Forget a blob."""
        with self._lock:
            self._bytes.pop(key or "", None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._bytes.clear()


def md5_of(data: bytes) -> str:
    """Return a digest as W&B writes it."""
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def ranged(data: bytes, header: str | None) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of an answer with the bytes that a Range header asks for."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not found or found.groups() == ("", ""):
        return 200, data, headers
    first, last = found.groups()
    start = int(first) if first else max(len(data) - int(last), 0)
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        return 416, b"", headers | {"Content-Range": f"bytes */{len(data)}"}
    return (
        206,
        data[start : end + 1],
        headers | {"Content-Range": f"bytes {start}-{end}/{len(data)}"},
    )
