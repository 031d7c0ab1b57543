"""The earth as the index sees it: WGS-84 points in space, chords, and the order they are kept in.

Straight-line chords between points on the ellipsoid are cheap and bound geodesics tightly
(within 0.1 mm at 10 km, about 3 m at 500 km), so a geodesic is computed only where the chord
cannot decide.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SEMI_MAJOR_M = 6_378_137.0
"""WGS-84 semi-major axis in metres (NGA.STND.0036)."""
FLATTENING = 1 / 298.257223563
"""WGS-84 flattening (NGA.STND.0036)."""

# Radii of curvature of the ellipsoid lie between b²/a = 6,335.4 km and a²/b = 6,399.6 km. A path
# that bends as on a sphere of a radius outside that range has a longer (or shorter) chord than any
# geodesic of its length; the margins also cover the geodesic's torsion, which is of the order f/R.
TIGHTEST_RADIUS_M = 6_330_000.0
WIDEST_RADIUS_M = 6_420_000.0
SLACK_M = 0.001
"""What rounding may do to a chord or a geodesic, with room to spare."""

HALF_CIRCUMFERENCE_M = 20_037_508.4
"""No two points are farther apart than half the equator, in metres."""

MILE_M = 1609.344
"""International mile in metres (exact)."""


def to_space(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Earth-centred coordinates in metres, shape (n, 3), of points in degrees on the ellipsoid."""
    phi, lam = np.radians(lat), np.radians(lon)
    eccentricity2 = FLATTENING * (2 - FLATTENING)
    normal = SEMI_MAJOR_M / np.sqrt(1 - eccentricity2 * np.sin(phi) ** 2)
    return np.stack(
        (
            normal * np.cos(phi) * np.cos(lam),
            normal * np.cos(phi) * np.sin(lam),
            normal * (1 - eccentricity2) * np.sin(phi),
        ),
        axis=-1,
    )


def longest_chord(distance_m: float) -> float:
    """No point within this geodesic distance has a chord longer than this, in metres."""
    angle = min(distance_m / (2 * WIDEST_RADIUS_M), math.pi / 2)
    return 2 * WIDEST_RADIUS_M * math.sin(angle) + SLACK_M


def shortest_chord(distance_m: float) -> float:
    """No point beyond this geodesic distance has a chord shorter than this, in metres."""
    angle = min(distance_m / (2 * TIGHTEST_RADIUS_M), math.pi / 2)
    return max(0.0, 2 * TIGHTEST_RADIUS_M * math.sin(angle) - SLACK_M)


def spatial_order(space: NDArray[np.float64]) -> NDArray[np.intp]:
    """The order along a Morton curve through space: neighbours on the ground stand together."""
    cells = ((space + 6_400_000.0) / 12_800_000.0 * (1 << 21)).astype(np.uint64)
    key = np.zeros(len(space), np.uint64)
    for axis in range(3):
        key |= _spread(cells[:, axis]) << np.uint64(axis)
    return np.argsort(key, kind="stable")


def _spread(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The lowest 21 bits with two zero bits between each, for interleaving three of them."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        value = (value | value << np.uint64(shift)) & np.uint64(mask)
    return value


def boxes(space: NDArray[np.float64], per_box: int) -> NDArray[np.float64]:
    """Bounding boxes of each run of `per_box` rows: shape (boxes, 6), minima then maxima."""
    starts = np.arange(0, len(space), per_box)
    if not len(starts):
        return np.empty((0, 6))
    return np.hstack(
        (np.minimum.reduceat(space[:, :3], starts), np.maximum.reduceat(space[:, -3:], starts))
    )
