"""The compiled end of a search: measured candidates put in order and cut to a page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
Words = NDArray[np.uint64]
Flags = NDArray[np.uint8]
Last = tuple[float, np.uint64, np.uint64]
"""Where the page before ended: distance (below 0 for the first page), and both halves of the id."""
Work = tuple[Rows, Floats, Flags, Rows, Floats]
"""Room for candidates: rows, metres (squared chords at first), whether they answer by care at home
alone; for the order they are put in, at least one more than is on a page; and for as many numbers.
There is room for one candidate more than there are rows."""
Page = tuple[Rows, Floats, Flags]
"""Rows, metres and whether they answer by care at home, as long as the page."""


@compiled
def order_page(ids: Words, measured: int, last: Last, radius: float, work: Work, page: Page) -> int:
    """Writes the first of the measured candidates after `last` to `page`, and returns how many
    there are for it: one more than fit, when there are more."""
    rows, metres, at_home, order, _ = work
    fit = len(page[0])
    size = page_of(metres, rows, ids, measured, last, fit + 1, order)
    for i in range(min(size, fit)):
        at = order[i]
        page[0][i], page[1][i] = rows[at], metres[at]
        page[2][i] = at_home[at] or metres[at] > radius
    return size


@compiled
def page_of(
    distances: Floats,
    rows: Rows,
    ids: Words,
    count: int,
    after: Last,
    limit: int,
    out: Rows,
) -> int:
    """Writes to `out` the places in `rows` of the `limit` nearest after (distance, id), in order.

    Returns how many there are. Ties in distance are in the order of the ids.
    """
    size = 0
    for i in range(count):
        distance, high, low = distances[i], ids[rows[i], 0], ids[rows[i], 1]
        if not _follows(distance, high, low, after[0], after[1], after[2]):
            continue
        at = size
        while at > 0:
            other = int(out[at - 1])
            before = rows[other]
            if _follows(distance, high, low, distances[other], ids[before, 0], ids[before, 1]):
                break
            if at < limit:
                out[at] = other
            at -= 1
        if at < limit:
            out[at] = i
            size = min(size + 1, limit)
    return size


@compiled
def _follows(
    distance: float,
    high: np.uint64,
    low: np.uint64,
    other_distance: float,
    other_high: np.uint64,
    other_low: np.uint64,
) -> bool:
    """Whether (distance, id) comes after the other (distance, id)."""
    if distance != other_distance:
        return distance > other_distance
    if high != other_high:
        return bool(high > other_high)
    return bool(low > other_low)


@compiled
def smallest(values: Floats, count: int, which: int) -> float:
    """The `which`-th smallest of the first `count` values, counted from 1; puts them in some order
    (C. A. R. Hoare, "Algorithm 65: find", Communications of the ACM 4 (1961))."""
    wanted, low, high = which - 1, 0, count - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        up, down = low, high
        while up <= down:
            while values[up] < pivot:
                up += 1
            while values[down] > pivot:
                down -= 1
            if up <= down:
                values[up], values[down] = values[down], values[up]
                up += 1
                down -= 1
        if wanted <= down:
            high = down
        elif wanted >= up:
            low = up
        else:
            break
    return values[wanted]
