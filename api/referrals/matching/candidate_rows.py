"""Which rows of the search index can take a referral, and how well each would."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.referrals.matching.candidate_kernel import (
    PREFERRED,
    RULED_OUT,
    Asked,
    Columns,
    Reach,
    join,
    judge,
    walk,
)
from api.referrals.matching.eligibility import (
    ASSESSED_ONLY,
    LONGEST_WAIT_DAYS,
    SPOKEN_ANYWAY,
    primary,
)
from api.referrals.matching.needs import AskedCondition, Need
from api.referrals.matching.scoring import ABOVE, UNKNOWN
from api.search.abilities import Neighbours
from api.search.bits import any_of
from api.search.geodesic import in_space, prepared
from api.search.geometry import boxes, longest_chord, shortest_chord
from api.search.index import SearchIndex
from db.states import Setting

FARTHEST_M: Final = 19_000_000.0
"""Close to the far side of the earth; whoever may travel farther has no limit."""
ROWS_A_BOX: Final = 32
BOXES_A_GROUP: Final = 32
NOWHERE: Final = (math.nan, math.nan, math.nan)


class Judged(NamedTuple):
    """The considered rows: those that can take the referral, with their geodesics in metres (NaN
    when not known) and scores; the others, with their squared chords.

    Considered are the clinics within the limit (all, without one), those that treat at home in the
    patient's state, and those that the need names.
    """

    passed: NDArray[np.int32]
    metres: NDArray[np.float64]
    scores: NDArray[np.int32]
    failed: NDArray[np.int32]
    chords2: NDArray[np.float64]


def asked_condition(index: SearchIndex, code: str) -> AskedCondition:
    """A condition with its place in the catalogue."""
    below = (other for other, ancestors in index.ancestors.items() if code in ancestors)
    return AskedCondition(
        code=code, above=tuple(index.ancestors.get(code, ())), below=frozenset(below)
    )


def resolved(index: SearchIndex, need: Need) -> Need:
    """The need with every clinic under the id that it lives on with, and a limit that is one."""
    limit = need.max_distance_m
    return msgspec.structs.replace(
        need,
        max_distance_m=None if limit is not None and limit > FARTHEST_M else limit,
        preferred=_survivors(index, need.preferred),
        excluded=_survivors(index, need.excluded),
        tried=_survivors(index, need.tried),
    )


def _survivors(index: SearchIndex, ids: frozenset[UUID]) -> frozenset[UUID]:
    return frozenset(index.survivor_of(str(each)) or each for each in ids)


def judged(index: SearchIndex, need: Need, now_s: int) -> Judged:
    """Every considered clinic, parted. `need` is `resolved`; `now_s` are seconds since 1970.

    This week's capacity is not looked at. A clinic nearly antipodal to the patient has no geodesic
    here, and a score without one.
    """
    size = index.size
    rows, found = _considered(index, need)
    passed, scores, failed = np.empty((3, found), np.int32)
    metres, chords2 = np.empty((2, found))
    fit, unfit = judge(
        rows, found, _columns(index, need), _asked(index, need, now_s),
        reach_from(need.near, need.max_distance_m),
        passed, metres, scores, failed, chords2, np.empty((found, 3), np.int32),
    )  # fmt: skip
    assert fit + unfit == found <= size
    return Judged(passed[:fit], metres[:fit], scores[:fit], failed[:unfit], chords2[:unfit])


def _considered(index: SearchIndex, need: Need) -> tuple[NDArray[np.int32], int]:
    """The rows, and how many there are: the array is longer."""
    alive = index.alive[: index.size]
    if need.max_distance_m is None:
        everyone = np.flatnonzero(alive).astype(np.int32)
        return everyone, len(everyone)
    rows = np.empty(index.size + 1, np.int32)
    found = 0
    if need.near is not None:
        found = rows_within(index, reach_from(need.near, need.max_distance_m), rows)
    marks = np.zeros(index.size, np.uint8)
    if need.state is not None and (not need.settings or Setting.AT_HOME in need.settings):
        found = join(rows, found, _home_rows(index, need.state), marks)
    if need.named:
        found = join(rows, found, np.array(list(rows_of(index, need.named)), np.int32), marks)
    return rows, found


def rows_within(index: SearchIndex, reach: Reach, rows: NDArray[np.int32]) -> int:
    """Fills `rows` with those that may be within reach (none that is, is left out); how many.

    What lies between the chords that decide for sure is left to the geodesic, where it matters.
    """
    return walk(
        index.space, _neighbours(index), ROWS_A_BOX, BOXES_A_GROUP, reach.centre, reach.maybe2, rows
    )


def _neighbours(index: SearchIndex) -> Neighbours:
    """The live rows with a point, kept until the directory changes."""
    kept = index.abilities.neighbours
    if kept is None:
        placed = index.alive[: index.size] & ~np.isnan(index.points[: index.size, 0])
        rows = np.flatnonzero(placed).astype(np.int32)
        small = boxes(index.space[rows], ROWS_A_BOX)
        kept = Neighbours(rows, small, boxes(small, BOXES_A_GROUP))
        index.abilities.neighbours = kept
    return kept


def _home_rows(index: SearchIndex, state: str) -> NDArray[np.int32]:
    """The live rows with an offering at home in that state, kept until the directory changes."""
    kept = index.abilities.home_rows.get(state)
    if kept is None:
        mask = index.offering_space.mask("coverage", (state,))
        covering = any_of(index.offering_bits[: index.offerings], mask)
        rows = np.unique(index.offering_row[: index.offerings][covering])
        kept = rows[index.alive[rows]].astype(np.int32)
        index.abilities.home_rows[state] = kept
    return kept


def rows_of(index: SearchIndex, ids: Iterable[UUID]) -> Iterable[int]:
    """The rows of those of the clinics that are live."""
    for each in ids:
        row = index.row_of(str(each))
        if row is not None:
            yield row


def _columns(index: SearchIndex, need: Need) -> Columns:
    size = index.size
    named = np.zeros(size, np.uint8)
    for row in rows_of(index, need.preferred):
        named[row] |= PREFERRED
    for row in rows_of(index, need.excluded | need.tried):
        named[row] |= RULED_OUT
    return Columns(
        space=index.space[:size],
        prepared=index.prepared[:size],
        bits=index.clinic_bits[:size],
        wait_days=index.wait_days[:size],
        verified=index.verified[:size],
        abilities=index.abilities.records[:size],
        offerings=index.offering_bits[: index.offerings],
        named=named,
    )


def _asked(index: SearchIndex, need: Need, now_s: int) -> Asked:
    clinic, offering, flags = index.clinic_space, index.offering_space, index.abilities.flags
    longest = LONGEST_WAIT_DAYS[need.urgency]
    must, confirmed = need.flags & ASSESSED_ONLY, need.flags - ASSESSED_ONLY
    known = {code for _, code in flags.codes("assesses")}
    every = np.full(offering.words, -1, np.int64).view(np.uint64)
    paid = () if need.payer is None else (need.payer,)
    spoken = () if need.language is None else _same_language(index, need.language)
    return Asked(
        levels=np.array([_levels(index, asked) for asked in need.conditions]),
        of_offering=np.array(
            [
                offering.mask("route", need.routes) if need.routes else every,
                offering.mask("setting", need.settings) if need.settings else every,
                offering.mask("setting", (Setting.AT_HOME,)),
                offering.mask("coverage", () if need.state is None else (need.state,)),
            ]
        ),
        of_clinic=np.array([clinic.mask("payer", paid), clinic.mask("language", spoken)]),
        any_payer=need.payer is not None,
        any_language=need.language is not None,
        must_speak=need.language is not None and primary(need.language) != SPOKEN_ANYWAY,
        age=UNKNOWN if need.age is None else need.age,
        # A flag that no clinic assesses has no bit; then a bit that no clinic has stands for it.
        must_assess=flags.mask("assesses", must)[0] if must <= known else NO_CLINIC_HAS,
        should_assess=flags.mask("assesses", confirmed)[0],
        confirmed=len(confirmed),
        longest_wait=math.inf if longest is None else float(longest),
        anyone_preferred=bool(need.preferred),
        now=now_s,
    )


NO_CLINIC_HAS: Final = np.uint64(1 << 63)


def _levels(index: SearchIndex, asked: AskedCondition) -> list[NDArray[np.uint64]]:
    """What may be stated for a condition, in the order of `candidate_kernel.WORTH`."""
    steps = len(ABOVE) - 1
    above = [asked.above[at : at + 1] for at in range(steps)] + [asked.above[steps:]]
    stated = [(asked.code,), *above, asked.below]
    return [index.offering_space.mask("condition", codes) for codes in stated]


def _same_language(index: SearchIndex, language: str) -> list[str]:
    wanted = primary(language)
    return [code for _, code in index.clinic_space.codes("language") if primary(code) == wanted]


def reach_from(near: tuple[float, float] | None, limit_m: float | None) -> Reach:
    """From nowhere, nothing is near."""
    limit = math.inf if limit_m is None else float(limit_m)
    here, centre = (NOWHERE, NOWHERE) if near is None else (prepared(*near), in_space(*near))
    if limit == math.inf:
        return Reach(here, centre, limit, limit, limit)
    return Reach(here, centre, limit, shortest_chord(limit) ** 2, longest_chord(limit) ** 2)
