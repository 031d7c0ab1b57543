"""The clinics that answer a search, in order, one page of them at a time."""

from __future__ import annotations

from enum import StrEnum
from typing import cast
from uuid import UUID

import msgspec
import numpy as np
from geopy.distance import geodesic as exact_geodesic
from numpy.typing import NDArray

from api.directory.catalogue import plain_words
from api.search import kernel
from api.search.bits import WORD
from api.search.cursor import Position
from api.search.filters import AT_HOME, EITHER, Matches
from api.search.geometry import (
    HALF_CIRCUMFERENCE_M,
    longest_chord,
    point_in_space,
    shortest_chord,
)
from api.search.index import SearchIndex, name_key
from api.search.planner import Plan, choose_plan, first_reach_m


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
    """A page: `rows` in order, their geodesics in metres (None without a point asked from), and
    `everything`, the rows of all `total` answers (None when those are all that match)."""

    rows: list[int]
    distances: list[float] | None
    ranks: list[float | str]
    total: int
    more: bool
    everything: NDArray[np.int32] | None


class Ranking:
    """Finds pages in one index. Keeps its working space between searches; not for two threads."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._room(1024)

    def _room(self, rows: int) -> None:
        self._rows = np.empty(rows, np.int32)
        self._chords2 = np.empty(rows)
        self._near_rows = np.empty(rows, np.int32)
        self._near_m = np.empty(rows)
        self._order = np.empty(1024, np.int32)

    def page(
        self,
        matches: Matches,
        point: Point | None,
        radius_m: float | None,
        sort: Sort,
        after: Position | None,
        limit: int,
        plan: Plan | None = None,
    ) -> Found:
        """The next `limit` answers after a position.

        With a point: the matches within the radius, and those beyond that give care at home where
        the asker lives. `plan` is for tests; the planner chooses otherwise.
        """
        if self._index.size > len(self._rows):
            self._room(len(self._index.alive))
        if point is None:
            rows = np.flatnonzero(matches.passes).astype(np.int32)
            return self._by_key(matches, rows, None, sort, after, limit)
        if plan is None:
            plan = choose_plan(
                None if matches.rows is None else len(matches.rows),
                len(self._index), radius_m, limit,
            )  # fmt: skip
        if radius_m is None and sort is Sort.DISTANCE and plan is Plan.WALK_OUTWARD:
            return self._walk_on(matches, point, after, limit)
        count = self._in_reach(matches, point, radius_m, plan)
        if sort is Sort.DISTANCE:
            return self._nearest(point, after, limit, count, count)
        return self._by_key(matches, self._rows[:count].copy(), point, sort, after, limit)

    def _in_reach(self, matches: Matches, point: Point, radius_m: float | None, plan: Plan) -> int:
        """Fills the working rows with all that answers; how many."""
        index, size = self._index, self._index.size
        space, points = index.space[:size], index.points[:size]
        centre = point_in_space(point.lat, point.lon)
        rows, chords2 = self._rows, self._chords2
        if plan is Plan.SCAN_MATCHES:
            chosen = matches.rows
            if chosen is None:
                chosen = np.flatnonzero(matches.passes).astype(np.int32)
            found = kernel.chords_of(space, chosen, centre, rows, chords2)
        else:
            chord = longest_chord(HALF_CIRCUMFERENCE_M if radius_m is None else radius_m)
            found = self._within(matches, centre, chord)
        if radius_m is None:
            return found
        chords = (shortest_chord(radius_m), longest_chord(radius_m))
        lat, lon = point.lat, point.lon
        found = kernel.cut_at_radius(points, lat, lon, radius_m, chords, True, rows, chords2, found)
        if len(matches.home_rows):
            room, room2 = self._near_rows, self._near_m
            beyond = kernel.chords_of(space, matches.home_rows, centre, room, room2)
            beyond = kernel.cut_at_radius(
                points, lat, lon, radius_m, chords, False, room, room2, beyond
            )
            rows[found : found + beyond] = room[:beyond]
            chords2[found : found + beyond] = room2[:beyond]
            found += beyond
        return found

    def _within(self, matches: Matches, centre: tuple[float, float, float], chord: float) -> int:
        index = self._index
        return kernel.within(
            index.space[: index.size], matches.passes, EITHER, index.boxes, index.groups,
            index.ordered, centre, chord, self._rows, self._chords2,
        )  # fmt: skip

    def _walk_on(self, matches: Matches, point: Point, after: Position | None, limit: int) -> Found:
        """Reaches farther and farther until the page is full of what is surely the nearest."""
        centre = point_in_space(point.lat, point.lon)
        reach = first_reach_m(matches.placed, limit + 1)
        if after is not None:
            reach += float(after.rank)
        while True:
            count = self._within(matches, centre, longest_chord(reach))
            everywhere = reach >= HALF_CIRCUMFERENCE_M
            if count > limit or everywhere:
                found = self._nearest(point, after, limit, count, matches.placed)
                sure = found.more and found.distances is not None and found.distances[-1] <= reach
                if sure or everywhere:
                    return msgspec.structs.replace(found, everything=None)
            reach *= 2.5

    def _nearest(
        self, point: Point, after: Position | None, limit: int, count: int, total: int
    ) -> Found:
        index = self._index
        points = index.points[: index.size]
        last, high, low = -1.0, np.uint64(0), np.uint64(0)
        if after is not None:
            last = float(after.rank)
            high, low = np.uint64(after.id.int >> WORD), np.uint64(after.id.int & (1 << WORD) - 1)
        near = kernel.nearest_candidates(
            points, point.lat, point.lon, last, limit + 1,
            self._rows, self._chords2, count, self._near_rows, self._near_m,
        )  # fmt: skip
        for at in np.flatnonzero(np.isnan(self._near_m[:near])).tolist():
            self._near_m[at] = distance_m(point, *points[self._near_rows[at]].tolist())
        size = kernel.page_of(
            self._near_m, self._near_rows, index.ids, near, last, high, low, limit + 1, self._order
        )
        order = self._order[: min(size, limit)]
        distances: list[float] = self._near_m[order].tolist()
        return Found(
            rows=self._near_rows[order].tolist(),
            distances=distances,
            ranks=list(distances),
            total=total,
            more=size > limit,
            everything=self._rows[:count],
        )

    def _by_key(
        self,
        matches: Matches,
        rows: NDArray[np.int32],
        point: Point | None,
        sort: Sort,
        after: Position | None,
        limit: int,
    ) -> Found:
        if sort is Sort.NAME:
            ranked = self._by_name(rows, after, limit + 1)
        elif sort is Sort.WAIT:
            ranked = self._by_number(rows, self._index.wait_days[rows], after, limit + 1)
        else:
            assert matches.scores is not None, "relevance is of a text"
            ranked = self._by_number(rows, -matches.scores[rows], after, limit + 1)
        page = ranked[:limit]
        distances = None
        if point is not None:
            distances = [self._distance_of(point, row) for _, row in page]
        return Found(
            rows=[row for _, row in page],
            distances=distances,
            ranks=[rank for rank, _ in page],
            total=len(rows),
            more=len(ranked) > limit,
            everything=rows,
        )

    def _by_number(
        self, rows: NDArray[np.int32], keys: NDArray[np.float32], after: Position | None, limit: int
    ) -> list[tuple[float | str, int]]:
        high, low = self._index.ids[rows, 0], self._index.ids[rows, 1]
        if after is not None:
            follows = _follows(keys, high, low, np.float32(after.rank), after.id)
            rows, keys, high, low = rows[follows], keys[follows], high[follows], low[follows]
        if len(rows) > limit:
            first = keys <= np.partition(keys, limit - 1)[limit - 1]
            rows, keys, high, low = rows[first], keys[first], high[first], low[first]
        order = np.lexsort((low, high, keys))[:limit]
        return list(zip(keys[order].tolist(), rows[order].tolist(), strict=True))

    def _by_name(
        self, rows: NDArray[np.int32], after: Position | None, limit: int
    ) -> list[tuple[float | str, int]]:
        """Eight bytes decide almost always; where they do not, the whole names are compared."""
        keys = self._index.name_key[rows]
        start = ("", UUID(int=0)) if after is None else (str(after.rank), after.id)
        first = np.uint64(name_key(start[0]))
        rows, keys = rows[keys >= first], keys[keys >= first]
        beyond = keys[keys > first]
        if len(beyond) > limit:
            last = np.partition(beyond, limit - 1)[limit - 1]
            rows = rows[keys <= last]
        named = [(self._name_of(row), self._index.id_of(row), row) for row in rows.tolist()]
        follow = sorted(entry for entry in named if entry[:2] > start or after is None)
        return [(name, row) for name, _, row in follow[:limit]]

    def _name_of(self, row: int) -> str:
        return plain_words(_decode_name(self._index.summary(row)).name)

    def _distance_of(self, point: Point, row: int) -> float:
        return distance_m(point, *self._index.points[row].tolist())


class _Named(msgspec.Struct):
    name: str


_decode_name = msgspec.json.Decoder(_Named).decode


def distance_m(point: Point, lat: float, lon: float) -> float:
    """The WGS-84 geodesic in metres, also where the kernel's formula gives up (antipodes)."""
    found = kernel.geodesic(point.lat, point.lon, lat, lon)
    if np.isnan(found):
        return float(cast("float", exact_geodesic((point.lat, point.lon), (lat, lon)).m))
    return found


def answers_at_home(passes: np.uint8, distance: float | None, radius_m: float | None) -> bool:
    """Whether the answer is care at home: nothing else is asked for that the site gives, or the
    site is out of reach."""
    if not passes & AT_HOME:
        return False
    beyond = radius_m is not None and distance is not None and distance > radius_m
    return beyond or passes == AT_HOME


def _follows(
    keys: NDArray[np.float32],
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
    last: np.float32,
    last_id: UUID,
) -> NDArray[np.bool_]:
    last_high, last_low = np.uint64(last_id.int >> WORD), np.uint64(last_id.int & (1 << WORD) - 1)
    later_id = (high > last_high) | ((high == last_high) & (low > last_low))
    return (keys > last) | ((keys == last) & later_id)
