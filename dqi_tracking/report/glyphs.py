"""The characters and colours of drawings on a terminal, and which of them it can take."""

from __future__ import annotations

from typing import NamedTuple

from dqi_tracking.types import PhaseName

COLOURS: dict[PhaseName, str] = {"early": "bright_blue", "mid": "yellow", "late": "green"}
"""Styles of rich for each phase: the terminal's own colours, which suit its ground."""
SECOND = "magenta"
"""Style of the gradient norm's name."""
ALERT = "bold red"
"""Style of what is weakest, and of values that are not finite."""


class Glyphs(NamedTuple):
    """One set of characters, each of them one column wide.

    Attributes
    ----------
    dots : tuple of int
        Rows and columns of dots in the character of a curve.
    side, side_tick, corner, base, base_tick : str
        Parts of the axes.
    boundary : str
        Where a phase ends, beside the curve.
    shades : str
        One character for each phase.
    blocks : str
        Bars: from empty to full, in equal steps.
    mark, lost, none, times : str
        The weakest component, a value that is not finite, no number, a product.
    """

    dots: tuple[int, int]
    side: str
    side_tick: str
    corner: str
    base: str
    base_tick: str
    boundary: str
    shades: str
    blocks: str
    mark: str
    lost: str
    none: str
    times: str


UNICODE = Glyphs((4, 2), "│", "┤", "└", "─", "┴", "┊", "░▒▓", "·▏▎▍▌▋▊▉█", "◂", "×", "–", "×")
ASCII = Glyphs((2, 1), "|", "+", "+", "-", "+", "!", ".=#", ".#", "<", "x", "-", "x")

_BRAILLE = 0x2800
# bits of the dots of one braille character, by row and column
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ASCII_DOTS = " '.:"


def glyphs_of(encoding: str) -> Glyphs:
    """Return the characters for an output: braille and blocks where it can encode them."""
    drawn = "".join(part for part in UNICODE if isinstance(part, str)) + chr(_BRAILLE + 0xFF)
    return UNICODE if encodable(drawn, encoding) == drawn else ASCII


def encodable(text: str, encoding: str) -> str:
    """Return text with a `?` for each character that an encoding does not have."""
    try:
        return text.encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "replace").decode("ascii")


def dotted(lit: list[list[int]], glyphs: Glyphs) -> str:
    """Return the character of one cell; a space where no dot is lit.

    Parameters
    ----------
    lit : list of list of int
        1 for each dot that is lit, in the shape of `glyphs.dots`.
    glyphs : Glyphs
    """
    if glyphs.dots == UNICODE.dots:
        pairs = zip(_BITS, lit, strict=True)
        code = sum(bit * on for bits, row in pairs for bit, on in zip(bits, row, strict=True))
        return chr(_BRAILLE + code) if code else " "
    (above,), (below,) = lit
    return _ASCII_DOTS[above + 2 * below]


def bar(value: float, width: int = 10, glyphs: Glyphs = UNICODE) -> str:
    """Return a component in [0, 1] as a bar, `width` characters long; NaN as an empty one."""
    # no comparison with NaN is true
    value = min(value, 1.0) if value > 0.0 else 0.0
    steps = len(glyphs.blocks) - 1
    full, rest = divmod(round(value * width * steps), steps)
    return (glyphs.blocks[-1] * full + (glyphs.blocks[rest] if rest else "")).ljust(
        width, glyphs.blocks[0]
    )
