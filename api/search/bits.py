"""Codes as bits, so that a filter is one AND over a column of machine words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled

WORD = 64


class BitSpace:
    """Gives each (field, code) a bit of its own, in the order they are first seen.

    Codes are never taken back: a language that no clinic speaks any more costs one bit until the
    next start.
    """

    def __init__(self) -> None:
        self.size = 0
        """How many codes have a bit."""
        self._masks: dict[str, dict[str, int]] = {}

    @property
    def words(self) -> int:
        """How many words a row needs for the codes seen so far, at least one."""
        return max(1, -(-self.size // WORD))

    def pattern(self, field: str, codes: Iterable[str]) -> int:
        """The codes' bits as one whole number, new codes included: what a row is written with."""
        masks = self._masks.setdefault(field, {})
        value = 0
        for code in codes:
            mask = masks.get(code)
            if mask is None:
                mask = masks[code] = 1 << self.size
                self.size += 1
            value |= mask
        return value

    def mask(self, field: str, codes: Iterable[str]) -> NDArray[np.uint64]:
        """The codes' bits as words, codes never seen left out: what a row is asked for."""
        masks = self._masks.get(field, {})
        return split(sum({masks.get(code, 0) for code in codes}), self.words)

    def codes(self, field: str) -> list[tuple[int, str]]:
        """The field's (bit, code) pairs."""
        masks = self._masks.get(field, {})
        return [(mask.bit_length() - 1, code) for code, mask in masks.items()]


def split(value: int, words: int) -> NDArray[np.uint64]:
    """A whole number as `words` 64-bit words, lowest first."""
    return np.frombuffer(value.to_bytes(words * 8, "little"), np.uint64)


def any_of(bits: NDArray[np.uint64], mask: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """For each row of `bits` (n, words): whether it has any bit of the mask."""
    hit = np.zeros(len(bits), np.bool_)
    for word in np.flatnonzero(mask):
        hit |= (bits[:, word] & mask[word]) != 0
    return hit


def count_bits(
    bits: NDArray[np.uint64], rows: NDArray[np.int32], places: NDArray[np.int32]
) -> NDArray[np.int64]:
    """How many of the rows have each bit (word * 64 + bit) of `places`."""
    counts = np.zeros(len(places), np.int64)
    _count_bits(bits, rows, places, counts)
    return counts


@compiled
def _count_bits(
    bits: NDArray[np.uint64],
    rows: NDArray[np.int32],
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    for k in range(len(places)):
        word, shift = places[k] >> 6, np.uint64(places[k] & 63)
        for row in rows:
            counts[k] += np.int64(bits[row, word] >> shift & np.uint64(1))
