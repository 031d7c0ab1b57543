"""From an id or a slug to a row, in a few bytes a clinic."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def hash_of(slug: str) -> int:
    """Eight bytes that stand for a slug. Two slugs may share them: compare what is found."""
    return int.from_bytes(blake2b(slug.encode(), digest_size=8).digest())


class Lookup:
    """Rows by a 64-bit number each: sorted numbers for the ordered rows, a dict for later ones."""

    def __init__(self) -> None:
        self._numbers: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._rows: NDArray[np.int32] = np.empty(0, np.int32)
        self._later: dict[int, list[int]] = {}

    def add(self, number: int, row: int) -> None:
        self._later.setdefault(number, []).append(row)

    def rebuild(self, numbers: NDArray[np.uint64]) -> None:
        """Row i has `numbers[i]`; nothing else is kept."""
        self._rows = np.argsort(numbers, kind="stable").astype(np.int32)
        self._numbers = numbers[self._rows]
        self._later = {}

    def rows(self, number: int) -> list[int]:
        """Every row that was given this number, the latest first."""
        wanted = np.uint64(number)
        first = int(np.searchsorted(self._numbers, wanted, "left"))
        last = int(np.searchsorted(self._numbers, wanted, "right"))
        return [*reversed(self._later.get(number, ())), *self._rows[first:last].tolist()]
