"""Writes the items of an answer straight from the summaries' bytes to the answer's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled
from api.search.geometry import MILE_M

Bytes = NDArray[np.uint8]


def _text(text: bytes) -> Bytes:
    return np.frombuffer(text, np.uint8)


_NEARBY, _AT_HOME = _text(b'{"match":"nearby"'), _text(b'{"match":"at_home"')
_NO_DISTANCE = _text(b'{"match":null,"distance":null')
_M = _text(b',"distance":{"m":')
_KM = _text(b',"km":')
_MI = _text(b',"mi":')
_CLINIC = _text(b',"clinic":')
MOST_AROUND_A_SUMMARY = 128
"""Bytes of an item that are not its summary, at most."""


@compiled
def write_items(
    arena: Bytes,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    rows: NDArray[np.int32],
    metres: NDArray[np.float64],
    at_home: NDArray[np.uint8],
    out: Bytes,
) -> int:
    """Writes the items of these rows, in order and with commas between, and returns the length.

    `metres` is NaN where there is no distance; then there is no match either. `out` has room for
    the summaries and MOST_AROUND_A_SUMMARY more for each.
    """
    at = 0
    for i in range(len(rows)):
        if i:
            out[at] = 44
            at += 1
        if math.isnan(metres[i]):
            at = _put(out, at, _NO_DISTANCE)
        else:
            at = _put(out, at, _AT_HOME if at_home[i] else _NEARBY)
            at = _put_fixed(out, _put(out, at, _M), metres[i], 1)
            at = _put_fixed(out, _put(out, at, _KM), metres[i] / 1000, 3)
            at = _put_fixed(out, _put(out, at, _MI), metres[i] / MILE_M, 2)
            out[at] = 125
            at += 1
        at = _put(out, at, _CLINIC)
        start, length = int(starts[rows[i]]), int(lengths[rows[i]])
        at = _put(out, at, arena[start : start + length])
        out[at] = 125
        at += 1
    return at


@compiled
def _put(out: Bytes, at: int, text: Bytes) -> int:
    # Both from 0 on: an index that might be negative would be looked at byte by byte, which takes
    # seven times as long as the copy that the compiler makes of this.
    there = out[at : at + len(text)]
    for i in range(len(there)):
        there[i] = text[i]
    return at + len(text)


@compiled
def _put_fixed(out: Bytes, at: int, value: float, decimals: int) -> int:
    """A number that is not negative, rounded to so many decimals, all of them written."""
    scale = 1
    for _ in range(decimals):
        scale *= 10
    scaled = int(value * scale + 0.5)
    digits, bound = decimals + 1, scale * 10
    while bound <= scaled:
        digits += 1
        bound *= 10
    # One place more for the point, which stands before the last `decimals` digits.
    end = at + digits + 1
    for place in range(digits + 1):
        if place == decimals:
            out[end - 1 - place] = 46
        else:
            out[end - 1 - place] = 48 + scaled % 10
            scaled //= 10
    return end
