"""The compiled inner loop of search: which clinics are within reach, and the nearest of them.

Every array is a column of the index, one row a clinic; the first `in_boxes` rows lie in spatial
order under two levels of bounding boxes, the rest (written lately, or without a point) in none.
A clinic without a point has NaN coordinates, which no comparison finds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from api.search.bits import count_bits
from api.search.compiled import compiled
from api.search.geodesic import geodesic, in_space, prepared
from api.search.geometry import SLACK_M, TIGHTEST_RADIUS_M, WIDEST_RADIUS_M

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
Words = NDArray[np.uint64]

ROWS_PER_BOX = 32
BOXES_PER_GROUP = 32
AT_HOME_BIT = np.uint8(2)


@compiled
def _box_chord2(box: Floats, x: float, y: float, z: float) -> float:
    """The square of the shortest chord from a point in space to a box."""
    dx = max(box[0] - x, 0.0, x - box[3])
    dy = max(box[1] - y, 0.0, y - box[4])
    dz = max(box[2] - z, 0.0, z - box[5])
    return dx * dx + dy * dy + dz * dz


@compiled
def collect(
    columns: tuple[Floats, Floats],
    boxes: tuple[Floats, Floats],
    in_boxes: int,
    passes: NDArray[np.uint8],
    chosen: Rows,
    scan: bool,
    here: tuple[float, float, float],
    centre: tuple[float, float, float],
    radius: float,
    chords: tuple[float, float],
    rows: Rows,
    chords2: Floats,
) -> tuple[int, int]:
    """Fills `rows` and `chords2` with every row that passes within the geodesic radius.

    `scan` goes through the `chosen` rows; otherwise it walks outward over all rows whose `passes`
    is not 0. Of `chords`, up to the first a row is surely within, beyond the second surely not;
    between them the geodesic decides. `columns` are space and the
    prepared points, `boxes` boxes and groups.
    Returns how many rows it found, and how many of them pass by care at home too (bit 2).
    """
    space, ready = columns
    if scan:
        found = _chords_of(space, chosen, centre, chords[1], rows, chords2)
    else:
        found = _walk(space, boxes, in_boxes, passes, centre, chords[1], rows, chords2)
    if chords[0] < chords[1]:
        found = _cut(ready, here, radius, chords[0], True, rows, chords2, 0, found)
    at_home = 0
    for i in range(found):
        at_home += int(passes[rows[i]] & AT_HOME_BIT) >> 1
    return found, at_home


@compiled
def near_page(
    columns: tuple[Floats, Floats],
    boxes: tuple[Floats, Floats],
    in_boxes: int,
    ids: Words,
    bits: Words,
    passes: NDArray[np.uint8],
    chosen: Rows,
    scan: bool,
    origin: tuple[float, float],
    radius: float,
    chords: tuple[float, float],
    after: tuple[float, np.uint64, np.uint64],
    home_rows: int,
    places: Rows,
    counts: NDArray[np.int64],
    work: tuple[Rows, Floats, Rows, Floats, Rows],
    page_rows: Rows,
    page_m: Floats,
) -> tuple[int, int, int, int, int]:
    """The commonest search in one call: what `collect`, `count_bits` and `nearest` do in turn.

    `counts` leaves out who treats at home if any of the `home_rows` such clinics lies beyond the
    radius. The first of the nearest go to `page_rows` and `page_m`, as many as fit. Returns how
    many were found, how many of those treat at home, how many nearest there are (one more than
    fit, when there are more), how many were measured, and how many are nearly antipodal.
    """
    rows, chords2, near_rows, near_m, order = work
    here = prepared(origin[0], origin[1])
    centre = in_space(origin[0], origin[1])
    found, at_home = collect(
        columns, boxes, in_boxes, passes, chosen, scan, here, centre, radius, chords, rows, chords2
    )
    leave_out = AT_HOME_BIT if home_rows > at_home else np.uint8(0)
    count_bits(bits, rows, found, passes, leave_out, places, counts)
    size, measured, undecided = nearest(
        columns,
        ids,
        here,
        after,
        len(page_rows) + 1,
        rows,
        chords2,
        found,
        near_rows,
        near_m,
        order,
    )
    for i in range(min(size, len(page_rows))):
        page_rows[i] = near_rows[order[i]]
        page_m[i] = near_m[order[i]]
    return found, at_home, size, measured, undecided


@compiled
def add_beyond(
    columns: tuple[Floats, Floats],
    chosen: Rows,
    here: tuple[float, float, float],
    centre: tuple[float, float, float],
    radius: float,
    chords: tuple[float, float],
    rows: Rows,
    chords2: Floats,
    found: int,
) -> int:
    """Adds those of the `chosen` rows that lie beyond the radius behind the `found` ones, and
    returns how many there are then."""
    space, ready = columns
    more = _chords_of(space, chosen, centre, np.inf, rows[found:], chords2[found:])
    return _cut(ready, here, radius, chords[0], False, rows, chords2, found, found + more)


@compiled
def _walk(
    space: Floats,
    boxes: tuple[Floats, Floats],
    in_boxes: int,
    passes: NDArray[np.uint8],
    centre: tuple[float, float, float],
    chord: float,
    rows: Rows,
    chords2: Floats,
) -> int:
    """A group, then a box, then a row is looked at only if it can be near enough."""
    x, y, z = centre
    small, large = boxes
    limit = chord * chord
    found = 0
    for group in range(len(large)):
        if _box_chord2(large[group], x, y, z) > limit:
            continue
        for box in range(group * BOXES_PER_GROUP, min((group + 1) * BOXES_PER_GROUP, len(small))):
            if _box_chord2(small[box], x, y, z) > limit:
                continue
            last = min((box + 1) * ROWS_PER_BOX, in_boxes)
            for row in range(box * ROWS_PER_BOX, last):
                chord2 = _chord2(space, row, x, y, z)
                if chord2 <= limit and passes[row]:
                    rows[found], chords2[found] = row, chord2
                    found += 1
    for row in range(in_boxes, len(passes)):
        chord2 = _chord2(space, row, x, y, z)
        if chord2 <= limit and passes[row]:
            rows[found], chords2[found] = row, chord2
            found += 1
    return found


@compiled
def _chord2(space: Floats, row: int, x: float, y: float, z: float) -> float:
    dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
    return dx * dx + dy * dy + dz * dz


@compiled
def _chords_of(
    space: Floats,
    chosen: Rows,
    centre: tuple[float, float, float],
    chord: float,
    rows: Rows,
    chords2: Floats,
) -> int:
    """The rows of a list that are near enough. A clinic without a point never is."""
    x, y, z = centre
    limit = chord * chord
    found = 0
    for row in chosen:
        chord2 = _chord2(space, row, x, y, z)
        if chord2 <= limit:
            rows[found], chords2[found] = row, chord2
            found += 1
    return found


@compiled
def _cut(
    ready: Floats,
    here: tuple[float, float, float],
    radius: float,
    inside: float,
    keep_within: bool,
    rows: Rows,
    chords2: Floats,
    first: int,
    last: int,
) -> int:
    """Keeps, in place from `first` on, the rows within the radius (or those beyond it).

    Callers ask for no radius so large that a row near it is nearly antipodal.
    """
    inside2 = inside * inside
    outside2 = _longest_chord(radius) ** 2
    kept = first
    for i in range(first, last):
        row, chord2 = rows[i], chords2[i]
        is_within = chord2 <= inside2
        if not is_within and chord2 <= outside2:
            is_within = geodesic(here, ready[row, 0], ready[row, 1], ready[row, 2]) <= radius
        if is_within == keep_within:
            rows[kept], chords2[kept] = row, chord2
            kept += 1
    return kept


@compiled
def nearest(
    columns: tuple[Floats, Floats],
    ids: Words,
    here: tuple[float, float, float],
    after: tuple[float, np.uint64, np.uint64],
    limit: int,
    rows: Rows,
    chords2: Floats,
    found: int,
    near_rows: Rows,
    near_m: Floats,
    order: Rows,
) -> tuple[int, int, int]:
    """The `limit` nearest of the found rows after (distance, id): their places in `near_rows`
    and `near_m` go to `order`, nearest first.

    Returns how many there are, how many candidates were measured, and how many of those are
    nearly antipodal (NaN in `near_m`): then the caller measures them and calls `page_of`.
    """
    count = _candidates(columns[1], here, after[0], limit, rows, chords2, found, near_rows, near_m)
    undecided = 0
    for i in range(count):
        if math.isnan(near_m[i]):
            undecided += 1
    return page_of(near_m, near_rows, ids, count, after, limit, order), count, undecided


@compiled
def _candidates(
    ready: Floats,
    here: tuple[float, float, float],
    after: float,
    limit: int,
    rows: Rows,
    chords2: Floats,
    found: int,
    out_rows: Rows,
    out_m: Floats,
) -> int:
    """Measures every row that may be among the `limit` nearest beyond the distance `after`.

    The `limit`-th smallest chord that is surely beyond `after` bounds the geodesic of the last
    row of the page; whatever could be nearer than that bound is a candidate.
    """
    # after < 0 means from the start; a distance of exactly `after` is left to the order by id.
    surely2 = maybe2 = -1.0
    if after >= 0:
        surely2 = _longest_chord(after) ** 2
        maybe2 = _shortest_chord(after) ** 2
    heap = np.full(limit, np.inf)
    for i in range(found):
        chord2 = chords2[i]
        if chord2 < heap[0] and chord2 > surely2:
            _replace_largest(heap, chord2)
    bound = _chord2_of_longest(heap[0])
    count = 0
    for i in range(found):
        if chords2[i] <= bound and chords2[i] >= maybe2:
            row = rows[i]
            out_rows[count] = row
            out_m[count] = geodesic(here, ready[row, 0], ready[row, 1], ready[row, 2])
            count += 1
    return count


@compiled
def _replace_largest(heap: Floats, value: float) -> None:
    """Puts `value` in the place of the largest of a max-heap."""
    size = len(heap)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@compiled
def _longest_chord(distance: float) -> float:
    """As `geometry.longest_chord`: nothing within the distance has a longer chord."""
    angle = min(distance / (2 * WIDEST_RADIUS_M), math.pi / 2)
    return 2 * WIDEST_RADIUS_M * math.sin(angle) + SLACK_M


@compiled
def _shortest_chord(distance: float) -> float:
    """As `geometry.shortest_chord`: nothing beyond the distance has a shorter chord."""
    angle = min(distance / (2 * TIGHTEST_RADIUS_M), math.pi / 2)
    return max(0.0, 2 * TIGHTEST_RADIUS_M * math.sin(angle) - SLACK_M)


@compiled
def _chord2_of_longest(chord2: float) -> float:
    """The largest squared chord of a point that may be nearer than one at this squared chord."""
    chord = math.sqrt(chord2) + SLACK_M
    if chord >= 2 * TIGHTEST_RADIUS_M * 0.999:
        return np.inf
    farthest = 2 * TIGHTEST_RADIUS_M * math.asin(chord / (2 * TIGHTEST_RADIUS_M))
    return _longest_chord(farthest) ** 2


@compiled
def page_of(
    distances: Floats,
    rows: Rows,
    ids: Words,
    count: int,
    after: tuple[float, np.uint64, np.uint64],
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
