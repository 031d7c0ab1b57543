"""The rules by which the gazetteer's states, labels and uncertainties follow from the raw points.

Used only by `build`. Distances here are metres on the sphere; nothing needs more than that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M: Final = 6_371_008.8

# ZIP codes whose state is not that of the other codes with the same three digits.
OWN_STATE: Final[Mapping[str, str]] = {
    "06390": "US-NY",  # Fishers Island, served from Connecticut
    "73949": "US-TX",  # Texhoma, served from Oklahoma
    "83414": "US-WY",  # Alta, served from Idaho
    "96799": "US-AS",  # Pago Pago, with Hawaii's digits
    "96950": "US-MP",
    "96951": "US-MP",
    "96952": "US-MP",
}

# Chosen by how often the pull agrees with the address of a facility at the ZIP code: nearer than
# the first a small place would outweigh the city around it, farther than the second a large city
# would claim the next county.
CLOSEST_M: Final = 1_000.0
FARTHEST_M: Final = 25_000.0
# A point from GeoNames may be the post office's or the county's, tens of kilometres off.
LEAST_FROM_GEONAMES_M: Final = 15_000
# People per square kilometre of a town, for the size of a place with a known population.
TOWN_DENSITY: Final = 2_000.0

Floats = NDArray[np.float64]


class Point(NamedTuple):
    """A postal code and its point, degrees."""

    code: str
    lat: float
    lon: float
    exact: bool  # from the census or the post's own file, not from GeoNames


class City(NamedTuple):
    name: str
    region: str
    lat: float
    lon: float
    population: int
    timezone: str


def distances_m(lat: float, lon: float, lats: Floats, lons: Floats) -> Floats:
    rise = np.sin(np.radians(lats - lat) / 2) ** 2
    run = np.sin(np.radians(lons - lon) / 2) ** 2
    chord = rise + np.cos(np.radians(lat)) * np.cos(np.radians(lats)) * run
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(chord, 1.0))))


def zip_states(
    points: Iterable[Point], region_at: Callable[[float, float], str | None]
) -> dict[str, str]:
    """The state of each ZIP code: that of most points with the same first three digits.

    The post assigns these prefixes within a state with the few exceptions of `OWN_STATE`, so
    the majority corrects points that the simplified outlines put across a border or in the sea.
    A prefix with no census point takes the majority of its GeoNames points.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    weak_votes: dict[str, Counter[str]] = defaultdict(Counter)
    listed = list(points)
    for point in listed:
        region = region_at(point.lat, point.lon)
        if region is not None and point.code not in OWN_STATE:
            (votes if point.exact else weak_votes)[point.code[:3]][region] += 1
    states: dict[str, str] = {}
    for point in listed:
        prefix = point.code[:3]
        counted = votes.get(prefix) or weak_votes.get(prefix)
        if point.code in OWN_STATE:
            states[point.code] = OWN_STATE[point.code]
        elif counted:
            states[point.code] = counted.most_common(1)[0][0]
    return states


class Gravity:
    """Chooses the city that a point most likely belongs to: population over squared distance
    among the cities within `FARTHEST_M`, or else simply the nearest."""

    def __init__(self, cities: Sequence[City]) -> None:
        grouped: dict[str, list[City]] = defaultdict(list)
        for city in cities:
            if city.population > 0:
                grouped[city.region].append(city)
        self._groups = {
            region: (
                group,
                np.array([city.lat for city in group]),
                np.array([city.lon for city in group]),
                np.array([float(city.population) for city in group]),
            )
            for region, group in grouped.items()
        }

    def city_at(self, lat: float, lon: float, region: str) -> City | None:
        if region not in self._groups:
            return None
        cities, lats, lons, populations = self._groups[region]
        metres = distances_m(lat, lon, lats, lons)
        pull = populations / np.maximum(metres, CLOSEST_M) ** 2
        reach = max(FARTHEST_M, float(metres.min()))
        return cities[int(np.argmax(np.where(metres <= reach, pull, 0.0)))]


def spacing_uncertainty(points: Sequence[Point]) -> dict[str, int]:
    """Metres by which a postal area's point may miss an address in it.

    The mean distance to the three nearest other areas, rounded to whole kilometres, at least
    1 km and at most 100 km: areas are about as wide as they are apart. Points from GeoNames get
    at least 15 km.
    """
    exact = [point for point in points if point.exact]
    lats = np.array([point.lat for point in exact])
    lons = np.array([point.lon for point in exact])
    order = np.argsort(lats)
    lats, lons = lats[order], lons[order]
    found: dict[str, int] = {}
    for point in points:
        metres = _mean_of_three(point, lats, lons)
        rounded = int(min(max(round(metres / 1000), 1), 100)) * 1000
        found[point.code] = rounded if point.exact else max(rounded, LEAST_FROM_GEONAMES_M)
    return found


def _mean_of_three(point: Point, lats: Floats, lons: Floats) -> float:
    for reach in (0.5, 3.0, 180.0):
        first, last = np.searchsorted(lats, [point.lat - reach, point.lat + reach])
        metres = distances_m(point.lat, point.lon, lats[first:last], lons[first:last])
        # Codes that share one point (a building with its own code) say nothing of the spacing.
        apart = np.sort(metres[metres > 50.0])[:3]
        if apart.size == 3 and float(apart[2]) < reach * 111_000:
            return float(apart.mean())
    return 100_000.0


def city_uncertainty(city: City) -> int:
    """Metres from a city's centre within which most of it lies: the radius of its population
    at 2,000 people per square kilometre, between 1.5 km and 30 km; 3 km when nobody is counted.
    """
    if city.population <= 0:
        return 3_000
    radius = (city.population / TOWN_DENSITY / np.pi) ** 0.5 * 1000
    return int(min(max(round(radius / 500) * 500, 1_500), 30_000))


def region_centre(cities: Sequence[City]) -> tuple[float, float, int]:
    """Where a region's people live: the centre, and the metres within which 95 % of them are.

    A point mean on the sphere, weighted by population, so that islands across the antimeridian
    do not pull it round the globe.
    """
    lats = np.radians(np.array([city.lat for city in cities]))
    lons = np.radians(np.array([city.lon for city in cities]))
    weights = np.array([max(float(city.population), 1.0) for city in cities])
    x = float(np.sum(weights * np.cos(lats) * np.cos(lons)))
    y = float(np.sum(weights * np.cos(lats) * np.sin(lons)))
    z = float(np.sum(weights * np.sin(lats)))
    lat = float(np.degrees(np.arctan2(z, np.hypot(x, y))))
    lon = float(np.degrees(np.arctan2(y, x)))
    metres = distances_m(lat, lon, np.degrees(lats), np.degrees(lons))
    order = np.argsort(metres)
    share = np.cumsum(weights[order]) / np.sum(weights)
    reach = float(metres[order][int(np.searchsorted(share, 0.95))])
    return lat, lon, max(round(reach / 1000) * 1000, 10_000)
