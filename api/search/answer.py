"""Puts a search's answer together from ready-encoded parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlencode

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.search import kernel
from api.search.bits import split
from api.search.cursor import Position, read_cursor, write_cursor
from api.search.filters import Filters, MatchCache, Matches
from api.search.geometry import MILE_M
from api.search.index import SearchIndex
from api.search.place import Place
from api.search.query import LARGEST_RADIUS_M, Question
from api.search.ranking import Found, Point, Ranking, Sort, answers_at_home
from api.search.schemas import Origin, Suggestion


class Search:
    """Answers questions from one index. For one thread."""

    def __init__(self, index: SearchIndex, cursor_key: bytes) -> None:
        self.index = index
        self._cursor_key = cursor_key
        self._matches = MatchCache(index)
        self._ranking = Ranking(index)

    def answer(self, question: Question, origin: Place | None) -> bytes:
        """The answer as JSON (`SearchAnswer`). Raises `InvalidParameter` for a wrong cursor."""
        matches, found = self.find(question, origin)
        after = None
        if found.more:
            last = Position(found.ranks[-1], self.index.id_of(found.rows[-1]))
            after = write_cursor(self._cursor_key, question.fingerprint(), last)
        suggestions: list[Suggestion] = []
        if found.total == 0:
            suggestions = list(self._suggestions(question, origin))
        return b"".join(
            (
                b'{"origin":', _encode(_origin(origin)),
                b',"total":%d,"next":' % found.total, _encode(after),
                b',"directory_version":%d,"facets":' % self.index.version,
                self._facets(question.facets, matches, found),
                b',"items":[', b",".join(self._items(matches, found, question)),
                b'],"suggestions":', _encode(suggestions), b"}",
            )
        )  # fmt: skip

    def find(self, question: Question, origin: Place | None) -> tuple[Matches, Found]:
        """The matches and the page asked for."""
        after = None
        if question.cursor is not None:
            after = read_cursor(self._cursor_key, question.fingerprint(), question.cursor)
        matches = self._matches.find(question.filters, None if origin is None else origin.state)
        point = None if origin is None else Point(origin.lat, origin.lon)
        found = self._ranking.page(
            matches, point, question.radius_m, question.sort, after, question.limit
        )
        return matches, found

    def _items(self, matches: Matches, found: Found, question: Question) -> Iterator[bytes]:
        index = self.index
        for at, row in enumerate(found.rows):
            if found.distances is None:
                distance, nearby = None, b"null"
                encoded = b"null"
            else:
                distance, nearby = found.distances[at], b'"nearby"'
                encoded = b'{"m":%.1f,"km":%.3f,"mi":%.2f}' % (
                    distance, distance / 1000, distance / MILE_M
                )  # fmt: skip
            at_home = answers_at_home(matches.passes[row], distance, question.radius_m)
            yield b'{"match":%b,"distance":%b,"clinic":%b}' % (
                b'"at_home"' if at_home else nearby, encoded, index.summary(row)
            )  # fmt: skip

    def _facets(self, names: tuple[str, ...], matches: Matches, found: Found) -> bytes:
        if not names:
            return b"{}"
        space = self.index.clinic_space
        wanted = 0
        for name in names:
            for bit, _ in space.codes(name):
                wanted |= 1 << bit
        counts = self._counts(split(wanted, space.words), matches, found)
        return _encode(
            {
                name: {code: counts[bit] for bit, code in sorted(
                    space.codes(name), key=lambda pair: (-counts[pair[0]], pair[1])
                ) if counts[bit]}
                for name in names
            }
        )  # fmt: skip

    def _counts(self, wanted: NDArray[np.uint64], matches: Matches, found: Found) -> list[int]:
        rows = found.everything
        kept = matches.counts.get(wanted.tobytes()) if rows is None else None
        if kept is None:
            if rows is None:
                rows = np.flatnonzero(matches.passes).astype(np.int32)
                rows = rows[~np.isnan(self.index.points[rows, 0])]
            counts = np.zeros(len(wanted) * 64, np.int64)
            kernel.count_bits(self.index.clinic_bits, rows, len(rows), wanted, counts)
            kept = counts.tolist()
            if found.everything is None:
                matches.counts[wanted.tobytes()] = kept
        return kept

    def _suggestions(self, question: Question, origin: Place | None) -> Iterator[Suggestion]:
        """What would find something: a wider radius, leaving one filter out, care at home."""
        if origin is not None and question.radius_m is not None:
            for times in (2, 4, None):
                radius_m = None if times is None else question.radius_m * times
                if radius_m is not None and radius_m > LARGEST_RADIUS_M:
                    continue
                wider = msgspec.structs.replace(question, radius_m=radius_m)
                if total := self._total(wider, origin):
                    value = _in_units_of(question, radius_m)
                    yield _suggest(question, "wider_radius", "radius", value, total)
                    break
        for name in question.given_filters():
            without = msgspec.structs.replace(
                question.filters, **{name: getattr(_NO_FILTERS, name)}
            )
            total = self._total(_ask(question, without), origin)
            if total:
                yield _suggest(question, "without_filter", name, None, total)
        at_home = msgspec.structs.replace(
            question.filters, route=(frozenset(("at_home",)),), setting=()
        )
        if origin is not None and (total := self._total(_ask(question, at_home), origin)):
            yield _suggest(question, "at_home", "route", "at_home", total)

    def _total(self, question: Question, origin: Place | None) -> int:
        return self.find(msgspec.structs.replace(question, cursor=None, limit=1), origin)[1].total


_NO_FILTERS = Filters()
_encode = msgspec.json.encode


def _ask(question: Question, filters: Filters) -> Question:
    """The same with other filters, in an order that needs nothing but them."""
    sort = question.sort
    if sort is Sort.RELEVANCE and not filters.q:
        sort = Sort.NAME
    return msgspec.structs.replace(question, filters=filters, sort=sort)


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


def _in_units_of(question: Question, radius_m: float | None) -> str:
    if radius_m is None:
        return "any"
    if question.asked.radius.endswith("mi"):
        return f"{round(radius_m / MILE_M, 3):.10g}mi"
    return f"{round(radius_m / 1000, 3):.10g}km"


def _suggest(
    question: Question,
    kind: Literal["wider_radius", "without_filter", "at_home"],
    parameter: str,
    value: str | None,
    total: int,
) -> Suggestion:
    dropped = {parameter, "cursor"}
    if kind == "at_home":
        dropped.add("setting")
    if parameter == "q":
        dropped.add("sort")
    pairs = [pair for pair in question.pairs() if pair[0] not in dropped]
    if value is not None:
        pairs.append((parameter, value))
    return Suggestion(
        kind=kind,
        parameter=parameter,
        value=value,
        total=total,
        href="/v1/clinics?" + urlencode(pairs),
    )
