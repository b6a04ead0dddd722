"""A process that cannot write large files, as where a quota or a disk ends."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

LARGEST = 1_000


@contextlib.contextmanager
def no_large_files(size: int = LARGEST) -> Iterator[None]:
    """Let this process write no file beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
