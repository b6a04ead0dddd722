"""How figures look, whoever makes them and wherever: sizes, colours, fonts, and no dates."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Literal

from dqi_tracking.report.printable import printable
from dqi_tracking.types import PhaseName

PictureFormat = Literal["png", "svg", "pdf"]

DPI = 300
COLOURS: dict[PhaseName, str] = {"early": "#0072b2", "mid": "#e69f00", "late": "#009e73"}
"""Okabe and Ito's, told apart by the colour-blind too."""
INK, RULE, SECOND, ALERT = "#1a1d21", "#dfe3e8", "#8e4585", "#c2410c"
AHEAD = "#475569"
"""What is still to come."""

OWN_FONT = "DejaVu Sans"
"""It comes with matplotlib."""
OTHER_FONTS = (
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans Arabic",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "PingFang SC",
)
"""Where they are installed, for characters that the first one lacks."""

METADATA: dict[PictureFormat, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""What would tell when and with which release a file was made is left out."""

_SETTINGS: dict[Any, Any] = {
    # a dollar or a backslash in a name is just that
    "text.parse_math": False,
    # text stays text
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "dqi",
    # the trace has chosen the vertices
    "path.simplify": False,
    "font.size": 7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.labelpad": 2,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 0.7,
    "legend.handletextpad": 0.4,
    "legend.borderaxespad": 0,
    "legend.borderpad": 0.3,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
}


@contextmanager
def figure_style(texts: Iterable[str]) -> Generator[None]:
    """Make figures inside look the same everywhere; a person's `matplotlibrc` has no part in it.

    Parameters
    ----------
    texts : iterable of str
        What will be written, so that there are fonts for it. A character that none of them has is
        drawn as a box.
    """
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        mpl.rcParams["font.family"] = _fonts(texts)
        yield


def _fonts(texts: Iterable[str]) -> list[str]:
    from matplotlib.font_manager import findfont, get_font_names
    from matplotlib.ft2font import FT2Font

    known = FT2Font(findfont(OWN_FONT)).get_charmap()
    if all(ord(character) in known for text in texts for character in printable(text)):
        return [OWN_FONT]
    installed = set(get_font_names())
    return [OWN_FONT, *(font for font in OTHER_FONTS if font in installed)]
