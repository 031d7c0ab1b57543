"""The compiled loops over outlines and postal points: a few microseconds each."""

# numba ships no types; the annotations here are what callers rely on.
# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

EARTH_RADIUS_M = 6_371_008.8
NOTHING = -1


@njit(cache=True)
def region_of(
    lat: float, lon: float, xs: Floats, ys: Floats, starts: Ints, regions: Ints, boxes: Floats
) -> int:
    """Index of the region whose rings hold the point (even-odd rule), or -1.

    `starts` has one entry more than there are rings; rings of one region stand together.
    `boxes` holds west, south, east, north of each ring.
    """
    inside = False
    rings = regions.shape[0]
    for ring in range(rings):
        if boxes[ring, 0] <= lon <= boxes[ring, 2] and boxes[ring, 1] <= lat <= boxes[ring, 3]:
            first = starts[ring]
            last = starts[ring + 1]
            before = last - 1
            for here in range(first, last):
                if (ys[here] > lat) != (ys[before] > lat):
                    cut = xs[here] + (lat - ys[here]) * (xs[before] - xs[here]) / (
                        ys[before] - ys[here]
                    )
                    if lon < cut:
                        inside = not inside
                before = here
        if inside and (ring + 1 == rings or regions[ring + 1] != regions[ring]):
            return regions[ring]
    return NOTHING


@njit(cache=True)
def region_around(
    south: float,
    west: float,
    north: float,
    east: float,
    xs: Floats,
    ys: Floats,
    starts: Ints,
    regions: Ints,
    boxes: Floats,
) -> int:
    """Index of the region that holds the whole box, or -1 when a border may run through it."""
    for ring in range(regions.shape[0]):
        if boxes[ring, 0] > east or boxes[ring, 2] < west:
            continue
        if boxes[ring, 1] > north or boxes[ring, 3] < south:
            continue
        before = starts[ring + 1] - 1
        for here in range(starts[ring], starts[ring + 1]):
            beside = max(xs[here], xs[before]) < west or min(xs[here], xs[before]) > east
            if not (
                beside or max(ys[here], ys[before]) < south or min(ys[here], ys[before]) > north
            ):
                return NOTHING
            before = here
    return region_of(south, west, xs, ys, starts, regions, boxes)


@njit(cache=True)
def all_owned(
    south: float,
    west: float,
    north: float,
    east: float,
    lats: Floats,
    lons: Floats,
    owners: Ints,
    owner: int,
) -> bool:
    """Whether every point in the box has this owner. `lats` is sorted ascending."""
    for i in range(np.searchsorted(lats, south), lats.shape[0]):
        if lats[i] > north:
            break
        if west <= lons[i] <= east and owners[i] != owner:
            return False
    return True


@njit(cache=True)
def nearest_of(
    lat: float, lon: float, lats: Floats, lons: Floats, limit_m: float
) -> tuple[int, float]:
    """Index of the nearest point within `limit_m` (metres on the sphere) and its distance.

    `lats` is sorted ascending; (-1, inf) when no point is that near.
    """
    reach = math.degrees(limit_m / EARTH_RADIUS_M)
    best = NOTHING
    best_chord = 4.0 * math.sin(0.5 * limit_m / EARTH_RADIUS_M) ** 2
    scale = math.cos(math.radians(lat))
    # How far east or west a point in reach can be; near the poles that is all the way round.
    edge = math.cos(math.radians(min(90.0, abs(lat) + reach)))
    turn = 360.0 if edge <= reach / 180.0 else min(360.0, 1.1 * reach / edge)
    first = np.searchsorted(lats, lat - reach)
    for i in range(first, lats.shape[0]):
        if lats[i] > lat + reach:
            break
        if turn < abs(lons[i] - lon) < 360.0 - turn:
            continue
        rise = 2.0 * math.sin(math.radians(lats[i] - lat) * 0.5)
        run = 2.0 * math.sin(math.radians(lons[i] - lon) * 0.5)
        chord = rise * rise + scale * math.cos(math.radians(lats[i])) * run * run
        if chord <= best_chord:
            best = i
            best_chord = chord
    if best == NOTHING:
        return NOTHING, math.inf
    return best, 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, 0.5 * math.sqrt(best_chord)))
