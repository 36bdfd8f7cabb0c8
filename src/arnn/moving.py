"""A moving picture of the book: its data, as the page carries them, and the place where it stands.

The drawing is done by `book/_static/moving.js` from these data alone, so that a page works without
a network. Where no script runs, a sentence points to the standing figure that accompanies it.
"""

import json
import math
import re
from dataclasses import dataclass

import numpy as np

FALLBACK = "The picture that moves needs scripts; the figure on this page shows the same standing."


@dataclass(frozen=True)
class MovingPicture:
    """A picture that the reader moves; shown in a page as an element with its data in JSON.

    Args:
        kind: which drawing of moving.js it is, lower-case words with hyphens, such as
            "curie-weiss".
        data: what the drawing reads, a dict of JSON values and NumPy arrays.
        digits: decimals that are kept of every number.

    Raises:
        ValueError: `kind` is no such name, or a number is not finite.
        TypeError: the data hold something else.
    """

    kind: str
    data: dict
    digits: int = 4

    def __post_init__(self):
        if not re.fullmatch(r"[a-z]+(-[a-z]+)*", self.kind):
            raise ValueError(f"kind must be lower-case words with hyphens, not {self.kind!r}")
        self.json()

    def json(self):
        """The data as JSON, rounded; safe inside a script element."""
        rounded = _rounded(self.data, self.digits)
        text = json.dumps(rounded, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")

    def __repr__(self):
        return f"A moving picture, {self.kind}. {FALLBACK}"

    def _repr_html_(self):
        return (
            f'<div class="moving" data-picture="{self.kind}"><p>{FALLBACK}</p>'
            f'<script type="application/json">{self.json()}</script></div>'
        )


def _rounded(value, digits):
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part, digits) for part in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the data of a picture must be finite, but hold {value}")
        short = round(value, digits)
        return int(short) if short.is_integer() else short  # also makes 0 of -0.0
    return value
