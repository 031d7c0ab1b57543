"""What would find something, when a search has no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import msgspec

from api.search.filters import HOME, Filters
from api.search.geometry import MILE_M
from api.search.place import Place
from api.search.query import LARGEST_RADIUS_M, Question
from api.search.ranking import Sort
from api.search.schemas import ParameterChange, Suggestion, SuggestionKind

Total = Callable[[Question], int]
_NO_FILTERS = Filters()


def suggestions(question: Question, origin: Place | None, total: Total) -> list[Suggestion]:
    """Small changes first; larger ones only where no small one helps. `total` counts the answers
    of a question asked from the same place."""
    for steps in (_one_change, _two_changes, _place_only):
        found = [
            _suggestion(question, kind, changed, count)
            for kind, changed in steps(question, origin)
            if (count := total(changed))
        ]
        if found:
            return found
    return []


def _one_change(
    question: Question, origin: Place | None
) -> Iterator[tuple[SuggestionKind, Question]]:
    if origin is not None:
        for times in (2, 4):
            radius_m = (question.radius_m or LARGEST_RADIUS_M) * times
            if radius_m < LARGEST_RADIUS_M:
                yield "wider_radius", _within(question, radius_m)
        at_home = msgspec.structs.replace(question.filters, route=(frozenset({HOME}),), setting=())
        if at_home != question.filters:
            yield "at_home", _asking(question, at_home)
    for name in question.given_filters():
        yield "without_filter", _without(question, name)


def _two_changes(
    question: Question, origin: Place | None
) -> Iterator[tuple[SuggestionKind, Question]]:
    if origin is not None and question.radius_m is not None:
        anywhere = _within(question, None)
        yield "wider_radius", anywhere
        for name in question.given_filters():
            yield "without_filter", _without(anywhere, name)
    names = question.given_filters()
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            yield "without_filter", _without(_without(question, first), second)


def _place_only(
    question: Question, origin: Place | None
) -> Iterator[tuple[SuggestionKind, Question]]:
    bare = _asking(question, _NO_FILTERS)
    yield "place_only", bare
    if origin is not None and question.radius_m is not None:
        yield "place_only", _within(bare, None)


def _within(question: Question, radius_m: float | None) -> Question:
    return msgspec.structs.replace(question, radius_m=radius_m)


def _without(question: Question, name: str) -> Question:
    nothing = getattr(_NO_FILTERS, name)
    return _asking(question, msgspec.structs.replace(question.filters, **{name: nothing}))


def _asking(question: Question, filters: Filters) -> Question:
    """The same with other filters, in an order that needs nothing but them."""
    sort = question.sort
    if sort is Sort.RELEVANCE and not filters.q:
        sort = Sort.NAME if question.asked.near is None else Sort.DISTANCE
    return msgspec.structs.replace(question, filters=filters, sort=sort)


def _suggestion(
    question: Question, kind: SuggestionKind, changed: Question, total: int
) -> Suggestion:
    changes: list[ParameterChange] = []
    if changed.radius_m != question.radius_m:
        changes.append(ParameterChange("radius", _in_units_of(question, changed.radius_m)))
    changes += [
        ParameterChange(name, None)
        for name in question.given_filters()
        if name != "route" and getattr(changed.filters, name) in (None, ())
    ]
    if changed.filters.route != question.filters.route:
        changes.append(ParameterChange("route", HOME if changed.filters.route else None))
    if changed.sort is not question.sort and question.asked.sort is not None:
        changes.append(ParameterChange("sort", None))
    touched = {change.parameter for change in changes} | {"cursor"}
    pairs = [pair for pair in question.pairs() if pair[0] not in touched]
    pairs += [(each.parameter, each.value) for each in changes if each.value is not None]
    href = "/v1/clinics" + ("?" + urlencode(pairs) if pairs else "")
    return Suggestion(kind=kind, changes=changes, total=total, href=href)


def _in_units_of(question: Question, radius_m: float | None) -> str:
    if radius_m is None:
        return "any"
    if question.asked.radius.endswith("mi"):
        return f"{round(radius_m / MILE_M, 3):.10g}mi"
    return f"{round(radius_m / 1000, 3):.10g}km"
