"""How a search is carried out: pure rules over counts. Every plan gives the same answer."""

from __future__ import annotations

from enum import Enum, auto

FEW_MATCHES = 512
"""Going through so many matches one by one costs about a microsecond: never worse than a walk."""

EARTH_AREA_M2 = 5.1e14


class Plan(Enum):
    SCAN_MATCHES = auto()
    """Go through the list of all clinics that match, wherever they are."""
    WALK_OUTWARD = auto()
    """Go through the clinics near the point, and leave out those that do not match."""


def choose_plan(matches: int | None, clinics: int, radius_m: float | None, wanted: int) -> Plan:
    """`matches` is None when there are too many to list; `wanted` rows are on the page.

    A walk looks at every clinic in reach whether it matches or not. What is in reach is guessed
    from an even spread, times ten because clinics stand where people live.
    """
    if matches is None:
        return Plan.WALK_OUTWARD
    if matches <= FEW_MATCHES:
        return Plan.SCAN_MATCHES
    if radius_m is None:
        looked_at = wanted * clinics / matches
    else:
        looked_at = clinics * min(1.0, 10 * 3.2 * radius_m**2 / EARTH_AREA_M2)
    return Plan.SCAN_MATCHES if matches < looked_at else Plan.WALK_OUTWARD


def first_reach_m(matches: int, wanted: int) -> float:
    """How far a walk without a radius looks first, in metres: far enough for `wanted` in a city."""
    return max(10_000.0, 1_000_000.0 * (wanted / max(matches, 1)) ** 0.5)
