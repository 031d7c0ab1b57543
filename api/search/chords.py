"""Chords in compiled code: to points, to boxes, and what they say of geodesics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled
from api.search.geometry import SLACK_M, TIGHTEST_RADIUS_M, WIDEST_RADIUS_M

Floats = NDArray[np.float64]


@compiled
def chord2_to(space: Floats, row: int, x: float, y: float, z: float) -> float:
    dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
    return dx * dx + dy * dy + dz * dz


@compiled
def nearest2(boxes: Floats, box: int, here: tuple[float, float, float]) -> float:
    """The square of the shortest chord from a point in space to a box."""
    dx = max(boxes[box, 0] - here[0], 0.0, here[0] - boxes[box, 3])
    dy = max(boxes[box, 1] - here[1], 0.0, here[1] - boxes[box, 4])
    dz = max(boxes[box, 2] - here[2], 0.0, here[2] - boxes[box, 5])
    return dx * dx + dy * dy + dz * dz


@compiled
def most_distant2(boxes: Floats, box: int, here: tuple[float, float, float]) -> float:
    """The square of the longest chord from a point in space to a box."""
    dx = max(here[0] - boxes[box, 0], boxes[box, 3] - here[0])
    dy = max(here[1] - boxes[box, 1], boxes[box, 4] - here[1])
    dz = max(here[2] - boxes[box, 2], boxes[box, 5] - here[2])
    return dx * dx + dy * dy + dz * dz


@compiled
def longest_of(distance: float) -> float:
    """As `geometry.longest_chord`: nothing within the distance has a longer chord."""
    angle = min(distance / (2 * WIDEST_RADIUS_M), math.pi / 2)
    return 2 * WIDEST_RADIUS_M * math.sin(angle) + SLACK_M


@compiled
def shortest_of(distance: float) -> float:
    """As `geometry.shortest_chord`: nothing beyond the distance has a shorter chord."""
    angle = min(distance / (2 * TIGHTEST_RADIUS_M), math.pi / 2)
    return max(0.0, 2 * TIGHTEST_RADIUS_M * math.sin(angle) - SLACK_M)


@compiled
def chord2_of_longest(chord2: float) -> float:
    """The largest squared chord of a point that may be nearer than one at this squared chord."""
    chord = math.sqrt(chord2) + SLACK_M
    if chord >= 2 * TIGHTEST_RADIUS_M * 0.999:
        return np.inf
    farthest = 2 * TIGHTEST_RADIUS_M * math.asin(chord / (2 * TIGHTEST_RADIUS_M))
    return longest_of(farthest) ** 2
