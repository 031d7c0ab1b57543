"""The clinics that answer a search, in order, one page of them at a time."""

from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec
import numpy as np
from geopy.distance import geodesic as exact_geodesic
from numpy.typing import NDArray

from api.directory.catalogue import plain_words
from api.search import kernel
from api.search.bits import WORD, count_bits
from api.search.cursor import Position
from api.search.geodesic import geodesic_between
from api.search.geometry import longest_chord, shortest_chord
from api.search.index import SearchIndex, name_key
from api.search.matches import Matches
from api.search.page_kernel import Last, Work, order_page

MOST_ON_A_PAGE: Final = 1023


class Sort(StrEnum):
    DISTANCE = "distance"
    WAIT = "wait"
    NAME = "name"
    RELEVANCE = "relevance"


class Point(msgspec.Struct, frozen=True):
    """Degrees on WGS 84."""

    lat: float
    lon: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the answers, in order.

    `rows`, their geodesics `metres` (NaN without a point asked from) and whether they answer by
    care `at_home` stand side by side. `totals` has the number of all answers, then how many of
    them have each of the bits asked for.
    """

    rows: NDArray[np.int32]
    metres: NDArray[np.float64]
    at_home: NDArray[np.uint8]
    last_rank: float | str
    totals: NDArray[np.int64]
    more: bool
    last_tie: float = 0.0
    """What decided between the last row and others of its rank."""

    @property
    def total(self) -> int:
        return int(self.totals[0])


Ranked = tuple[float | str, float, int]
"""Rank, tie, row."""
EVERYWHERE: Final[kernel.Reach] = (math.inf, math.inf, math.inf)
FROM_THE_START: Final[Last] = (-1.0, np.uint64(0), np.uint64(0))
NO_PLACES: Final[NDArray[np.int32]] = np.empty(0, np.int32)


class Ranking:
    """Finds pages in one index. Keeps its working space between searches; not for two threads."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._version = -1
        self._room = -1

    def _follow_index(self) -> None:
        """Takes the columns as they are now, once a directory version."""
        index = self._index
        self._columns = (index.space, index.prepared)
        if self._room != len(index.alive):
            self._room = len(index.alive)
            room = self._room + 1
            self._work: Work = (
                np.empty(room, np.int32), np.empty(room), np.empty(room, np.uint8),
                np.empty(MOST_ON_A_PAGE + 1, np.int32), np.empty(room),
            )  # fmt: skip
        self._version = index.version

    def page(
        self,
        matches: Matches,
        point: Point | None,
        radius_m: float | None,
        sort: Sort,
        after: Position | None,
        limit: int,
        places: NDArray[np.int32] = NO_PLACES,
    ) -> Found:
        """The next `limit` answers after a position.

        With a point: the matches within the radius, and those beyond that give care at home where
        the asker lives. `places` are the bits to count.
        """
        if self._version != self._index.version:
            self._follow_index()
        if point is not None and sort is Sort.DISTANCE:
            return self._nearest(matches, point, radius_m, after, limit, places)
        if point is None:
            rows = matches.everywhere()
            ties = np.zeros(len(rows))
        else:
            here, reach, found = (point.lat, point.lon), _reach(radius_m), 0
            for layer, farthest2 in ((matches.site, reach[2]), (matches.own, math.inf)):
                found = kernel.collect(
                    self._columns,
                    layer.counting(NO_PLACES),
                    here,
                    reach,
                    farthest2,
                    self._work,
                    found,
                )
            rows, ties = self._work[0][:found].copy(), self._work[1][:found].copy()
        return self._by_key(matches, rows, ties, point, radius_m, sort, after, limit, places)

    def _nearest(
        self,
        matches: Matches,
        point: Point,
        radius_m: float | None,
        after: Position | None,
        limit: int,
        places: NDArray[np.int32],
    ) -> Found:
        index, reach, last = self._index, _reach(radius_m), _last(after)
        page = np.empty(limit, np.int32), np.empty(limit), np.empty(limit, np.uint8)
        totals = matches.home_totals(places).copy()
        size, measured, undecided = kernel.near_page(
            self._columns, index.ids, matches.site.counting(places), matches.own.counting(places),
            (point.lat, point.lon), reach, last, totals, self._work, page,
        )  # fmt: skip
        if undecided:
            self._measure_antipodes(point, measured)
            size = order_page(index.ids, measured, last, reach[0], self._work, page)
        filled = min(size, limit)
        rows, metres, at_home = page
        return Found(
            rows=rows[:filled],
            metres=metres[:filled],
            at_home=at_home[:filled],
            last_rank=float(metres[filled - 1]) if filled else 0.0,
            totals=totals,
            more=size > limit,
        )

    def _measure_antipodes(self, point: Point, measured: int) -> None:
        rows, metres, _, _, _ = self._work
        for at in np.flatnonzero(np.isnan(metres[:measured])).tolist():
            lat, lon = self._index.points[rows[at]].tolist()
            metres[at] = distance_m(point, lat, lon)

    def _by_key(
        self,
        matches: Matches,
        rows: NDArray[np.int32],
        ties: NDArray[np.float64],
        point: Point | None,
        radius_m: float | None,
        sort: Sort,
        after: Position | None,
        limit: int,
        places: NDArray[np.int32],
    ) -> Found:
        """`ties` decide between equal ranks: the chord to each row's clinic, squared, or 0."""
        if sort is Sort.NAME:
            ranked = self._by_name(rows, ties, after, limit + 1)
        elif sort is Sort.WAIT:
            ranked = self._by_number(rows, self._index.wait_days[rows], ties, after, limit + 1)
        else:
            assert matches.scores is not None, "relevance is of a text"
            ranked = self._by_number(rows, -matches.scores[rows], ties, after, limit + 1)
        page = ranked[:limit]
        on_page = np.array([row for _, _, row in page], np.int32)
        metres = np.full(len(page), np.nan)
        if point is not None:
            points = self._index.points
            metres[:] = [distance_m(point, *points[row].tolist()) for row in on_page]
        beyond = metres > (math.inf if radius_m is None else radius_m)
        counts = count_bits(self._index.clinic_bits, rows, places)
        return Found(
            rows=on_page,
            metres=metres,
            at_home=(beyond | matches.only_at_home(on_page)).astype(np.uint8),
            last_rank=page[-1][0] if page else 0.0,
            last_tie=page[-1][1] if page else 0.0,
            totals=np.concatenate(([len(rows)], counts)),
            more=len(ranked) > limit,
        )

    def _by_number(
        self,
        rows: NDArray[np.int32],
        keys: NDArray[np.float32],
        ties: NDArray[np.float64],
        after: Position | None,
        limit: int,
    ) -> list[Ranked]:
        high, low = self._index.ids[rows, 0], self._index.ids[rows, 1]
        if after is not None:
            later = _follows(keys, ties, high, low, after)
            rows, keys, ties = rows[later], keys[later], ties[later]
            high, low = high[later], low[later]
        if len(rows) > limit:
            first = keys <= np.partition(keys, limit - 1)[limit - 1]
            rows, keys, ties = rows[first], keys[first], ties[first]
            high, low = high[first], low[first]
        order = np.lexsort((low, high, ties, keys))[:limit]
        return list(
            zip(keys[order].tolist(), ties[order].tolist(), rows[order].tolist(), strict=True)
        )

    def _by_name(
        self,
        rows: NDArray[np.int32],
        ties: NDArray[np.float64],
        after: Position | None,
        limit: int,
    ) -> list[Ranked]:
        """Eight bytes decide almost always; where they do not, the whole names are compared."""
        keys = self._index.name_key[rows]
        start = ("", -1.0, UUID(int=0))
        if after is not None:
            start = (str(after.rank), after.tie, after.id)
        first = np.uint64(name_key(start[0]))
        from_first = keys >= first
        rows, ties, keys = rows[from_first], ties[from_first], keys[from_first]
        beyond = keys[keys > first]
        if len(beyond) > limit:
            to_last = keys <= np.partition(beyond, limit - 1)[limit - 1]
            rows, ties = rows[to_last], ties[to_last]
        named = [
            (self._name_of(row), tie, self._index.id_of(row), row)
            for row, tie in zip(rows.tolist(), ties.tolist(), strict=True)
        ]
        following = sorted(entry for entry in named if entry[:3] > start)
        return [(name, tie, row) for name, tie, _, row in following[:limit]]

    def _name_of(self, row: int) -> str:
        return plain_words(_decode_name(self._index.summary(row)).name)


class _Named(msgspec.Struct):
    name: str


_decode_name = msgspec.json.Decoder(_Named).decode


def distance_m(point: Point, lat: float, lon: float) -> float:
    """The WGS-84 geodesic in metres, also where the kernel's formula gives up (antipodes)."""
    found = geodesic_between(point.lat, point.lon, lat, lon)
    if np.isnan(found):
        exact = exact_geodesic((point.lat, point.lon), (lat, lon))
        return float(exact.m)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return found


def _last(after: Position | None) -> Last:
    if after is None:
        return FROM_THE_START
    high, low = after.id.int >> WORD, after.id.int & (1 << WORD) - 1
    return float(after.rank), np.uint64(high), np.uint64(low)


@lru_cache(256)
def _reach(radius_m: float | None) -> kernel.Reach:
    if radius_m is None:
        return EVERYWHERE
    return radius_m, shortest_chord(radius_m) ** 2, longest_chord(radius_m) ** 2


def _follows(
    keys: NDArray[np.float32],
    ties: NDArray[np.float64],
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
    after: Position,
) -> NDArray[np.bool_]:
    last = np.float32(after.rank)
    last_high = np.uint64(after.id.int >> WORD)
    last_low = np.uint64(after.id.int & (1 << WORD) - 1)
    later_id = (high > last_high) | ((high == last_high) & (low > last_low))
    later_tie = (ties > after.tie) | ((ties == after.tie) & later_id)
    return (keys > last) | ((keys == last) & later_tie)
