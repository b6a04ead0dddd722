"""Names from a tracker as text that can be shown: data, never trusted."""

from __future__ import annotations

import re

# control characters that are no white space, direction marks, halves of a surrogate pair
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    r"\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str, *, limit: int | None = None) -> str:
    """Return text on one line without control characters, as can be encoded in UTF-8.

    Terminal escapes lose the character that makes them one; direction overrides and lone
    surrogates are dropped. Markup is left as it is: escaping it is the page's part.

    Parameters
    ----------
    text : str
        Any string.
    limit : int, optional
        Longest result in characters; a longer one ends in an ellipsis.
    """
    line = " ".join(_INVISIBLE.sub("", text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"
