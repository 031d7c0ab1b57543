"""The clinics that answer a search, in order, one page of them at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import msgspec
import numpy as np
from geopy.distance import geodesic as exact_geodesic
from numpy.typing import NDArray

from api.directory.catalogue import plain_words
from api.search import kernel
from api.search.bits import WORD
from api.search.cursor import Position
from api.search.geodesic import geodesic_between, in_space, prepared
from api.search.geometry import (
    longest_chord,
    shortest_chord,
)
from api.search.index import SearchIndex, name_key
from api.search.matches import Matches
from api.search.planner import Plan, choose_plan, first_reach_m

FARTHEST_REACH_M = 19_000_000.0
"""Beyond this a point may be nearly antipodal; everything is looked at then."""


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

    `rows` and their geodesics `metres` (NaN without a point asked from) and `ranks` stand side by
    side. All `total` answers are the rows `near` and, if `and_home`, the matches' `home_rows`;
    with `near` None they are all the matches that have a point.
    """

    rows: NDArray[np.int32]
    metres: NDArray[np.float64]
    ranks: Sequence[float | str]
    total: int
    more: bool
    near: NDArray[np.int32] | None
    and_home: bool
    last_tie: float = 0.0
    """What decided between the last row and others of its rank."""
    counts: NDArray[np.int64] | None = None
    """How many of `near` have each of the bits asked for; with `and_home`, of those of them that
    do not treat at home."""


class Reach(msgspec.Struct, frozen=True):
    """How far to look: the geodesic radius in metres, and the chords that decide it."""

    radius: float
    chords: tuple[float, float]


Ranked = tuple[float | str, float, int]
"""Rank, tie, row."""
EVERYWHERE = Reach(math.inf, (math.inf, math.inf))
FROM_THE_START = (-1.0, np.uint64(0), np.uint64(0))
NO_ROWS: NDArray[np.int32] = np.empty(0, np.int32)


class Ranking:
    """Finds pages in one index. Keeps its working space between searches; not for two threads."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._version = -1

    def _follow_index(self) -> None:
        """Cuts the columns to their filled part, once a directory version."""
        index, size = self._index, self._index.size
        self._columns = (index.space[:size], index.prepared[:size])
        self._boxes = (index.boxes, index.groups)
        if self._version < 0 or size > len(self._rows):
            room = len(index.alive)
            self._rows, self._near_rows = np.empty((2, room), np.int32)
            self._chords2, self._near_m = np.empty((2, room))
            self._order = np.empty(1024, np.int32)
            self._work = (
                self._rows, self._chords2, self._near_rows, self._near_m, self._order
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
        places: NDArray[np.int32] = NO_ROWS,
        plan: Plan | None = None,
    ) -> Found:
        """The next `limit` answers after a position.

        With a point: the matches within the radius, and those beyond that give care at home where
        the asker lives. `places` are bits to count where that costs least. `plan` is for tests; the
        planner chooses otherwise.
        """
        if self._version != self._index.version:
            self._follow_index()
        if point is None:
            rows = np.flatnonzero(matches.passes).astype(np.int32)
            return self._by_key(matches, rows, np.zeros(len(rows)), None, sort, after, limit)
        if plan is None:
            known = None if matches.rows is None else len(matches.rows)
            plan = choose_plan(known, len(self._index), radius_m, limit)
        if sort is not Sort.DISTANCE:
            near, _ = self._collect(matches, point, _reach(radius_m), plan)
            count = self._add_beyond(matches, point, radius_m, near)
            rows, ties = self._rows[:count].copy(), self._chords2[:count].copy()
            return self._by_key(matches, rows, ties, point, sort, after, limit)
        if radius_m is None and plan is Plan.WALK_OUTWARD:
            return self._walk_on(matches, point, after, limit)
        return self._nearest_in(matches, point, radius_m, after, limit, places, plan)

    def _nearest_in(
        self,
        matches: Matches,
        point: Point,
        radius_m: float | None,
        after: Position | None,
        limit: int,
        places: NDArray[np.int32],
        plan: Plan,
    ) -> Found:
        index = self._index
        reach = EVERYWHERE if radius_m is None else _reach(radius_m)
        home = 0 if radius_m is None else len(matches.home_rows)
        rows, metres = np.empty(limit, np.int32), np.empty(limit)
        counts = np.zeros(len(places), np.int64)
        near, near_home, size, _, undecided = kernel.near_page(
            self._columns, self._boxes, index.ordered, index.ids, index.clinic_bits,
            matches.passes, self._chosen(matches, plan), plan is Plan.SCAN_MATCHES,
            (point.lat, point.lon), reach.radius, reach.chords, _last(after),
            home, places, counts, self._work, rows, metres,
        )  # fmt: skip
        found = None
        if undecided:
            found = self._nearest(point, after, limit, near)
        elif home > near_home and size <= limit:
            # Whoever is beyond the radius comes after all within it: looked at only when needed.
            found = self._nearest(
                point, after, limit, self._add_beyond(matches, point, radius_m, near)
            )
        if found is not None:
            rows, metres, size = found.rows, found.metres, len(found.rows) + found.more
        filled = min(size, limit)
        return Found(
            rows=rows[:filled],
            metres=metres[:filled],
            ranks=(float(metres[filled - 1]),) if filled else (),
            total=near + home - near_home if home else near,
            more=size > limit,
            near=self._rows[:near],
            and_home=home > near_home,
            counts=counts,
        )

    def _walk_on(self, matches: Matches, point: Point, after: Position | None, limit: int) -> Found:
        """Reaches farther and farther until the page is full of what is surely the nearest."""
        radius_m = first_reach_m(matches.placed, limit + 1)
        if after is not None:
            radius_m += float(after.rank)
        while radius_m < FARTHEST_REACH_M:
            near, _ = self._collect(matches, point, _reach(radius_m), Plan.WALK_OUTWARD)
            if near > limit:
                found = self._nearest(point, after, limit, near)
                if found.more:
                    return msgspec.structs.replace(found, total=matches.placed)
            radius_m *= 2.5
        near, _ = self._collect(matches, point, EVERYWHERE, Plan.WALK_OUTWARD)
        found = self._nearest(point, after, limit, near)
        return msgspec.structs.replace(found, total=matches.placed)

    def _collect(self, matches: Matches, point: Point, reach: Reach, plan: Plan) -> tuple[int, int]:
        """Fills the working rows with all within reach: how many, and how many also at home."""
        return kernel.collect(
            self._columns, self._boxes, self._index.ordered, matches.passes,
            self._chosen(matches, plan), plan is Plan.SCAN_MATCHES,
            prepared(point.lat, point.lon), in_space(point.lat, point.lon),
            reach.radius, reach.chords, self._rows, self._chords2,
        )  # fmt: skip

    def _chosen(self, matches: Matches, plan: Plan) -> NDArray[np.int32]:
        """The rows to go through, when that is the plan."""
        if plan is Plan.WALK_OUTWARD:
            return NO_ROWS
        if matches.rows is not None:
            return matches.rows
        return np.flatnonzero(matches.passes).astype(np.int32)

    def _add_beyond(self, matches: Matches, point: Point, radius_m: float | None, near: int) -> int:
        """Adds the at-home answers beyond the radius to the working rows; how many there are."""
        if radius_m is None or not len(matches.home_rows):
            return near
        reach = _reach(radius_m)
        return kernel.add_beyond(
            self._columns, matches.home_rows,
            prepared(point.lat, point.lon), in_space(point.lat, point.lon),
            reach.radius, reach.chords, self._rows, self._chords2, near,
        )  # fmt: skip

    def _nearest(self, point: Point, after: Position | None, limit: int, count: int) -> Found:
        last = _last(after)
        size, near, undecided = kernel.nearest(
            self._columns, self._index.ids, prepared(point.lat, point.lon), last, limit + 1,
            self._rows, self._chords2, count, self._near_rows, self._near_m, self._order,
        )  # fmt: skip
        if undecided:
            size = self._nearest_with_antipodes(point, last, limit + 1, near)
        order = self._order[: min(size, limit)]
        metres = self._near_m[order]
        return Found(
            rows=self._near_rows[order],
            metres=metres,
            ranks=metres.tolist(),
            total=count,
            more=size > limit,
            near=None,
            and_home=False,
        )

    def _nearest_with_antipodes(
        self, point: Point, last: tuple[float, np.uint64, np.uint64], limit: int, near: int
    ) -> int:
        for at in np.flatnonzero(np.isnan(self._near_m[:near])).tolist():
            lat, lon = self._index.points[self._near_rows[at]].tolist()
            self._near_m[at] = distance_m(point, lat, lon)
        return kernel.page_of(
            self._near_m, self._near_rows, self._index.ids, near, last, limit, self._order
        )

    def _by_key(
        self,
        matches: Matches,
        rows: NDArray[np.int32],
        ties: NDArray[np.float64],
        point: Point | None,
        sort: Sort,
        after: Position | None,
        limit: int,
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
        metres = np.full(len(page), np.nan)
        if point is not None:
            points = self._index.points
            metres[:] = [distance_m(point, *points[row].tolist()) for _, _, row in page]
        return Found(
            rows=np.array([row for _, _, row in page], np.int32),
            metres=metres,
            ranks=[rank for rank, _, _ in page],
            last_tie=page[-1][1] if page else 0.0,
            total=len(rows),
            more=len(ranked) > limit,
            near=rows,
            and_home=False,
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


def _last(after: Position | None) -> tuple[float, np.uint64, np.uint64]:
    if after is None:
        return FROM_THE_START
    high, low = after.id.int >> WORD, after.id.int & (1 << WORD) - 1
    return float(after.rank), np.uint64(high), np.uint64(low)


@lru_cache(256)
def _reach(radius_m: float | None) -> Reach:
    if radius_m is None:
        return EVERYWHERE
    return Reach(radius_m, (shortest_chord(radius_m), longest_chord(radius_m)))


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
