"""The hard filters and the score over columns of the index, compiled.

It does what `eligibility` and `matching` do to one candidate, for thousands of rows; a test holds
the two to each other. This week's capacity is left to the caller, who asks the database.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from api.referrals.matching.scoring import (
    ABOVE,
    BELOW,
    EXACT,
    HALF,
    HALF_ANSWER_MINUTES,
    HALF_DISTANCE_M,
    HALF_FRESHNESS_DAYS,
    HALF_WAIT_DAYS,
    ONE,
    UNKNOWN,
    fading,
    rounded,
    score_parts,
    way_parts,
)
from api.search.compiled import compiled
from api.search.geodesic import LONGEST_SHORT_M, geodesic, short_geodesic

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
Words = NDArray[np.uint64]

PREFERRED = np.uint8(1)
RULED_OUT = np.uint8(2)
SECONDS_A_DAY = 86_400
TAKES_NEW = 1
TAKES_NEW_SURELY = 2


_fading, _rounded = compiled(fading), compiled(rounded)
_score_parts, _way_parts = compiled(score_parts), compiled(way_parts)

ROUTE, SETTING, HOME, COVERAGE = range(4)
PAYER, LANGUAGE = range(2)
WORTH = np.array([EXACT, *ABOVE, BELOW])
"""What a stated condition on each level is worth, best first."""


class Columns(NamedTuple):
    """Columns of the index, a row a clinic; `offerings` has a row an offering. `named` has the bits
    PREFERRED and RULED_OUT."""

    space: Floats
    prepared: Floats
    bits: Words
    wait_days: NDArray[np.float32]
    verified: Floats
    abilities: NDArray[np.void]
    offerings: Words
    named: NDArray[np.uint8]


class Asked(NamedTuple):
    """What is asked, as bits of the index; every bit where nothing is asked.

    `levels` has for each condition the masks of what may be stated for it, as many as `WORTH`;
    `of_offering` the masks ROUTE, SETTING, HOME and COVERAGE, `of_clinic` PAYER and LANGUAGE.
    """

    levels: Words
    of_offering: Words
    of_clinic: Words
    any_payer: bool
    any_language: bool
    must_speak: bool
    age: int
    must_assess: np.uint64
    should_assess: np.uint64
    confirmed: int
    longest_wait: float
    anyone_preferred: bool
    now: int


class Reach(NamedTuple):
    """From where and how far: the limit is infinite when there is none. Of the chords, squared, up
    to the first a site is surely within, beyond the second surely not."""

    here: tuple[float, float, float]
    centre: tuple[float, float, float]
    limit: float
    surely2: float
    maybe2: float


@compiled
def _has(bits: Words, row: int, masks: Words, which: int) -> bool:
    # Rows are not cut out of a column: making a view costs more than all else here.
    hit = np.uint64(0)
    for word in range(masks.shape[1]):
        hit |= bits[row, word] & masks[which, word]
    return hit != 0


@compiled
def _states(bits: Words, at: int, levels: Words, condition: int, level: int) -> bool:
    hit = np.uint64(0)
    for word in range(levels.shape[2]):
        hit |= bits[at, word] & levels[condition, level, word]
    return hit != 0


@compiled
def _ones(bits: np.uint64) -> int:
    count = 0
    while bits:
        bits &= bits - np.uint64(1)
        count += 1
    return count


@compiled
def join(rows: Rows, found: int, more: Rows, marks: NDArray[np.uint8]) -> int:
    """Adds to the first `found` rows those of `more` that are not among them; how many there are
    then. `marks` is all 0, before and after."""
    for i in range(found):
        marks[rows[i]] = 1
    for row in more:
        if not marks[row]:
            marks[row] = 1
            rows[found] = row
            found += 1
    for i in range(found):
        marks[rows[i]] = 0
    return found


@compiled
def walk(
    space: Floats,
    neighbours: tuple[Rows, Floats, Floats],
    per_box: int,
    per_group: int,
    centre: tuple[float, float, float],
    maybe2: float,
    out: Rows,
) -> int:
    """Fills `out` with the rows up to that squared chord. A group, then a box, then a row is looked
    at only if it can be near enough."""
    rows, boxes, groups = neighbours
    x, y, z = centre
    found = 0
    for group in range(len(groups)):
        if _nearest2(groups, group, x, y, z) > maybe2:
            continue
        for box in range(group * per_group, min((group + 1) * per_group, len(boxes))):
            if _nearest2(boxes, box, x, y, z) > maybe2:
                continue
            for i in range(box * per_box, min((box + 1) * per_box, len(rows))):
                # Written in any case, and kept if it is near: no branch to be guessed.
                out[found] = rows[i]
                found += int(_chord2(space, rows[i], x, y, z) <= maybe2)
    return found


@compiled
def _nearest2(boxes: Floats, box: int, x: float, y: float, z: float) -> float:
    """The square of the shortest chord from a point in space to a box."""
    dx = max(boxes[box, 0] - x, 0.0, x - boxes[box, 3])
    dy = max(boxes[box, 1] - y, 0.0, y - boxes[box, 4])
    dz = max(boxes[box, 2] - z, 0.0, z - boxes[box, 5])
    return dx * dx + dy * dy + dz * dz


@compiled
def measure(
    space: Floats, ready: Floats, reach: Reach, rows: Rows, count: int, metres: Floats
) -> None:
    """The geodesics to the first rows where `metres` is NaN, as search measures them. It stays NaN
    for rows without a point and for those nearly antipodal."""
    for i in range(count):
        if math.isnan(metres[i]):
            metres[i] = _metres(space, ready, rows[i], reach)


@compiled
def _metres(space: Floats, ready: Floats, row: int, reach: Reach) -> float:
    x, y, z = reach.centre
    chord2 = _chord2(space, row, x, y, z)
    if chord2 <= LONGEST_SHORT_M**2:
        return short_geodesic(reach.centre, space[row, 0], space[row, 1], space[row, 2], chord2)
    return geodesic(reach.here, ready[row, 0], ready[row, 1], ready[row, 2])


@compiled
def judge(
    rows: Rows,
    count: int,
    columns: Columns,
    asked: Asked,
    reach: Reach,
    passed: Rows,
    metres: Floats,
    scores: Rows,
    failed: Rows,
    chords2: Floats,
    ways: Rows,
) -> tuple[int, int]:
    """Parts the rows into those that can take the referral, with their geodesics (NaN when not
    known, or nearly antipodal) and scores, and the others, with their squared chords. `ways` is
    room for three numbers a row.

    Step by step over all rows: to hand a step all the columns for each row would cost more than
    the step.
    """
    fit, unfit = _part_by_clinic(rows, count, columns, asked, passed, failed)
    fit, unfit = _part_by_offerings(columns, asked, reach, passed, fit, metres, ways, failed, unfit)
    measure(columns.space, columns.prepared, reach, passed, fit, metres)
    _rate(columns, asked, passed, fit, metres, ways, scores)
    x, y, z = reach.centre
    space = columns.space
    for i in range(unfit):
        chords2[i] = _chord2(space, failed[i], x, y, z)
    return fit, unfit


@compiled
def _chord2(space: Floats, row: int, x: float, y: float, z: float) -> float:
    dx, dy, dz = space[row, 0] - x, space[row, 1] - y, space[row, 2] - z
    return dx * dx + dy * dy + dz * dz


@compiled
def _part_by_clinic(
    rows: Rows, count: int, columns: Columns, asked: Asked, passed: Rows, failed: Rows
) -> tuple[int, int]:
    abilities, waits, named, bits = (
        columns.abilities, columns.wait_days, columns.named, columns.bits
    )  # fmt: skip
    masks = asked.of_clinic
    fit = unfit = 0
    for i in range(count):
        row = rows[i]
        wait = waits[row]
        passes = named[row] & RULED_OUT == 0 and abilities[row]["accepting"] >= TAKES_NEW
        passes &= wait <= asked.longest_wait or wait == np.inf
        if asked.age >= 0:
            passes &= abilities[row]["age_min"] <= asked.age <= abilities[row]["age_max"]
        passes &= abilities[row]["assesses"] & asked.must_assess == asked.must_assess
        if asked.any_payer:
            passes &= _has(bits, row, masks, PAYER)
        if asked.must_speak:
            passes &= _has(bits, row, masks, LANGUAGE)
        if passes:
            passed[fit] = row
            fit += 1
        else:
            failed[unfit] = row
            unfit += 1
    return fit, unfit


@compiled
def _part_by_offerings(
    columns: Columns,
    asked: Asked,
    reach: Reach,
    passed: Rows,
    count: int,
    metres: Floats,
    ways: Rows,
    failed: Rows,
    unfit: int,
) -> tuple[int, int]:
    """Keeps, in place, the rows whose offerings fit and reach the patient. `ways` gets how near
    the stated conditions are, whether all is done at home, and how near they are at home alone (0
    when that is no other way); `metres` the geodesic where the limit needed it, else NaN."""
    space, ready, abilities = columns.space, columns.prepared, columns.abilities
    bits, masks, levels = columns.offerings, asked.of_offering, asked.levels
    x, y, z = reach.centre
    fit = 0
    for i in range(count):
        row = passed[i]
        chord2 = _chord2(space, row, x, y, z)
        away = math.nan
        in_reach = reach.limit == math.inf or chord2 <= reach.surely2
        if not in_reach and chord2 <= reach.maybe2:
            away = _metres(space, ready, row, reach)
            in_reach = away <= reach.limit
        first = int(abilities[row]["first_offering"])
        last = first + int(abilities[row]["offerings"])
        near, all_home, some_home = _way(bits, first, last, masks, levels, in_reach, False)
        if near == 0:
            failed[unfit] = row
            unfit += 1
            continue
        passed[fit], metres[fit] = row, away
        ways[fit, 0], ways[fit, 1], ways[fit, 2] = near, int(all_home), 0
        if some_home and not all_home:
            ways[fit, 2] = _way(bits, first, last, masks, levels, in_reach, True)[0]
        fit += 1
    return fit, unfit


@compiled
def _way(
    bits: Words,
    first: int,
    last: int,
    masks: Words,
    levels: Words,
    in_reach: bool,
    home_only: bool,
) -> tuple[int, bool, bool]:
    """How near the stated conditions are on the mean, whether all is done at home, and whether any
    could be; 0 when a condition has no offering that fits and reaches the patient."""
    total = 0
    all_home = True
    some_home = False
    for condition in range(len(levels)):
        best = 0
        best_home = True
        for at in range(first, last):
            at_home = _has(bits, at, masks, HOME)
            reaches = _has(bits, at, masks, COVERAGE) if at_home else in_reach and not home_only
            if not (reaches and _has(bits, at, masks, ROUTE) and _has(bits, at, masks, SETTING)):
                continue
            some_home = some_home or at_home
            near = 0
            for level in range(len(WORTH)):
                if _states(bits, at, levels, condition, level):
                    near = WORTH[level]
                    break
            if near > best or (near == best and best_home and not at_home):
                best, best_home = near, at_home
        if best == 0:
            return 0, False, False
        total += best
        all_home = all_home and best_home
    return total // len(levels), all_home, some_home


@compiled
def _rate(
    columns: Columns,
    asked: Asked,
    rows: Rows,
    count: int,
    metres: Floats,
    ways: Rows,
    scores: Rows,
) -> None:
    abilities, waits, verified = columns.abilities, columns.wait_days, columns.verified
    named, bits, masks = columns.named, columns.bits, asked.of_clinic
    for i in range(count):
        row = rows[i]
        ability = abilities[row]
        preferred = not asked.anyone_preferred or named[row] & PREFERRED != 0
        distance = 0
        if not math.isnan(metres[i]):
            distance = _fading(math.floor(metres[i] + 0.5), HALF_DISTANCE_M)
        wait = UNKNOWN if waits[row] == np.inf else int(waits[row])
        answering = HALF
        if ability["answer_minutes"] >= 0:
            answering = _fading(int(ability["answer_minutes"]), HALF_ANSWER_MINUTES)
        days = UNKNOWN
        if not math.isnan(verified[row]):
            days = max(0, (asked.now - math.floor(verified[row])) // SECONDS_A_DAY)
        assessed = ONE
        if asked.confirmed:
            ones = _ones(np.uint64(ability["assesses"]) & asked.should_assess)
            assessed = ONE * ones // asked.confirmed
        speaks = not asked.any_language or _has(bits, row, masks, LANGUAGE)
        # All that does not depend on the way, then the better of the ways.
        same = _score_parts(
            ONE * preferred,
            _fading(wait, HALF_WAIT_DAYS),
            ONE * (ability["accepting"] == TAKES_NEW_SURELY),
            answering,
            int(ability["acceptance"]) if ability["acceptance"] >= 0 else HALF,
            _fading(days, HALF_FRESHNESS_DAYS),
            assessed,
            ONE * speaks,
        )
        score = same + _way_parts(HALF if ways[i, 1] else distance, ways[i, 0])
        if ways[i, 2]:
            score = max(score, same + _way_parts(HALF, ways[i, 2]))
        scores[i] = _rounded(score)
