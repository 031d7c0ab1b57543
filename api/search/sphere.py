"""Distances on the sphere, for decisions that a half per cent does not change."""

from __future__ import annotations

import math
from typing import Final

EARTH_RADIUS_M: Final = 6_371_008.8


def metres_between(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Great-circle distance between two points in degrees."""
    rise = math.sin(math.radians(other_lat - lat) / 2)
    run = math.sin(math.radians(other_lon - lon) / 2)
    chord = (
        rise * rise + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * run * run
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord)))
