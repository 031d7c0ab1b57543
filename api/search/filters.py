"""Which clinics answer to a set of filters, wherever they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.search.bits import any_of
from api.search.index import Schedule, SearchIndex
from api.search.text import CONDITION_WEIGHT
from db.states import Setting

PRESENT = np.uint8(1)
"""The clinic answers by care at its site, at least in part."""
AT_HOME = np.uint8(2)
"""The clinic answers by care at home alone, and may give it where the asker lives."""

AnyOf = frozenset[str]
Terms = tuple[AnyOf, ...]
"""All of them must hold; each holds if any of its codes does."""

HOME = Setting.AT_HOME.value
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class TextUnit(msgspec.Struct, frozen=True):
    """A word, or a run of words that name a condition (`conditions`: it and those below it)."""

    words: str
    conditions: AnyOf = frozenset()


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, place and paging apart. Condition terms hold the children already."""

    condition: Terms = ()
    route: Terms = ()
    setting: Terms = ()
    state: Terms = ()
    payer: Terms = ()
    language: Terms = ()
    accepting: Terms = ()
    max_wait_days: int | None = None
    open_at: datetime | None = None
    verified_since: datetime | None = None
    director: str | None = None
    organization: str | None = None
    q: tuple[TextUnit, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west > east crosses the antimeridian."""


def ways_to_answer(
    index: SearchIndex, filters: Filters, clinics: NDArray[np.bool_], asker_state: str | None
) -> NDArray[np.uint8]:
    """For each row the bits PRESENT and AT_HOME, 0 for a clinic that does not answer.

    `clinics` are the rows that pass `clinic_filters`. An at-home offering counts only where its
    coverage has the asker's state; with the state not known (no place asked for, or one outside
    every state) it counts as care at the site.
    """
    present, at_home = _ways(index, filters, asker_state)
    ways = np.where(clinics & present, PRESENT, np.uint8(0))
    ways |= np.where(clinics & at_home, AT_HOME, np.uint8(0))
    return ways


def _ways(
    index: SearchIndex, filters: Filters, asker_state: str | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that answer by care at the site (at least in part), and by care at home alone."""
    at_site = ~any_of(_offering_bits(index), index.offering_space.mask("setting", (HOME,)))
    if asker_state is None:
        everything = np.ones(index.offerings, np.bool_)
        return _by_offerings(index, filters, everything), np.zeros(index.size, np.bool_)
    at_home = any_of(_offering_bits(index), index.offering_space.mask("coverage", (asker_state,)))
    home_alone = _by_offerings(index, filters, at_home) & _rows_of(index, at_home)
    site_alone = _by_offerings(index, filters, at_site)
    either = _by_offerings(index, filters, at_site | at_home)
    return either & (site_alone | ~home_alone), home_alone


def _by_offerings(
    index: SearchIndex, filters: Filters, usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The rows that offer every combination asked for, each by one usable offering.

    `condition=a&condition=b&route=iv` asks for a by IV and for b by IV. With nothing asked of
    the offerings, every clinic answers.
    """
    hit = np.ones(index.size, np.bool_)
    if not (filters.condition or filters.route or filters.setting):
        return hit
    bits = _offering_bits(index)
    for conditions, routes, settings in product(
        filters.condition or (None,), filters.route or (None,), filters.setting or (None,)
    ):
        having = usable.copy()
        if conditions is not None:
            having &= any_of(bits, index.offering_space.mask("condition", conditions))
        if routes is not None:
            # `at_home` may stand among the routes, since patients ask for it like one.
            mask = index.offering_space.mask("route", routes)
            having &= any_of(bits, mask | index.offering_space.mask("setting", routes))
        if settings is not None:
            having &= any_of(bits, index.offering_space.mask("setting", settings))
        hit &= _rows_of(index, having)
    return hit


def _rows_of(index: SearchIndex, offerings: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows that have one of these offerings."""
    hit = np.zeros(index.size, np.bool_)
    hit[index.offering_row[: index.offerings][offerings]] = True
    return hit


def _offering_bits(index: SearchIndex) -> NDArray[np.uint64]:
    return index.offering_bits[: index.offerings]


def clinic_filters(index: SearchIndex, filters: Filters) -> NDArray[np.bool_]:
    """The live rows that pass every filter on the clinic itself, `q` apart."""
    size = index.size
    hit = index.alive[:size].copy()
    for field in ("state", "payer", "language", "accepting"):
        for codes in getattr(filters, field):
            hit &= any_of(index.clinic_bits[:size], index.clinic_space.mask(field, codes))
    if filters.max_wait_days is not None:
        hit &= index.wait_days[:size] <= filters.max_wait_days
    if filters.verified_since is not None:
        hit &= index.verified[:size] >= filters.verified_since.timestamp()
    if filters.open_at is not None:
        hit &= _open_rows(index, filters.open_at)
    if filters.director is not None:
        named = index.text.rows_with("director", filters.director, size)
        hit &= named | index.text.rows_with("registration", filters.director, size)
    if filters.organization is not None:
        hit &= index.text.rows_with("organization", filters.organization, size)
    if filters.bbox is not None:
        hit &= _inside(index.points[:size], filters.bbox)
    return hit


def _inside(
    points: NDArray[np.float64], bbox: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    west, south, east, north = bbox
    lat, lon = points[:, 0], points[:, 1]
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return across & (lat >= south) & (lat <= north)


def text_scores(index: SearchIndex, units: tuple[TextUnit, ...]) -> NDArray[np.float32]:
    """The sum over the units; 0 for a row that does not answer to each of them."""
    size = index.size
    total = np.zeros(size, np.float32)
    answers = np.ones(size, np.bool_)
    for unit in units:
        words = [index.text.scores(word, size) for word in unit.words.split()]
        every = np.logical_and.reduce([score > 0 for score in words])
        best = np.where(every, np.sum(words, axis=0, dtype=np.float32), np.float32(0))
        if unit.conditions:
            treats = any_of(
                index.clinic_bits[:size], index.clinic_space.mask("condition", unit.conditions)
            )
            best = np.maximum(best, np.where(treats, np.float32(CONDITION_WEIGHT), np.float32(0)))
        answers &= best > 0
        total += best
    return np.where(answers, total, np.float32(0))


def _open_rows(index: SearchIndex, moment: datetime) -> NDArray[np.bool_]:
    """Clinics with the same hours in the same zone are asked once; unknown hours are not open."""
    is_open = np.array([is_open_at(schedule, moment) for schedule in index.schedules] + [False])
    return is_open[index.schedule[: index.size]]


def is_open_at(schedule: Schedule, moment: datetime) -> bool:
    """Whether a clinic with this zone and these hours is open at an aware moment.

    Hours are wall-clock times: when clocks change they stay as they are written. Hours that close
    at or before they open end on the next day.
    """
    zone, hours = schedule
    local = moment.astimezone(ZoneInfo(zone))
    time = local.strftime("%H:%M")
    today = WEEKDAYS[local.weekday()]
    yesterday = WEEKDAYS[(local - timedelta(days=1)).weekday()]
    for span in hours:
        overnight = span.closes <= span.opens
        if today in span.days and span.opens <= time and (overnight or time < span.closes):
            return True
        if overnight and yesterday in span.days and time < span.closes:
            return True
    return False
