"""The file that something learned is kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.errors import WriteRejected
from dqi_tracking.whole_file import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path, text: str, what: str) -> None:
    """Write a file; one that stood there is replaced at once, or stays as it was.

    Parameters
    ----------
    path : Path
    text : str
        Without the newline at its end.
    what : str
        What it holds, for the message.

    Raises
    ------
    WriteRejected
        When the disk does not take it.
    """
    try:
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        raise WriteRejected(
            f"the {what} cannot be written to `{path}`: {error.strerror or error}",
            fix="see that the folder is there and that you may write to it, or name another file",
        ) from error
