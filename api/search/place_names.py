"""Places by name: exact, by the beginning, and by what was probably meant."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from api.search.place_text import fold, written_out

# Shorter texts are a typing error away from half the gazetteer.
SHORTEST_FOR_TYPOS: Final = 4
TWO_TYPOS_FROM: Final = 8


class CityColumns(NamedTuple):
    """One entry a place; `regions` are indexes into the gazetteer's regions."""

    names: Sequence[str]
    regions: array[int]
    lats: array[float]
    lons: array[float]
    populations: array[int]
    timezones: Sequence[str]
    uncertainties: array[int]


class PlaceNames:
    """Folded names in order, each with the row it names. Rows may go by several names.

    What is looked up is folded, too; "st james" and "saint james" are one name here.
    """

    def __init__(self, names: Iterable[tuple[str, int]], populations: Sequence[int]) -> None:
        ordered = sorted((written_out(fold(name)), row) for name, row in names)
        self._keys = [key for key, _ in ordered]
        self._rows: NDArray[np.int32] = np.array([row for _, row in ordered], dtype=np.int32)
        self._populations: NDArray[np.int64] = np.array(populations, dtype=np.int64)

    def named(self, key: str) -> list[int]:
        """Rows with exactly this folded name, most populous first."""
        key = written_out(key)
        first, last = bisect_left(self._keys, key), bisect_right(self._keys, key)
        return self._by_population(self._rows[first:last])

    def starting(self, prefix: str) -> list[int]:
        """Rows whose folded name begins so, most populous first."""
        if not prefix:
            return []
        prefix = written_out(prefix)
        first = bisect_left(self._keys, prefix)
        last = bisect_left(self._keys, prefix + "\U0010ffff")
        return self._by_population(self._rows[first:last])

    def resembling(self, prefix: str) -> list[int]:
        """Rows whose name begins with something a typing error or two away, nearest and then
        most populous first."""
        allowed = self._typos(prefix)
        if not allowed:
            return []
        return self._close(prefix, allowed, len(prefix))

    def similar(self, key: str) -> list[int]:
        """Rows whose whole name is a typing error or two away, nearest first."""
        key = written_out(key)
        allowed = self._typos(key)
        return self._close(key, allowed, None) if allowed else []

    @staticmethod
    def _typos(key: str) -> int:
        if len(key) < SHORTEST_FOR_TYPOS:
            return 0
        return 1 if len(key) < TWO_TYPOS_FROM else 2

    def _close(self, key: str, allowed: int, length: int | None) -> list[int]:
        """Only among names with the same first letter: few miss it, and it bounds the work."""
        first = bisect_left(self._keys, key[0])
        last = bisect_left(self._keys, key[0] + "\U0010ffff")
        beginnings = [name[:length] for name in self._keys[first:last]]
        found = process.extract(
            key, beginnings, scorer=OSA.distance, score_cutoff=allowed, limit=None
        )
        rows = [(int(distance), int(self._rows[first + index])) for _, distance, index in found]
        rows.sort(key=lambda pair: (pair[0], -int(self._populations[pair[1]])))
        return list(dict.fromkeys(row for _, row in rows))

    def _by_population(self, rows: NDArray[np.int32]) -> list[int]:
        if rows.size > 1:
            rows = rows[np.argsort(-self._populations[rows], kind="stable")]
        return list(dict.fromkeys(rows.tolist()))
