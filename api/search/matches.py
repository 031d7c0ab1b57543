"""Which clinics answer to a set of filters, worked out once a directory version.

Most of it is the same wherever the asker is. What differs between states, care at home, is kept as
a few rows a state beside the common part.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.search.bits import count_bits
from api.search.filters import (
    AT_HOME,
    Filters,
    clinic_filters,
    text_scores,
    ways_to_answer,
)
from api.search.index import SearchIndex
from api.search.kernel import ADDED, ALSO_AT_HOME, AT_HOME_ONLY
from api.search.layers import BOXES_A_GROUP, ROWS_A_BOX, Layer

MOST_BYTES_KEPT: Final = 16 * 1024 * 1024
FEWEST_KEPT: Final = 8
NOWHERE: Final = ""
Sizes = tuple[int, int]


class Common:
    """The part of the matches that is the same in every state: who answers by care at the site."""

    def __init__(self, index: SearchIndex, filters: Filters, sizes: Sizes) -> None:
        self._index = index
        self._filters = filters
        self._sizes = sizes
        self._clinics = clinic_filters(index, filters)
        self.scores: NDArray[np.float32] | None = None
        if filters.q:
            self.scores = text_scores(index, filters.q)
            self._clinics &= self.scores > 0
        self.ways = ways_to_answer(index, filters, self._clinics, NOWHERE)
        placed = _placed(index, np.flatnonzero(self.ways))
        self.site = Layer(
            index.space, index.clinic_bits, placed, np.full(len(placed), ADDED, np.int8), sizes
        )
        self._of_state: dict[str | None, Matches] = {}

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        scores = 0 if self.scores is None else self.scores.nbytes
        own = sum(matches.own.bytes for matches in self._of_state.values())
        return self._clinics.nbytes + self.ways.nbytes + scores + self.site.bytes + own

    def for_state(self, asker_state: str | None) -> Matches | None:
        """What was worked out for a state, None when nothing was."""
        return self._of_state.get(asker_state)

    def work_out(self, asker_state: str | None) -> Matches:
        ways = ways_to_answer(self._index, self._filters, self._clinics, asker_state)
        found = self._of_state[asker_state] = Matches(self, self._index, ways, self._sizes)
        return found


class Matches:
    """The clinics that answer, for one asker's state.

    `site` and `own` are the layers that the kernel searches; `home` are the rows with a point that
    treat at home.
    """

    def __init__(
        self, common: Common, index: SearchIndex, ways: NDArray[np.uint8], sizes: Sizes
    ) -> None:
        self._common = common
        self._bits = index.clinic_bits
        self.site = common.site
        changed = _placed(index, np.flatnonzero(ways != common.ways))
        weights = np.where(ways[changed] & AT_HOME, AT_HOME_ONLY, ADDED).astype(np.int8)
        weights[common.ways[changed] != 0] = ALSO_AT_HOME
        self.own = Layer(index.space, index.clinic_bits, changed, weights, sizes)
        self.home = changed[weights != ADDED]
        answering = np.flatnonzero(ways).astype(np.int32)
        self._unplaced = answering[np.isnan(index.points[answering, 0])]
        self._home_totals: dict[bytes, NDArray[np.int64]] = {}

    @property
    def scores(self) -> NDArray[np.float32] | None:
        """How well each row answers to the text that is asked for."""
        return self._common.scores

    @property
    def placed(self) -> int:
        """How many of the answers have a point."""
        return len(self.site.rows) + int(np.count_nonzero(self.own.weights != ALSO_AT_HOME))

    def everywhere(self) -> NDArray[np.int32]:
        """All rows that answer, also those without a point."""
        own = self.own.rows[self.own.weights != ALSO_AT_HOME]
        return np.concatenate((self.site.rows, own, self._unplaced))

    def only_at_home(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """For each of the rows whether it answers by care at home alone."""
        return np.isin(rows, self.own.rows[self.own.weights == AT_HOME_ONLY])

    def home_totals(self, places: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many treat at home, and how many of them have each bit (word * 64 + bit)."""
        key = places.tobytes()
        found = self._home_totals.get(key)
        if found is None:
            counts = count_bits(self._bits, self.home, places)
            found = self._home_totals[key] = np.concatenate(([len(self.home)], counts))
        return found


class MatchCache:
    """Matches of one directory version, so that asking again from elsewhere costs nothing."""

    def __init__(self, index: SearchIndex, sizes: Sizes = (ROWS_A_BOX, BOXES_A_GROUP)) -> None:
        self._index = index
        self._sizes = sizes
        self._version = -1
        self._kept: OrderedDict[Filters, Common] = OrderedDict()

    def find(self, filters: Filters, asker_state: str | None) -> Matches:
        if self._version != self._index.version:
            self._kept.clear()
            self._version = self._index.version
        common = self._kept.get(filters)
        if common is None:
            common = self._kept[filters] = Common(self._index, filters, self._sizes)
        else:
            self._kept.move_to_end(filters)
        found = common.for_state(asker_state)
        if found is None:
            found = common.work_out(asker_state)
            self._forget()
        return found

    def _forget(self) -> None:
        """Drops what was asked for longest ago, until the rest fits."""
        kept = sum(common.bytes for common in self._kept.values())
        while kept > MOST_BYTES_KEPT and len(self._kept) > FEWEST_KEPT:
            kept -= self._kept.popitem(last=False)[1].bytes


def _placed(index: SearchIndex, rows: NDArray[np.intp]) -> NDArray[np.int32]:
    """Those of the rows that have a point."""
    return rows[~np.isnan(index.points[rows, 0])].astype(np.int32)
