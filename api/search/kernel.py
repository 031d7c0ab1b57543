"""The compiled inner loop of search: which clinics are within reach, and the nearest of them.

Every array is a column of the index, one row a clinic; the first `in_boxes` rows lie in spatial
order under two levels of bounding boxes, the rest (written lately, or without a point) in none.
A clinic without a point has NaN coordinates, which no comparison finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from api.search.geometry import (
    FLATTENING,
    SEMI_MAJOR_M,
    SLACK_M,
    TIGHTEST_RADIUS_M,
    WIDEST_RADIUS_M,
)

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
Words = NDArray[np.uint64]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ROWS_PER_BOX = 32
BOXES_PER_GROUP = 32
SEMI_MINOR_M = SEMI_MAJOR_M * (1 - FLATTENING)
NEARLY_ANTIPODAL = 3.05
"""Radians: beyond this the iteration below may not converge, and the caller decides."""


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compiles at the first call and keeps the machine code on disk for the next start."""
    compile_it = cast(
        Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]],
        numba.njit(cache=True),
    )
    return compile_it(function)


@compiled
def geodesic(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres between two points in degrees on WGS 84; NaN when they are nearly antipodal.

    T. Vincenty, "Direct and inverse solutions of geodesics on the ellipsoid with application of
    nested equations", Survey Review 23 (1975), inverse formula; good to 0.5 mm.
    """
    u1 = math.atan2((1 - FLATTENING) * math.sin(math.radians(lat1)), math.cos(math.radians(lat1)))
    u2 = math.atan2((1 - FLATTENING) * math.sin(math.radians(lat2)), math.cos(math.radians(lat2)))
    sin_u1, cos_u1, sin_u2, cos_u2 = math.sin(u1), math.cos(u1), math.sin(u2), math.cos(u2)
    difference = math.radians((lon2 - lon1 + 540.0) % 360.0 - 180.0)
    lam = difference
    for _ in range(60):
        sin_lam, cos_lam = math.sin(lam), math.cos(lam)
        sin_sigma = math.hypot(cos_u2 * sin_lam, cos_u1 * sin_u2 - sin_u1 * cos_u2 * cos_lam)
        if sin_sigma == 0.0:
            return 0.0 if cos_lam > 0 and sin_u1 * sin_u2 + cos_u1 * cos_u2 > 0 else math.nan
        cos_sigma = sin_u1 * sin_u2 + cos_u1 * cos_u2 * cos_lam
        sigma = math.atan2(sin_sigma, cos_sigma)
        if sigma > NEARLY_ANTIPODAL:
            return math.nan
        sin_alpha = cos_u1 * cos_u2 * sin_lam / sin_sigma
        cos2_alpha = 1 - sin_alpha * sin_alpha
        # On the equator cos²α is 0 and the middle latitude has no meaning.
        cos_2m = cos_sigma - 2 * sin_u1 * sin_u2 / cos2_alpha if cos2_alpha > 1e-15 else 0.0
        c = FLATTENING / 16 * cos2_alpha * (4 + FLATTENING * (4 - 3 * cos2_alpha))
        before = lam
        lam = difference + (1 - c) * FLATTENING * sin_alpha * (
            sigma + c * sin_sigma * (cos_2m + c * cos_sigma * (2 * cos_2m * cos_2m - 1))
        )
        if abs(lam - before) < 1e-12:
            break
    else:
        return math.nan
    u_2 = cos2_alpha * (SEMI_MAJOR_M**2 / SEMI_MINOR_M**2 - 1)
    a = 1 + u_2 / 16384 * (4096 + u_2 * (-768 + u_2 * (320 - 175 * u_2)))
    b = u_2 / 1024 * (256 + u_2 * (-128 + u_2 * (74 - 47 * u_2)))
    outer = b / 6 * cos_2m * (4 * sin_sigma * sin_sigma - 3) * (4 * cos_2m * cos_2m - 3)
    inner = cos_sigma * (2 * cos_2m * cos_2m - 1)
    return SEMI_MINOR_M * a * (sigma - b * sin_sigma * (cos_2m + b / 4 * (inner - outer)))


@compiled
def _box_chord2(box: Floats, x: float, y: float, z: float) -> float:
    """The square of the shortest chord from a point in space to a box."""
    dx = max(box[0] - x, 0.0, x - box[3])
    dy = max(box[1] - y, 0.0, y - box[4])
    dz = max(box[2] - z, 0.0, z - box[5])
    return dx * dx + dy * dy + dz * dz


@compiled
def within(
    space: Floats,
    passes: NDArray[np.uint8],
    wanted: np.uint8,
    boxes: Floats,
    groups: Floats,
    in_boxes: int,
    centre: tuple[float, float, float],
    chord: float,
    rows: Rows,
    chords2: Floats,
) -> int:
    """Fills `rows` and `chords2` with every row that passes and has a chord of at most `chord`.

    Walks outward: a group, then a box, then a row is looked at only if it can be near enough.
    Returns how many it found; a row passes when `passes[row] & wanted` is not 0.
    """
    x, y, z = centre
    limit = chord * chord
    found = 0
    for group in range(len(groups)):
        if _box_chord2(groups[group], x, y, z) > limit:
            continue
        last_box = min((group + 1) * BOXES_PER_GROUP, len(boxes))
        for box in range(group * BOXES_PER_GROUP, last_box):
            if _box_chord2(boxes[box], x, y, z) > limit:
                continue
            last_row = min((box + 1) * ROWS_PER_BOX, in_boxes)
            for row in range(box * ROWS_PER_BOX, last_row):
                if passes[row] & wanted:
                    dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
                    chord2 = dx * dx + dy * dy + dz * dz
                    if chord2 <= limit:
                        rows[found] = row
                        chords2[found] = chord2
                        found += 1
    for row in range(in_boxes, len(passes)):
        if passes[row] & wanted:
            dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
            chord2 = dx * dx + dy * dy + dz * dz
            if chord2 <= limit:
                rows[found] = row
                chords2[found] = chord2
                found += 1
    return found


@compiled
def chords_of(
    space: Floats, chosen: Rows, centre: tuple[float, float, float], rows: Rows, chords2: Floats
) -> int:
    """Fills `rows` and `chords2` for a list of rows: the plan when few clinics match at all."""
    x, y, z = centre
    found = 0
    for row in chosen:
        dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
        chord2 = dx * dx + dy * dy + dz * dz
        if chord2 == chord2:  # not NaN: the clinic has a point
            rows[found] = row
            chords2[found] = chord2
            found += 1
    return found


@compiled
def cut_at_radius(
    points: Floats,
    lat: float,
    lon: float,
    radius: float,
    chords: tuple[float, float],
    keep_within: bool,
    rows: Rows,
    chords2: Floats,
    found: int,
) -> int:
    """Keeps, in place, the rows within the geodesic radius (or those beyond), and counts them.

    `chords`: up to the first a chord is surely within, beyond the second surely not; between
    them the geodesic decides. A row that is nearly antipodal there counts as beyond: the caller
    asks for no radius that reaches so far.
    """
    inside2, outside2 = chords[0] * chords[0], chords[1] * chords[1]
    kept = 0
    for i in range(found):
        row = rows[i]
        is_within = chords2[i] <= inside2
        if not is_within and chords2[i] <= outside2:
            is_within = geodesic(lat, lon, points[row, 0], points[row, 1]) <= radius
        if is_within == keep_within:
            rows[kept] = row
            chords2[kept] = chords2[i]
            kept += 1
    return kept


@compiled
def nearest_candidates(
    points: Floats,
    lat: float,
    lon: float,
    after: float,
    limit: int,
    rows: Rows,
    chords2: Floats,
    found: int,
    out_rows: Rows,
    out_m: Floats,
) -> int:
    """Fills `out_rows` and `out_m` with every row that may be among the `limit` nearest beyond
    the distance `after`, with its geodesic in metres (NaN: nearly antipodal), in no order.

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
            out_m[count] = geodesic(lat, lon, points[row, 0], points[row, 1])
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
    after: float,
    after_high: np.uint64,
    after_low: np.uint64,
    limit: int,
    out: Rows,
) -> int:
    """Writes to `out` the places in `rows` of the `limit` nearest after (distance, id), in order.

    Returns how many there are. Ties in distance are in the order of the ids.
    """
    size = 0
    for i in range(count):
        distance, high, low = distances[i], ids[rows[i], 0], ids[rows[i], 1]
        if not _follows(distance, high, low, after, after_high, after_low):
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
def count_bits(bits: Words, rows: Rows, count: int, wanted: Words, out: NDArray[np.int64]) -> None:
    """Adds to `out` (words * 64) how many of the rows have each wanted bit of `bits` (n, words)."""
    for i in range(count):
        for word in range(len(wanted)):
            left = bits[rows[i], word] & wanted[word]
            while left:
                lowest = left & (~left + np.uint64(1))
                at = 0
                if lowest >= np.uint64(1) << np.uint64(32):
                    at += 32
                    lowest >>= np.uint64(32)
                if lowest >= np.uint64(1) << np.uint64(16):
                    at += 16
                    lowest >>= np.uint64(16)
                if lowest >= np.uint64(1) << np.uint64(8):
                    at += 8
                    lowest >>= np.uint64(8)
                if lowest >= np.uint64(1) << np.uint64(4):
                    at += 4
                    lowest >>= np.uint64(4)
                if lowest >= np.uint64(1) << np.uint64(2):
                    at += 2
                    lowest >>= np.uint64(2)
                if lowest >= np.uint64(1) << np.uint64(1):
                    at += 1
                out[word * 64 + at] += 1
                left &= left - np.uint64(1)
