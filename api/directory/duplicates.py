"""Pairs of clinics that are likely one, with the reasons. Pure.

Comparing all with all would take n² steps; only clinics that share something are compared: a
phone, a registration, a website, a postal code, or a cube of 300 m. What very many share
belongs to a chain or a city and is no evidence, so such groups are compared by name order only.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final
from urllib.parse import urlsplit

import msgspec
from rapidfuzz import fuzz
from rapidfuzz.utils import default_process

from api.directory.upkeep_schemas import DuplicatePair, DuplicateReason, Evidence, Site
from api.search.sphere import EARTH_RADIUS_M, metres_between
from db.rows import SiteRow
from db.states import PointPrecision

NEAR_M: Final = 300.0
LARGE_GROUP: Final = 40
NEIGHBOURS: Final = 10
"""In a large group each clinic is compared with so many next ones in the order of names."""

_CUBES: Final = EARTH_RADIUS_M / NEAR_M
_HALF_AROUND: Final = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
"""From each cube to half of its neighbours: the other half look back at it."""
_PRECISE: Final = frozenset(
    {PointPrecision.EXACT, PointPrecision.ADDRESS, PointPrecision.POSTAL_UNIT}
)
_LEGAL_WORDS = re.compile(r"\b(llc|inc|ltd|limited|pllc|pc|pa|corp|co|plc|llp|the|of|and|at)\b")
_NUMBER = re.compile(r"\d+[a-z]?\b")

# Places, best first. Without one, two clinics have different addresses.
_PLACES: Final = {
    DuplicateReason.SAME_ADDRESS: 40,
    DuplicateReason.NEAR: 35,
    DuplicateReason.SAME_POSTAL_CODE: 20,
    DuplicateReason.SAME_CITY: 15,
}
_NAMES: Final = ((95, 40), (85, 30), (75, 15))
"""Similarity of the names, from which on, and the points for it, at one place."""
_SHARED: Final = {
    DuplicateReason.SAME_REGISTRATION: (25, 10),
    DuplicateReason.SAME_PHONE: (20, 5),
    DuplicateReason.SAME_WEBSITE: (15, 5),
}
"""Points at one place, and at two."""
_SAME_NAME_ELSEWHERE: Final = 10


class _Keyed(msgspec.Struct, frozen=True):
    """A clinic with what it is compared by, in one spelling."""

    row: SiteRow
    name: str
    street: str
    postal_code: str
    website: str


def likely_duplicates(sites: Sequence[SiteRow], min_score: int) -> list[DuplicatePair]:
    """Every pair with at least that score, the likeliest first, then by ids."""
    keyed = [_keyed(row) for row in sites]
    pairs: list[DuplicatePair] = []
    for first, second in _candidates(keyed):
        reasons = _evidence(keyed[first], keyed[second])
        score = min(100, sum(each.points for each in reasons))
        if score >= min_score:
            clinics = Site.from_row(sites[first]), Site.from_row(sites[second])
            pairs.append(DuplicatePair(score=score, reasons=reasons, clinics=clinics))
    return sorted(pairs, key=position)


def position(pair: DuplicatePair) -> tuple[int, str, str]:
    """Where a pair stands in the order of the list."""
    return -pair.score, str(pair.clinics[0].id), str(pair.clinics[1].id)


def _keyed(row: SiteRow) -> _Keyed:
    return _Keyed(
        row=row,
        name=" ".join(_LEGAL_WORDS.sub(" ", default_process(row.name)).split()),
        street=default_process(row.line1 or ""),
        postal_code=(row.postal_code or "").replace(" ", "")[: 5 if row.state[:2] == "US" else 8],
        website=_page(row.website),
    )


def _page(website: str | None) -> str:
    if website is None:
        return ""
    parts = urlsplit(website)
    return (parts.hostname or "").removeprefix("www.") + parts.path.rstrip("/")


def _candidates(keyed: Sequence[_Keyed]) -> Iterator[tuple[int, int]]:
    """Pairs of positions, the smaller first, each once."""
    seen: set[tuple[int, int]] = set()
    for group in _groups(keyed):
        for pair in _pairs_of(group, keyed):
            if pair not in seen:
                seen.add(pair)
                yield pair


def _groups(keyed: Sequence[_Keyed]) -> Iterator[list[int]]:
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    cells: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    for index, each in enumerate(keyed):
        for key in _keys(each):
            groups[key].append(index)
        if (cell := _cell(each.row)) is not None:
            cells[cell].append(index)
    yield from (group for group in groups.values() if len(group) > 1)
    for (x, y, z), group in cells.items():
        # Two clinics on two sides of a border are near all the same.
        around = [
            index
            for right, up, far in _HALF_AROUND
            for index in cells.get((x + right, y + up, z + far), ())
        ]
        if len(group) + len(around) > 1:
            yield group + around


def _keys(each: _Keyed) -> Iterator[tuple[object, ...]]:
    row = each.row
    if row.phone:
        yield "phone", row.phone
    if row.director_registration_value:
        yield "registration", row.director_registration_system, row.director_registration_value
    if each.website:
        yield "website", each.website
    if each.postal_code:
        yield "postal code", each.postal_code
    yield "name", row.state, row.city.casefold(), each.name


def _cell(row: SiteRow) -> tuple[int, int, int] | None:
    """The cube of 300 m that holds the point on the globe: the same size everywhere."""
    if row.lat is None or row.lon is None or row.point_precision not in _PRECISE:
        return None
    lat, lon = math.radians(row.lat), math.radians(row.lon)
    x, y, z = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
    return math.floor(x * _CUBES), math.floor(y * _CUBES), math.floor(z * _CUBES)


def _pairs_of(group: Sequence[int], keyed: Sequence[_Keyed]) -> Iterable[tuple[int, int]]:
    if len(group) <= LARGE_GROUP:
        ordered, reach = sorted(group), len(group)
    else:
        ordered, reach = sorted(group, key=lambda index: keyed[index].name), NEIGHBOURS
    for place, first in enumerate(ordered):
        for second in ordered[place + 1 : place + 1 + reach]:
            yield (first, second) if first < second else (second, first)


def _evidence(one: _Keyed, other: _Keyed) -> list[Evidence]:
    place = _place(one, other)
    similar = fuzz.token_sort_ratio(one.name, other.name)
    found: list[Evidence] = []
    if place is not None:
        found.append(Evidence(reason=place, points=_PLACES[place]))
        points = next((points for least, points in _NAMES if similar >= least), 0)
    else:
        points = _SAME_NAME_ELSEWHERE if similar >= _NAMES[0][0] else 0
    if points:
        found.append(Evidence(reason=DuplicateReason.SIMILAR_NAME, points=points))
    found += [
        Evidence(reason=reason, points=_SHARED[reason][0 if place is not None else 1])
        for reason in _shared(one, other)
    ]
    return found


def _shared(one: _Keyed, other: _Keyed) -> Iterator[DuplicateReason]:
    mine, theirs = one.row, other.row
    if (
        mine.director_registration_value is not None
        and mine.director_registration_value == theirs.director_registration_value
        and mine.director_registration_system == theirs.director_registration_system
    ):
        yield DuplicateReason.SAME_REGISTRATION
    if mine.phone is not None and mine.phone == theirs.phone:
        yield DuplicateReason.SAME_PHONE
    if one.website and one.website == other.website:
        yield DuplicateReason.SAME_WEBSITE


def _place(one: _Keyed, other: _Keyed) -> DuplicateReason | None:
    mine, theirs = one.row, other.row
    same_code = bool(one.postal_code) and one.postal_code == other.postal_code
    same_city = (mine.state, mine.city.casefold()) == (theirs.state, theirs.city.casefold())
    two_streets = bool(one.street and other.street)
    if two_streets and (same_code or same_city) and _same_street(one.street, other.street):
        return DuplicateReason.SAME_ADDRESS
    if _are_near(mine, theirs):
        return DuplicateReason.NEAR
    if two_streets:
        # Two doors of one postal code are two places, whatever else they share.
        return None
    if same_code:
        return DuplicateReason.SAME_POSTAL_CODE
    if same_city and not (one.postal_code and other.postal_code):
        return DuplicateReason.SAME_CITY
    return None


def _same_street(one: str, other: str) -> bool:
    """Same house number, and the rest alike: "street" and "st" are the same street."""
    mine, theirs = _NUMBER.match(one), _NUMBER.match(other)
    same_number = (mine and mine[0]) == (theirs and theirs[0])
    return same_number and fuzz.token_sort_ratio(one, other) >= 75


def _are_near(one: SiteRow, other: SiteRow) -> bool:
    if one.point_precision not in _PRECISE or other.point_precision not in _PRECISE:
        return False
    if one.lat is None or one.lon is None or other.lat is None or other.lon is None:
        return False
    return metres_between(one.lat, one.lon, other.lat, other.lon) <= NEAR_M
