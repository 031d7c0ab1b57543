"""Distances of the compiled kernel against Karney's geodesic, as geopy computes it."""

from __future__ import annotations

import math

import pytest
from geopy.distance import geodesic as exact_geodesic
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from api.search.geodesic import LONGEST_SHORT_M, geodesic_between, in_space, short_geodesic

latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, -89.999, 0.0, 89.9, 90.0]))
longitudes = st.floats(-180, 180)
TENTH_OF_A_MILLIMETRE = 1e-4


def exact(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(exact_geodesic(one, other).m)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


@settings(deadline=None)
@given(latitudes, longitudes, st.floats(0, 360), st.floats(0, 0.999))
@example(90.0, 0.0, 180.0, 0.5)
@example(0.0, 180.0, 90.0, 0.999)
@example(0.0, 0.0, 0.0, 0.0)
def test_short_ones_by_the_series(lat: float, lon: float, bearing: float, part: float) -> None:
    start = exact_geodesic(meters=part * LONGEST_SHORT_M).destination((lat, lon), bearing)  # pyright: ignore[reportUnknownMemberType]
    end = float(start.latitude), float(start.longitude)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    here, (x, y, z) = in_space(lat, lon), in_space(*end)
    chord2 = math.dist(here, (x, y, z)) ** 2
    assert short_geodesic(here, x, y, z, chord2) == pytest.approx(
        exact((lat, lon), end), abs=TENTH_OF_A_MILLIMETRE
    )


@settings(deadline=None)
@given(latitudes, longitudes, latitudes, longitudes)
def test_long_ones_by_iteration(lat: float, lon: float, other: float, other_lon: float) -> None:
    found = geodesic_between(lat, lon, other, other_lon)
    assume(not math.isnan(found))
    assert found == pytest.approx(exact((lat, lon), (other, other_lon)), abs=0.001)
