"""Which clinics answer to a set of filters, worked out once a directory version.

Most of it is the same wherever the asker is. What differs between states, care at home, is kept as
a few rows a state and laid over the common part when that state asks.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.search.filters import (
    AT_HOME,
    Filters,
    clinic_filters,
    text_scores,
    ways_to_answer,
)
from api.search.index import SearchIndex

FEW: Final = 4096
"""Up to so many matches are kept as a list, to go through instead of walking the map."""
MOST_BYTES_KEPT: Final = 16 * 1024 * 1024
FEWEST_KEPT: Final = 8
NOWHERE: Final = ""


class Common:
    """The part of the matches that is the same in every state: who answers by care at the site.

    `ways` holds one byte a row, with the rows of one state laid over it at a time.
    """

    def __init__(self, index: SearchIndex, filters: Filters) -> None:
        self._index = index
        self._filters = filters
        self._clinics = clinic_filters(index, filters)
        self.scores: NDArray[np.float32] | None = None
        if filters.q:
            self.scores = text_scores(index, filters.q)
            self._clinics &= self.scores > 0
        self.ways = ways_to_answer(index, filters, self._clinics, NOWHERE)
        self._shown: Matches | None = None
        self._of_state: dict[str | None, Matches] = {}

    @property
    def bytes(self) -> int:
        return 2 * len(self.ways) + (0 if self.scores is None else 4 * len(self.ways))

    def for_state(self, asker_state: str | None) -> Matches:
        found = self._of_state.get(asker_state)
        if found is None:
            ways = ways_to_answer(self._index, self._filters, self._clinics, asker_state)
            self.show(None)
            found = self._of_state[asker_state] = Matches(self, self._index, ways)
        return found

    def show(self, matches: Matches | None) -> None:
        """Lays the rows of one state over the common ones, or none."""
        if self._shown is matches:
            return
        if self._shown is not None:
            self.ways[self._shown.changed] = self._shown.common_ways
        if matches is not None:
            self.ways[matches.changed] = matches.changed_ways
        self._shown = matches


class Matches:
    """The clinics that answer, for one asker's state.

    `count` of them, `placed` of them with a point; `rows` lists them all, None when there are more
    than FEW; `home_rows` those with a point that treat at home; `counts` keeps facets.
    """

    def __init__(self, common: Common, index: SearchIndex, ways: NDArray[np.uint8]) -> None:
        self._common = common
        self.changed = np.flatnonzero(ways != common.ways).astype(np.int32)
        self.changed_ways = ways[self.changed]
        self.common_ways = common.ways[self.changed]
        rows = np.flatnonzero(ways).astype(np.int32)
        has_point = ~np.isnan(index.points[rows, 0])
        self.count = len(rows)
        self.placed = int(np.count_nonzero(has_point))
        self.rows = rows if len(rows) <= FEW else None
        self.home_rows = rows[((ways[rows] & AT_HOME) != 0) & has_point]
        self.counts: dict[bytes, NDArray[np.int64]] = {}

    @property
    def passes(self) -> NDArray[np.uint8]:
        """One byte a row with the bits PRESENT and AT_HOME. Good until another state's are asked
        for."""
        self._common.show(self)
        return self._common.ways

    @property
    def scores(self) -> NDArray[np.float32] | None:
        """How well each row answers to the text that is asked for."""
        return self._common.scores


class MatchCache:
    """Matches of one directory version, so that asking again from elsewhere costs nothing."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._version = -1
        self._bytes = 0
        self._kept: OrderedDict[Filters, Common] = OrderedDict()

    def find(self, filters: Filters, asker_state: str | None) -> Matches:
        if self._version != self._index.version:
            self._kept.clear()
            self._version, self._bytes = self._index.version, 0
        common = self._kept.get(filters)
        if common is None:
            common = self._kept[filters] = Common(self._index, filters)
            self._bytes += common.bytes
            while self._bytes > MOST_BYTES_KEPT and len(self._kept) > FEWEST_KEPT:
                self._bytes -= self._kept.popitem(last=False)[1].bytes
        else:
            self._kept.move_to_end(filters)
        return common.for_state(asker_state)
