"""What may be asked of the search, and how the words of a question become filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from hashlib import blake2b
from typing import Annotated, cast

import msgspec
from msgspec import Meta

from api.directory.catalogue import Catalogue, plain_words
from api.errors import FieldError, InvalidParameter
from api.search.filters import HOME, Filters, Terms, TextUnit
from api.search.geometry import MILE_M
from api.search.parameters import DEFAULT_RADIUS, SearchParameters
from api.search.ranking import Sort
from db.states import Accepting, Route, Setting

LARGEST_RADIUS_M = 19_000_000.0
"""Close to the far side of the earth; whoever wants more wants no radius."""
MOST_COMBINATIONS = 64
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?", re.ASCII)
FILTER_NAMES = tuple(field.name for field in msgspec.structs.fields(Filters))
FACETS = ("route", "setting", "condition", "state", "payer", "language", "accepting")
_LENGTH = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(mi|km)", re.ASCII)
_COORDINATE = r"-?[0-9]{1,3}(?:\.[0-9]{1,12})?"
_BBOX = re.compile(rf"({_COORDINATE}),({_COORDINATE}),({_COORDINATE}),({_COORDINATE})", re.ASCII)

DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(SearchParameters)}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A search, understood. `radius_m` is None for `any`; `fingerprint` (16 bytes) stands for all
    that is asked but the place and what may differ from page to page."""

    asked: SearchParameters
    radius_m: float | None
    filters: Filters
    sort: Sort
    limit: int
    cursor: str | None
    facets: tuple[str, ...]
    fingerprint: bytes

    def near(self, place: str) -> Question:
        """The same asked from another place."""
        asked = msgspec.structs.replace(self.asked, near=place)
        return msgspec.structs.replace(self, asked=asked)

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters as they were asked, in the order of the contract."""
        found: list[tuple[str, str]] = []
        for name, default in DEFAULTS.items():
            given = getattr(self.asked, name)
            if given is None or given == default or given == []:
                continue
            values = cast("list[object]", given) if isinstance(given, list) else [given]
            found += [(name, str(value)) for value in values]
        return found

    def given_filters(self) -> list[str]:
        """The names of the filters that narrow this question."""
        return [name for name in FILTER_NAMES if getattr(self.filters, name) not in (None, ())]


def understand(asked: SearchParameters, catalogue: Catalogue, now: datetime) -> Question:
    """Raises `InvalidParameter` naming every parameter that cannot be used."""
    reader = _Reader(asked, catalogue, now)
    question = reader.question()
    if reader.errors:
        first = reader.errors[0]
        raise InvalidParameter(
            f"The parameter '{first.parameter}' {first.message}.", errors=reader.errors
        )
    return question


class _Reader:
    def __init__(self, asked: SearchParameters, catalogue: Catalogue, now: datetime) -> None:
        self.asked = asked
        self.catalogue = catalogue
        self.now = now
        self.errors: list[FieldError] = []

    def _wrong(self, parameter: str, message: str) -> None:
        self.errors.append(FieldError(parameter=parameter, message=message))

    def question(self) -> Question:
        asked = self.asked
        return Question(
            asked=asked,
            radius_m=self._radius(),
            filters=self._filters(),
            sort=self._sort(),
            limit=asked.limit,
            cursor=asked.cursor,
            facets=self._facets(),
            fingerprint=_fingerprint(asked),
        )

    def _radius(self) -> float | None:
        text = self.asked.radius
        if self.asked.near is None and text != DEFAULT_RADIUS:
            self._wrong("radius", "needs 'near' to start from")
        if text == "any":
            return None
        found = _LENGTH.fullmatch(text)
        metres = 0.0
        if found is not None:
            metres = float(found[1]) * (MILE_M if found[2] == "mi" else 1000.0)
        if not 0 < metres <= LARGEST_RADIUS_M:
            self._wrong("radius", "must be above 0 and at most 19000km (11806mi), or any")
        return metres

    def _filters(self) -> Filters:
        asked = self.asked
        routes = frozenset(Route) | {HOME}
        filters = Filters(
            condition=self._conditions(),
            route=self._terms("route", asked.route, routes.__contains__, _list_of(routes)),
            setting=self._terms(
                "setting", asked.setting, set(Setting).__contains__, _list_of(Setting)
            ),
            state=self._terms(
                "state", asked.state, _is_state, "a state such as US-AZ or GB-ENG", str.upper
            ),
            payer=self._terms(
                "payer",
                asked.payer,
                self.catalogue.codes("payer").__contains__,
                _list_of(self.catalogue.codes("payer")),
            ),
            language=self._terms(
                "language", asked.language, _is_language, "a BCP 47 tag like es", _tag
            ),
            accepting=self._terms(
                "accepting", asked.accepting, set(Accepting).__contains__, _list_of(Accepting)
            ),
            max_wait_days=asked.max_wait_days,
            open_at=self._open_at(),
            verified_since=self._verified_since(),
            director=self._words("director", asked.director),
            organization=self._words("organization", asked.organization),
            q=self._text_units(),
            bbox=self._bbox(),
        )
        combinations = 1
        for terms in (filters.condition, filters.route, filters.setting):
            combinations *= len(terms) or 1
        if combinations > MOST_COMBINATIONS:
            self._wrong("condition", "is repeated too often together with route and setting")
        return filters

    def _terms(
        self,
        parameter: str,
        groups: Sequence[str],
        right: Callable[[str], bool],
        what: str,
        written: Callable[[str], str] = str.lower,
    ) -> Terms:
        """Codes as they are written here, however they were: people type `IV` and `us-az`."""
        if not groups:
            return ()
        terms = tuple(
            frozenset(written(code.strip(" ")) for code in group.split(",")) for group in groups
        )
        if not all(right(code) for term in terms for code in term):
            self._wrong(parameter, f"must be {what}")
        return terms

    def _conditions(self) -> Terms:
        terms: list[frozenset[str]] = []
        for group in self.asked.condition:
            codes: set[str] = set()
            for name in group.split(","):
                code = self.catalogue.condition_named(name.strip(" "))
                if code is None:
                    self._wrong("condition", self._no_condition(name))
                else:
                    codes |= self.catalogue.descendants(code)
            terms.append(frozenset(codes))
        return tuple(terms)

    def _no_condition(self, name: str) -> str:
        """Says what may have been meant: only names of ours, never what was sent."""
        if plain_words(name).startswith("suicid"):
            return (
                "takes no search for this. If somebody may be in danger, call 988 in the United "
                "States; in the United Kingdom 999, or 116 123 to talk to somebody at any time"
            )
        near = self.catalogue.conditions_nearly(name)
        meant = " or ".join(near)
        hint = f"perhaps {meant} is meant; " if near else ""
        return f"is not known: {hint}codes and names are in /v1/conditions"

    def _words(self, parameter: str, text: str | None) -> str | None:
        if text is not None and not plain_words(text):
            self._wrong(parameter, "must have a letter or a digit")
        return text

    def _text_units(self) -> tuple[TextUnit, ...]:
        if self.asked.q is None:
            return ()
        words = plain_words(self.asked.q).split()
        if not words or len(words) > 12:
            self._wrong("q", "must have 1 to 12 words")
            return ()
        return tuple(self._units_of(words))

    def _units_of(self, words: list[str]) -> Iterator[TextUnit]:
        """Runs of words that name a condition stay together, the longest first."""
        at = 0
        # At least a word at a time, also while the catalogue is empty.
        longest = max(1, self.catalogue.longest_condition_name())
        while at < len(words):
            for length in range(min(longest, len(words) - at), 0, -1):
                run = " ".join(words[at : at + length])
                code = self.catalogue.condition_named(run)
                if code is not None or length == 1:
                    below = frozenset[str]() if code is None else self.catalogue.descendants(code)
                    yield TextUnit(run, below)
                    at += length
                    break

    def _open_at(self) -> datetime | None:
        text = self.asked.open_at
        if text is None:
            return None
        if text == "now":
            # To the minute, as hours are: so that asking again within it finds the same answer.
            return self.now.replace(second=0, microsecond=0)
        return self._moment("open_at", text, "now, or a date-time with offset")

    def _verified_since(self) -> datetime | None:
        text = self.asked.verified_since
        if text is None:
            return None
        try:
            return datetime.combine(msgspec.convert(text, date), time(), UTC)
        except msgspec.ValidationError:
            return self._moment("verified_since", text, "a date, or a date-time with offset")

    def _moment(self, parameter: str, text: str, what: str) -> datetime | None:
        try:
            # A plus sign that was not percent-encoded arrives as a blank.
            moment = msgspec.convert(text.replace(" ", "+"), _Aware)
            return moment.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            self._wrong(parameter, f"must be {what}, such as 2026-11-23T09:30:00-07:00")
            return None

    def _bbox(self) -> tuple[float, float, float, float] | None:
        text = self.asked.bbox
        if text is None:
            return None
        found = _BBOX.fullmatch(text)
        if found is not None:
            west, south, east, north = (float(part) for part in found.groups())
            if max(abs(west), abs(east)) <= 180 and -90 <= south <= north <= 90:
                return west, south, east, north
        self._wrong("bbox", "must be west,south,east,north in degrees, south up to north")
        return None

    def _sort(self) -> Sort:
        asked = self.asked
        sort = asked.sort
        if sort is None:
            if asked.near is not None:
                return Sort.DISTANCE
            return Sort.NAME if asked.q is None else Sort.RELEVANCE
        if sort is Sort.DISTANCE and asked.near is None:
            self._wrong("sort", "by distance needs 'near' to measure from")
        if sort is Sort.RELEVANCE and asked.q is None:
            self._wrong("sort", "by relevance needs 'q' to be relevant to")
        return sort

    def _facets(self) -> tuple[str, ...]:
        if self.asked.facets == "none":
            return ()
        wanted = tuple(dict.fromkeys(self.asked.facets.split(",")))
        if not all(name in FACETS for name in wanted):
            self._wrong("facets", f"must be {_list_of(FACETS)}, or none")
        return wanted


_Aware = Annotated[datetime, Meta(tz=True)]


def _is_state(code: str) -> bool:
    return re.fullmatch(r"(US-[A-Z]{2}|GB-[A-Z]{3})", code) is not None


def _is_language(code: str) -> bool:
    return _LANGUAGE.fullmatch(code) is not None


def _tag(text: str) -> str:
    """Case as BCP 47 writes it (RFC 5646 section 2.1.1), so that `ES-mx` finds `es-MX`."""
    first, *parts = text.lower().split("-")
    written = [
        part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part
        for part in parts
    ]
    return "-".join([first, *written])


def _list_of(codes: Sequence[str] | frozenset[str] | type[Setting] | type[Accepting]) -> str:
    return "one or more of " + ", ".join(sorted(str(code) for code in codes))


def _fingerprint(asked: SearchParameters) -> bytes:
    same = msgspec.structs.replace(asked, near=None, cursor=None, limit=1, facets="none")
    return blake2b(msgspec.msgpack.encode(same), digest_size=16).digest()
