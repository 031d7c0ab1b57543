"""The compiled inner loop of search: how many clinics are within reach, and the nearest of them.

A layer is a set of rows of the index in spatial order under two levels of bounding boxes (see
`layers.py`). A search looks at two: `site`, the clinics that answer by care at their site wherever
the asker lives, and `own`, those that answer differently in the asker's state. Each row of `own`
has a weight that says how:

- ADDED answers by care at its site, and only in this state;
- AT_HOME_ONLY answers by care at home alone, however far away it is;
- ALSO_AT_HOME stands in `site` too, and answers beyond the radius as well, by care at home.

Every row of `site` is ADDED. So all answers are the at-home ones, plus the weights of all rows
within the radius. A group of boxes that lies within the radius as a whole is counted by sums that
are kept of it; only rows of boxes that the radius cuts are looked at one by one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from api.search.chords import (
    chord2_of_longest,
    chord2_to,
    longest_of,
    most_distant2,
    nearest2,
    shortest_of,
)
from api.search.compiled import compiled
from api.search.geodesic import LONGEST_SHORT_M, geodesic, in_space, prepared, short_geodesic
from api.search.page_kernel import (
    Floats,
    Last,
    Page,
    Rows,
    Words,
    Work,
    order_page,
    smallest,
)

Columns = tuple[Floats, Floats]
"""Of every clinic its place in space (n, 3), and what `geodesic` takes of it (n, 3)."""
"""Of every clinic its place in space (n, 3), and what `geodesic` takes of it (n, 3)."""
Marks = NDArray[np.uint32]
Layer = tuple[Rows, Floats, Floats, Marks, NDArray[np.int16], int, int]
"""Rows, boxes, groups of boxes, marks by box, sums by group, rows a box, boxes a group.

A mark has a bit for each row of a box. The first two of a box say which rows have a weight of 1 and
which of -1; each code that is counted follows with the rows that have it. Sums are of the weights
of all rows of a group, then of those that have each code.
"""
Reach = tuple[float, float, float]
"""The radius in metres, and the squared chords up to which a row is surely within it and beyond
which it is surely not. Between them the geodesic decides."""
Spot = tuple[tuple[float, float, float], tuple[float, float, float]]
"""The point asked from: in space, and as `geodesic` takes it."""

ADDED, AT_HOME_ONLY, ALSO_AT_HOME = 1, 0, -1
_BEYOND, _ACROSS, _WITHIN = 0, 1, 2
_NONE, _ALL = np.uint32(0), np.uint32(0xFFFFFFFF)
_SPARE = 8
"""So many times the candidates that are wanted are gathered before those too far away are dropped.
"""


@compiled
def near_page(
    columns: Columns,
    ids: Words,
    site: Layer,
    own: Layer,
    origin: tuple[float, float],
    reach: Reach,
    last: Last,
    totals: NDArray[np.int64],
    work: Work,
    page: Page,
) -> tuple[int, int, int]:
    """The commonest search in one call: how many answer, and the page after `last`.

    Adds to `totals` the number of answers within the radius, then how many of them have each code
    that the layers count. Writes rows, metres and whether they answer by care at home to `page`, as
    many as fit. Returns how many there are for the page (one more than fit, when there are more),
    how many candidates were measured, and how many of those are nearly antipodal (NaN metres): then
    the caller measures them, and calls `order_page`.
    """
    spot = in_space(origin[0], origin[1]), prepared(origin[0], origin[1])
    count_within(columns, site, spot, reach, totals)
    count_within(columns, own, spot, reach, totals)
    found = _candidates(columns, site, own, spot, reach, last[0], len(page[0]) + 1, work)
    measured, undecided = _measure(columns, spot, work, found)
    return order_page(ids, measured, last, reach[0], work, page), measured, undecided


@compiled
def collect(
    columns: Columns,
    layer: Layer,
    origin: tuple[float, float],
    reach: Reach,
    farthest2: float,
    work: Work,
    found: int,
) -> int:
    """Adds every row of the layer that answers, up to a squared chord, to the candidates, with its
    squared chord; returns how many there are then."""
    spot = in_space(origin[0], origin[1]), prepared(origin[0], origin[1])
    everyone = len(work[0])
    return _walk(columns, layer, spot, reach, (-1.0, -1.0), everyone, work, found, farthest2)[0]


@compiled
def count_within(
    columns: Columns, layer: Layer, spot: Spot, reach: Reach, totals: NDArray[np.int64]
) -> None:
    """Adds to `totals` the weights of all rows within reach, and of those with each code."""
    rows, boxes, groups, marks, sums, per_box, per_group = layer
    for group in range(len(groups)):
        side = _side(groups, group, spot[0], reach)
        if side == _WITHIN:
            for k in range(len(totals)):
                totals[k] += sums[group, k]
        elif side == _ACROSS:
            for box in range(group * per_group, min((group + 1) * per_group, len(boxes))):
                side = _side(boxes, box, spot[0], reach)
                if side == _WITHIN:
                    _count(marks, box, _ALL, totals)
                elif side == _ACROSS:
                    first, end = box * per_box, min((box + 1) * per_box, len(rows))
                    _count(marks, box, _rows_within(columns, rows, first, end, spot, reach), totals)


@compiled
def _side(boxes: Floats, box: int, here: tuple[float, float, float], reach: Reach) -> int:
    """Whether a box lies beyond reach, across its edge, or within."""
    if nearest2(boxes, box, here) > reach[2]:
        return _BEYOND
    return _WITHIN if most_distant2(boxes, box, here) <= reach[1] else _ACROSS


@compiled
def _rows_within(
    columns: Columns, rows: Rows, first: int, end: int, spot: Spot, reach: Reach
) -> np.uint32:
    """A bit for each row of a box: whether it is within the radius.

    No branch here depends on where a row is: half of the guesses of a processor would be wrong.
    """
    space, (x, y, z) = columns[0], spot[0]
    _, inside2, outside2 = reach
    within = undecided = np.uint32(0)
    for i in range(first, end):
        chord2 = chord2_to(space, rows[i], x, y, z)
        within |= np.uint32(chord2 <= inside2) << np.uint32(i - first)
        undecided |= np.uint32(chord2 <= outside2) << np.uint32(i - first)
    undecided ^= within
    if undecided:
        for i in range(first, end):
            mark = np.uint32(1) << np.uint32(i - first)
            if undecided & mark and _is_within(columns, rows[i], spot, reach):
                within |= mark
    return within


@compiled
def _is_within(columns: Columns, row: int, spot: Spot, reach: Reach) -> bool:
    """Callers ask for no radius so large that a row near it is nearly antipodal."""
    chord2 = chord2_to(columns[0], row, spot[0][0], spot[0][1], spot[0][2])
    if reach[1] < chord2 <= reach[2]:
        return _metres(columns, row, chord2, spot) <= reach[0]
    return chord2 <= reach[1]


@compiled
def _count(marks: Marks, box: int, within: np.uint32, totals: NDArray[np.int64]) -> None:
    added, taken = marks[box, 0] & within, marks[box, 1] & within
    totals[0] += _ones(added) - _ones(taken)
    for k in range(1, len(totals)):
        having = marks[box, 1 + k]
        totals[k] += _ones(added & having) - _ones(taken & having)


@compiled
def _ones(word: np.uint32) -> int:
    """How many bits are set, as processors without an instruction for it count them: sums of
    neighbours, then of pairs, then of fours. LLVM knows the form, and uses the instruction."""
    word -= (word >> np.uint32(1)) & np.uint32(0x55555555)
    word = (word & np.uint32(0x33333333)) + ((word >> np.uint32(2)) & np.uint32(0x33333333))
    word = (word + (word >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return int(np.uint32(word * np.uint32(0x01010101)) >> np.uint32(24))


@compiled
def _candidates(
    columns: Columns,
    site: Layer,
    own: Layer,
    spot: Spot,
    reach: Reach,
    after: float,
    wanted: int,
    work: Work,
) -> int:
    """Writes to `work` every answer that may be among the `wanted` nearest beyond the distance
    `after`, with its squared chord, and returns how many there are."""
    # after < 0 means from the start; a distance of exactly `after` is left to the order by id.
    beyond = (-1.0, -1.0)
    if after >= 0:
        beyond = (shortest_of(after) ** 2, longest_of(after) ** 2)
    found, farthest2 = _walk(columns, site, spot, reach, beyond, wanted, work, 0, reach[2])
    if found < wanted:
        farthest2 = np.inf
    found, _ = _walk(columns, own, spot, reach, beyond, wanted, work, found, farthest2)
    return found


@compiled
def _walk(
    columns: Columns,
    layer: Layer,
    spot: Spot,
    reach: Reach,
    beyond: tuple[float, float],
    wanted: int,
    work: Work,
    found: int,
    farthest2: float,
) -> tuple[int, float]:
    """Adds candidates up to the squared chord `farthest2` behind those `found`; returns how many
    there are then, and how far the farthest may be now that so many are known.

    The nearest box comes first, so that most others are then too far away.
    """
    _, boxes, groups, _, _, _, per_group = layer
    many = _SPARE * wanted
    start = _nearest_box(layer, spot[0], beyond[1])
    if start >= 0:
        found = _take(columns, layer, start, spot, reach, beyond[0], farthest2, work, found)
        found, farthest2 = _thin(wanted, beyond[1], farthest2, work, found)
    for group in range(len(groups)):
        if nearest2(groups, group, spot[0]) > farthest2:
            continue
        for box in range(group * per_group, min((group + 1) * per_group, len(boxes))):
            if box == start or nearest2(boxes, box, spot[0]) > farthest2:
                continue
            found = _take(columns, layer, box, spot, reach, beyond[0], farthest2, work, found)
            if found > many:
                found, farthest2 = _thin(wanted, beyond[1], farthest2, work, found)
                # Where many stand at one point none can be dropped: not tried again at every box.
                many = max(many, 2 * found)
    return _thin(wanted, beyond[1], farthest2, work, found)


@compiled
def _nearest_box(layer: Layer, here: tuple[float, float, float], surely2: float) -> int:
    """The box nearest to a point, in the group nearest to it, that has something beyond the
    squared chord `surely2`; -1 when there is none."""
    _, boxes, groups, _, _, _, per_group = layer
    group = _nearest_of(groups, 0, len(groups), here, surely2)
    if group < 0:
        return -1
    last = min((group + 1) * per_group, len(boxes))
    return _nearest_of(boxes, group * per_group, last, here, surely2)


@compiled
def _nearest_of(
    boxes: Floats, first: int, last: int, here: tuple[float, float, float], surely2: float
) -> int:
    found, least2 = -1, np.inf
    for box in range(first, last):
        chord2 = nearest2(boxes, box, here)
        if chord2 < least2 and most_distant2(boxes, box, here) > surely2:
            found, least2 = box, chord2
    return found


@compiled
def _take(
    columns: Columns,
    layer: Layer,
    box: int,
    spot: Spot,
    reach: Reach,
    not_before2: float,
    farthest2: float,
    work: Work,
    found: int,
) -> int:
    """Makes candidates of the rows of a box that answer and are neither too near nor too far.

    Each row is written behind the others, and stays there if it is one: no branch to be guessed.
    """
    rows, boxes, _, marks, _, per_box, _ = layer
    out_rows, out_chords2, out_at_home, _, _ = work
    space, (x, y, z) = columns[0], spot[0]
    first, end = box * per_box, min((box + 1) * per_box, len(rows))
    side = _side(boxes, box, spot[0], reach)
    within = _ALL if side == _WITHIN else _NONE
    if side == _ACROSS:
        within = _rows_within(columns, rows, first, end, spot, reach)
    added, also_at_home = marks[box, 0], marks[box, 1]
    at_home = ~(added | also_at_home)
    answering = (added & within) | (also_at_home & ~within) | at_home
    for i in range(first, end):
        row, shift = rows[i], np.uint32(i - first)
        chord2 = chord2_to(space, row, x, y, z)
        out_rows[found], out_chords2[found] = row, chord2
        out_at_home[found] = at_home >> shift & np.uint32(1)
        answers = answering >> shift & np.uint32(1)
        found += int(answers) & int(not_before2 <= chord2) & int(chord2 <= farthest2)
    return found


@compiled
def _thin(
    wanted: int, surely2: float, farthest2: float, work: Work, found: int
) -> tuple[int, float]:
    """Drops candidates that are not among the `wanted` nearest of those beyond `surely2`; returns
    how many are left, and the largest squared chord that another one may have."""
    rows, chords2, at_home, _, room = work
    count = 0
    for i in range(found):
        room[count] = chords2[i]
        count += int(chords2[i] > surely2)
    if count < wanted:
        return found, farthest2
    farthest2 = min(farthest2, chord2_of_longest(smallest(room, count, wanted)))
    kept = 0
    for i in range(found):
        chord2 = chords2[i]
        rows[kept], chords2[kept], at_home[kept] = rows[i], chord2, at_home[i]
        kept += int(chord2 <= farthest2)
    return kept, farthest2


@compiled
def _measure(columns: Columns, spot: Spot, work: Work, found: int) -> tuple[int, int]:
    """Puts geodesics in the place of the candidates' squared chords. Returns how many there are,
    and how many of them are nearly antipodal."""
    rows, metres = work[0], work[1]
    undecided = 0
    for i in range(found):
        metres[i] = _metres(columns, rows[i], metres[i], spot)
        undecided += int(math.isnan(metres[i]))
    return found, undecided


@compiled
def _metres(columns: Columns, row: int, chord2: float, spot: Spot) -> float:
    """The geodesic to a row at this squared chord; NaN when it is nearly antipodal."""
    space, ready = columns
    if chord2 <= LONGEST_SHORT_M**2:
        return short_geodesic(spot[0], space[row, 0], space[row, 1], space[row, 2], chord2)
    return geodesic(spot[1], ready[row, 0], ready[row, 1], ready[row, 2])
