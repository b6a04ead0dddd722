"""A file on the disk that is there as a whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; one that stood there is replaced at once, or stays as it was.

    Parameters
    ----------
    path : Path
        Where it goes. A link there is replaced, not followed.
    content : bytes

    Raises
    ------
    OSError
        When the disk does not take it.
    """
    # a name of its own, for a second process may write the same file
    part = path.with_name(f".dqi-{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
