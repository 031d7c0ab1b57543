"""Puts a search's answer together from ready-encoded parts."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.keyring import Keyring
from api.search.bits import count_bits
from api.search.cursor import Position, read_cursor, write_cursor
from api.search.encoding import MOST_AROUND_A_SUMMARY, write_items
from api.search.filters import AT_HOME
from api.search.index import SearchIndex
from api.search.matches import MatchCache, Matches
from api.search.place import Place
from api.search.query import Question
from api.search.ranking import Found, Point, Ranking
from api.search.schemas import Origin
from api.search.suggestions import suggestions


class FacetCodes(msgspec.Struct, frozen=True):
    """The codes to count: the bit of each (word * 64 + bit), and its facet and code."""

    size: int
    places: NDArray[np.int32]
    codes: list[tuple[str, str]]


class Search:
    """Answers questions from one index. For one thread."""

    def __init__(self, index: SearchIndex, keys: Keyring) -> None:
        self.index = index
        self._keys = keys
        self._matches = MatchCache(index)
        self._ranking = Ranking(index)
        self._written = bytearray(1 << 16)
        self._facet_codes: dict[tuple[str, ...], FacetCodes] = {}

    def answer(self, question: Question, origin: Place | None) -> bytes:
        """The answer as JSON (`SearchAnswer`). Raises `InvalidParameter` for a wrong cursor."""
        matches, found = self.find(question, origin)
        following = b"null"
        if found.more:
            last = Position(found.ranks[-1], self.index.id_of(int(found.rows[-1])), found.last_tie)
            cursor = write_cursor(self._keys, question.fingerprint, question.asked.near, last)
            following = b'"%b"' % cursor.encode()
        encoded_help = b"[]"
        if found.total == 0:
            help_found = suggestions(question, origin, lambda other: self._total(other, origin))
            encoded_help = _encode(help_found)
        facets = b"{}"
        if question.facets:
            facets = _encode(self._facets(question.facets, matches, found))
        return (
            b'{"origin":%b,"total":%d,"next":%b,"directory_version":%d,"facets":%b,"items":[%b],'
            b'"suggestions":%b}'
        ) % (
            _encode(_origin(origin)), found.total, following, self.index.version, facets,
            self._items(matches, found, question.radius_m), encoded_help,
        )  # fmt: skip

    def find(self, question: Question, origin: Place | None) -> tuple[Matches, Found]:
        """The matches and the page asked for."""
        after = None
        if question.cursor is not None:
            after = read_cursor(
                self._keys, question.fingerprint, question.asked.near, question.cursor
            )
        matches = self._matches.find(question.filters, None if origin is None else origin.state)
        point = None if origin is None else Point(origin.lat, origin.lon)
        found = self._ranking.page(
            matches, point, question.radius_m, question.sort, after, question.limit,
            self._codes_of(question.facets).places,
        )  # fmt: skip
        return matches, found

    def _items(self, matches: Matches, found: Found, radius_m: float | None) -> memoryview:
        summaries = self.index.summaries
        room = (summaries.longest + MOST_AROUND_A_SUMMARY) * len(found.rows)
        if room > len(self._written):
            self._written = bytearray(2 * room)
        length = write_items(
            summaries.bytes, summaries.starts, summaries.lengths, found.rows, found.metres,
            matches.passes, math.inf if radius_m is None else radius_m,
            np.frombuffer(self._written, np.uint8),
        )  # fmt: skip
        return memoryview(self._written)[:length]

    def _facets(
        self, names: tuple[str, ...], matches: Matches, found: Found
    ) -> dict[str, dict[str, int]]:
        """For each name, how many of all answers have each code, the most frequent first."""
        asked = self._codes_of(names)
        facets: dict[str, dict[str, int]] = {name: {} for name in names}
        counts = self._counts(asked.places, matches, found).tolist()
        having = [
            (-count, code, name)
            for count, (name, code) in zip(counts, asked.codes, strict=True)
            if count
        ]
        for count, code, name in sorted(having):
            facets[name][code] = -count
        return facets

    def _codes_of(self, names: tuple[str, ...]) -> FacetCodes:
        """Where the codes of these facets stand in a row, found anew when there are new codes."""
        kept = self._facet_codes.get(names)
        space = self.index.clinic_space
        if kept is None or kept.size != space.size:
            found = [(name, bit, code) for name in names for bit, code in space.codes(name)]
            kept = self._facet_codes[names] = FacetCodes(
                size=space.size,
                places=np.array([bit for _, bit, _ in found], np.int32),
                codes=[(name, code) for name, _, code in found],
            )
        return kept

    def _counts(
        self, places: NDArray[np.int32], matches: Matches, found: Found
    ) -> NDArray[np.int64]:
        if found.near is None:
            return self._kept_counts(b"all", places, matches, NOTHING)
        if found.counts is None:
            return self._count(places, found.near, matches)
        if not found.and_home:
            return found.counts
        # Who treats at home is counted once for all who ask; the others in reach come on top.
        return found.counts + self._kept_counts(b"home", places, matches, AT_HOME)

    def _kept_counts(
        self, which: bytes, places: NDArray[np.int32], matches: Matches, ways: np.uint8
    ) -> NDArray[np.int64]:
        key = which + places.tobytes()
        counts = matches.counts.get(key)
        if counts is None:
            rows = matches.home_rows
            if not ways:
                rows = np.flatnonzero(matches.passes).astype(np.int32)
                rows = rows[~np.isnan(self.index.points[rows, 0])]
            counts = matches.counts[key] = self._count(places, rows, matches)
        return counts

    def _count(
        self, places: NDArray[np.int32], rows: NDArray[np.int32], matches: Matches
    ) -> NDArray[np.int64]:
        counts = np.zeros(len(places), np.int64)
        count_bits(self.index.clinic_bits, rows, len(rows), matches.passes, NOTHING, places, counts)
        return counts

    def _total(self, question: Question, origin: Place | None) -> int:
        return self.find(msgspec.structs.replace(question, cursor=None, limit=1), origin)[1].total


NOTHING = np.uint8(0)
_encode = msgspec.json.encode


def _origin(place: Place | None) -> Origin | None:
    if place is None:
        return None
    return Origin(
        lat=place.lat,
        lon=place.lon,
        label=place.label,
        source=place.source,
        precision=place.precision,
        uncertainty_m=place.uncertainty_m,
        state=place.state,
    )
