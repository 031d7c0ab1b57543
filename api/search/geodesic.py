"""Points on WGS 84 and the geodesics between them, compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled
from api.search.geometry import FLATTENING, SEMI_MAJOR_M

Floats = NDArray[np.float64]

SEMI_MINOR_M = SEMI_MAJOR_M * (1 - FLATTENING)
ECCENTRICITY2 = FLATTENING * (2 - FLATTENING)
LONGEST_SHORT_M = 150_000.0
"""Chords up to here are turned into geodesics by a series, which errs by less than 0.01 mm."""
NEARLY_ANTIPODAL = 3.05
"""Radians: beyond this the iteration below may not converge, and the caller decides."""


@compiled
def prepared(lat: float, lon: float) -> tuple[float, float, float]:
    """A point in degrees as `geodesic` takes it: sine and cosine of the reduced latitude, and the
    longitude in radians."""
    phi = math.radians(lat)
    reduced = math.atan2((1 - FLATTENING) * math.sin(phi), math.cos(phi))
    return math.sin(reduced), math.cos(reduced), math.radians(lon)


@compiled
def prepare_all(points: Floats, out: Floats) -> None:
    """Fills `out` (n, 3) with the prepared points of `points` (n, 2), in degrees."""
    for i in range(len(points)):
        out[i, 0], out[i, 1], out[i, 2] = prepared(points[i, 0], points[i, 1])


@compiled
def geodesic_between(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Metres between two points in degrees on WGS 84; NaN when they are nearly antipodal."""
    there = prepared(lat2, lon2)
    return geodesic(prepared(lat1, lon1), there[0], there[1], there[2])


@compiled
def geodesic(here: tuple[float, float, float], sin_u2: float, cos_u2: float, lon2: float) -> float:
    """Metres between two prepared points on WGS 84; NaN when they are nearly antipodal.

    T. Vincenty, "Direct and inverse solutions of geodesics on the ellipsoid with application of
    nested equations", Survey Review 23 (1975), inverse formula; good to 0.5 mm.
    """
    sin_u1, cos_u1, lon1 = here
    difference = lon2 - lon1
    if difference > math.pi:
        difference -= 2 * math.pi
    elif difference < -math.pi:
        difference += 2 * math.pi
    lam = difference
    for _ in range(60):
        sin_lam, cos_lam = math.sin(lam), math.cos(lam)
        east, north = cos_u2 * sin_lam, cos_u1 * sin_u2 - sin_u1 * cos_u2 * cos_lam
        sin_sigma = math.sqrt(east * east + north * north)
        cos_sigma = sin_u1 * sin_u2 + cos_u1 * cos_u2 * cos_lam
        if sin_sigma == 0.0:
            return 0.0 if cos_sigma > 0 else math.nan
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
def short_geodesic(
    here: tuple[float, float, float], x: float, y: float, z: float, chord2: float
) -> float:
    """Metres between two points in space on WGS 84 whose squared chord is `chord2`.

    Only for chords up to LONGEST_SHORT_M. Over so little of the ellipsoid a geodesic bends like a
    circle whose curvature is that of the normal section halfway, in the chord's direction (Euler's
    formula), and an arc of curvature k over a chord c is c (1 + q/24 + 3q²/640 + …), q = (ck)².
    It needs no angle and no iteration: a twentieth of what `geodesic` costs.
    """
    middle_x, middle_y = here[0] + x, here[1] + y
    middle_z = (here[2] + z) / (1 - ECCENTRICITY2)
    across2, upward2 = middle_x * middle_x + middle_y * middle_y, middle_z * middle_z
    # sin² and cos² of the latitude halfway are upward2 and across2 over their sum; the chord is
    # level there, so that its rise along the axis tells how far it points north.
    both = across2 + upward2
    rise = z - here[2]
    north2 = min(chord2, rise * rise * both / across2) if across2 > 0.0 else 0.0
    flatter = 1 - ECCENTRICITY2 * upward2 / both
    bend = chord2 - north2 + north2 * flatter / (1 - ECCENTRICITY2)
    q = flatter * bend * bend / (chord2 * SEMI_MAJOR_M**2) if chord2 > 0.0 else 0.0
    return math.sqrt(chord2) * (1 + q * (1 / 24 + q * (3 / 640)))


@compiled
def in_space(lat: float, lon: float) -> tuple[float, float, float]:
    """Earth-centred coordinates in metres of a point in degrees on the ellipsoid."""
    phi, lam = math.radians(lat), math.radians(lon)
    normal = SEMI_MAJOR_M / math.sqrt(1 - ECCENTRICITY2 * math.sin(phi) ** 2)
    across = normal * math.cos(phi)
    height = normal * (1 - ECCENTRICITY2) * math.sin(phi)
    return across * math.cos(lam), across * math.sin(lam), height
