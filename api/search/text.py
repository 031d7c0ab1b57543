"""Typo-tolerant text search over names, cities, organizations and directors."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from api.directory.catalogue import plain_words
from api.search.records import NamedClinic

# What a word of the question counts for, by how it meets a word of the clinic. Only the pair
# counts, never how common a word is: so a clinic's rank does not move while others come and go.
EXACT, PREFIX, TYPO = 1.0, 0.7, 0.4
FIELD_WEIGHT = {"name": 4.0, "organization": 2.0, "city": 2.0}
CONDITION_WEIGHT = 3.0
SHORTEST_WITH_TYPO = 4
SHORTEST_WITH_TWO_TYPOS = 8


class TextIndex:
    """For each field, the rows in which each word stands."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, array[int]]] = {
            "name": {}, "organization": {}, "city": {}, "director": {}, "registration": {},
        }  # fmt: skip
        self._vocabulary: dict[str, list[str]] = {}
        self.rows = 0
        """How many rows have been taken in: rows come in order, and may come late."""

    def add(self, row: int, clinic: NamedClinic) -> None:
        """Takes the next row in."""
        self._add_words("name", clinic.name, row)
        self._add_words("city", clinic.city, row)
        if clinic.organization is not None:
            self._add_words("organization", clinic.organization, row)
        director = clinic.medical_director
        if director is not None:
            self._add_words("director", director.name, row)
            if director.registration is not None:
                self._add_words("registration", director.registration.value, row)
        self.rows = row + 1

    def _add_words(self, field: str, text: str, row: int) -> None:
        rows = self._rows[field]
        for word in plain_words(text).split():
            found = rows.get(word)
            if found is None:
                rows[word] = array("i", (row,))
                self._vocabulary.pop(field, None)
            elif found[-1] != row:
                found.append(row)

    def move(self, new_row: NDArray[np.int32], rows: int) -> None:
        """Follows a new order of all rows, `rows` of them; `new_row` is -1 for one that is gone."""
        for field, words in self._rows.items():
            for word, found in list(words.items()):
                moved = new_row[np.frombuffer(found, np.int32)]
                kept = moved[moved >= 0]
                if len(kept):
                    words[word] = array("i", kept.tobytes())
                else:
                    del words[word]
                    self._vocabulary.pop(field, None)
        self.rows = rows

    def rows_with(self, field: str, text: str, size: int) -> NDArray[np.bool_]:
        """The rows whose field has every word of the text, written just so."""
        hit = np.ones(size, np.bool_)
        words = plain_words(text).split()
        for word in words:
            has = np.zeros(size, np.bool_)
            has[_rows_of(self._rows[field].get(word))] = True
            hit &= has
        return hit if words else np.zeros(size, np.bool_)

    def scores(self, word: str, size: int) -> NDArray[np.float32]:
        """How well each row answers to one word: 0 is not at all."""
        best = np.zeros(size, np.float32)
        for field, weight in FIELD_WEIGHT.items():
            words = self._rows[field]
            for candidate, closeness in self._candidates(field, word):
                rows = _rows_of(words.get(candidate))
                best[rows] = np.maximum(best[rows], np.float32(weight * closeness))
        return best

    def _candidates(self, field: str, word: str) -> Iterator[tuple[str, float]]:
        vocabulary = self._vocabulary.get(field)
        if vocabulary is None:
            vocabulary = self._vocabulary[field] = list(self._rows[field])
        for candidate in vocabulary:
            if candidate.startswith(word):
                yield candidate, EXACT if candidate == word else PREFIX
        if len(word) < SHORTEST_WITH_TYPO:
            return
        typos = 2 if len(word) >= SHORTEST_WITH_TWO_TYPOS else 1
        for candidate, distance, _ in process.extract(
            word, vocabulary, scorer=OSA.distance, score_cutoff=typos, limit=None
        ):
            # People rarely miss the first letter, and "Justin" is not what "Austin" asks for.
            if distance and candidate[:1] == word[:1]:
                yield candidate, TYPO / distance


def _rows_of(rows: array[int] | None) -> NDArray[np.int32]:
    return np.empty(0, np.int32) if rows is None else np.frombuffer(rows, np.int32)
