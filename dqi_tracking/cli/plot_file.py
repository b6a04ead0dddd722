"""Where a picture goes: its format by its name, and all of it or nothing on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from dqi_tracking.errors import ConfigError, WriteRejected
from dqi_tracking.whole_file import write_whole

if TYPE_CHECKING:
    from dqi_tracking.report.figure_style import PictureFormat

LEAST, MOST = 2.0, 40.0
"""Inches."""


class PlotFile(NamedTuple):
    """A file that a picture is to be written to.

    Attributes
    ----------
    path : Path
    format : {"png", "svg", "pdf"}
    size : tuple of float
        Width and height in inches.
    """

    path: Path
    format: PictureFormat
    size: tuple[float, float]

    @classmethod
    def of(cls, path: Path, size: str) -> PlotFile:
        """Check what was asked for, before anything is read.

        Parameters
        ----------
        path : Path
        size : str
            Width and height, in inches, such as ``3.5,2.6``.

        Raises
        ------
        ConfigError
            When the name ends in no known format, its folder does not exist, or the size is none.
        """
        from dqi_tracking.report.figure_style import PictureFormat

        found = (kind for kind in get_args(PictureFormat) if path.suffix.lower() == f".{kind}")
        kind: PictureFormat | None = next(found, None)
        if kind is None:
            raise ConfigError(
                f"`{path}` names no known kind of picture", fix="end it in .png, .svg or .pdf"
            )
        return cls(_free(path), kind, _size(size))

    def write(self, picture: bytes) -> None:
        """Write a picture; a file that stood there is replaced at once, or stays as it was.

        Raises
        ------
        WriteRejected
            When the disk does not take it.
        """
        try:
            # what a link leads to is replaced, not the link
            write_whole(self.path.resolve(), picture)
        except OSError as error:
            raise WriteRejected(
                f"the plot cannot be written to `{self.path}`: {error.strerror}",
                fix="see that there is room and that you may write there, or name another place",
            ) from error


def _free(path: Path) -> Path:
    try:
        path = path.expanduser()
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"no plot can go to `{path}`: {reason}", fix="name another file"
        ) from error
    if is_folder:
        raise ConfigError(f"`{path}` is a folder", fix="name a file")
    if not has_folder:
        raise ConfigError(
            f"no folder `{path.parent}` for the plot", fix="make it, or name another with --plot"
        )
    return path


def _size(text: str) -> tuple[float, float]:
    try:
        width, height = map(float, text.split(","))
    except ValueError:
        width = height = 0.0
    if not all(LEAST <= side <= MOST for side in (width, height)):
        raise ConfigError(
            f"--plot-size `{text}` is no size",
            fix=f"give width and height in inches, {LEAST:g} to {MOST:g} each, such as 3.5,2.6",
        )
    return width, height
