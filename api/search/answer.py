"""Puts a search's answer together from ready-encoded parts."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.keyring import Keyring
from api.search.cursor import Position, read_cursor, write_cursor
from api.search.encoding import MOST_AROUND_A_SUMMARY, write_items
from api.search.index import SearchIndex
from api.search.matches import MatchCache
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
        found = self.find(question, origin)
        following = b"null"
        if found.more:
            last = Position(found.last_rank, self.index.id_of(int(found.rows[-1])), found.last_tie)
            cursor = write_cursor(self._keys, question.fingerprint, question.asked.near, last)
            following = b'"%b"' % cursor.encode()
        encoded_help = b"[]"
        if found.total == 0:
            help_found = suggestions(question, origin, lambda other: self._total(other, origin))
            encoded_help = _encode(help_found)
        facets = b"{}"
        if question.facets:
            facets = _encode(self._facets(question.facets, found))
        return (
            b'{"origin":%b,"total":%d,"next":%b,"directory_version":%d,"facets":%b,"items":[%b],'
            b'"suggestions":%b}'
        ) % (
            _encode(_origin(origin)), found.total, following, self.index.version, facets,
            self._items(found), encoded_help,
        )  # fmt: skip

    def find(self, question: Question, origin: Place | None) -> Found:
        """The page asked for."""
        after = None
        if question.cursor is not None:
            after = read_cursor(
                self._keys, question.fingerprint, question.asked.near, question.cursor
            )
        matches = self._matches.find(question.filters, None if origin is None else origin.state)
        point = None if origin is None else Point(origin.lat, origin.lon)
        return self._ranking.page(
            matches, point, question.radius_m, question.sort, after, question.limit,
            self._codes_of(question.facets).places,
        )  # fmt: skip

    def _items(self, found: Found) -> memoryview:
        summaries = self.index.summaries
        room = (summaries.longest + MOST_AROUND_A_SUMMARY) * len(found.rows)
        if room > len(self._written):
            self._written = bytearray(2 * room)
        length = write_items(
            summaries.bytes, summaries.starts, summaries.lengths, found.rows, found.metres,
            found.at_home, np.frombuffer(self._written, np.uint8),
        )  # fmt: skip
        return memoryview(self._written)[:length]

    def _facets(self, names: tuple[str, ...], found: Found) -> dict[str, dict[str, int]]:
        """For each name, how many of all answers have each code, the most frequent first."""
        asked = self._codes_of(names)
        facets: dict[str, dict[str, int]] = {name: {} for name in names}
        counts = found.totals[1:].tolist()
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

    def _total(self, question: Question, origin: Place | None) -> int:
        return self.find(msgspec.structs.replace(question, cursor=None, limit=1), origin).total


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
