"""A page or report on the disk: checked before anything is read, and written whole or not."""

from __future__ import annotations

from pathlib import Path

from dqi_tracking.errors import ConfigError
from dqi_tracking.whole_file import write_whole


def checked(output: str, option: str, example: str) -> Path:
    """Return where to write, before anything is asked of a tracker.

    Parameters
    ----------
    output : str
        Path as it was given.
    option : str
        Option that it was given with, for the fix.
    example : str
        Name of a file, for the fix.

    Raises
    ------
    ConfigError
        When nothing can be written there.
    """
    try:
        # what a link points to is replaced, not the link
        path = Path(output).expanduser().resolve()
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"`{output}` is no path: {error}", fix=f"name a file with {option}"
        ) from error
    if not output or is_folder:
        raise ConfigError(
            f"`{output}` is a folder", fix=f"name a file in it: {option} {path / example}"
        )
    if not has_folder:
        raise ConfigError(
            f"there is no folder `{path.parent}`",
            fix=f"make it first, or name another with {option}",
        )
    return path


def write_checked(path: Path, content: bytes, option: str) -> None:
    """Write a file whole or not at all, so that nobody opens half of it.

    Raises
    ------
    ConfigError
        When the disk does not take it.
    """
    try:
        if path.exists() and not path.is_file():
            # a pipe or device is written to, never replaced
            path.write_bytes(content)
        else:
            write_whole(path, content)
    except OSError as error:
        raise ConfigError(
            f"`{path}` cannot be written: {error.strerror or error}",
            fix=f"free space, or name a folder that may be written to with {option}",
        ) from error
