"""How well a clinic suits a referral: the factors, their published weights, and the formulas.

All in whole numbers, so that the same input gives the same score on every machine. The walk over
the index scores with the same functions, compiled. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

ONE: Final = 10_000
"""The best value of a factor, and of a score."""
HALF: Final = ONE // 2
UNKNOWN: Final = -1

HALF_DISTANCE_M: Final = 40_000
HALF_WAIT_DAYS: Final = 14
HALF_ANSWER_MINUTES: Final = 24 * 60
HALF_FRESHNESS_DAYS: Final = 90

EXACT: Final = ONE
ABOVE: Final = (8_000, 6_000, 5_000)
"""For a stated condition one, two, and three or more steps above the one asked for."""
BELOW: Final = 4_000
"""For a stated condition below the one asked for: the patient may or may not have that one."""


class Factor(StrEnum):
    """What the score is made of."""

    PREFERRED = "preferred"
    DISTANCE = "distance"
    WAIT = "wait"
    SPECIFICITY = "specificity"
    ACCEPTING = "accepting"
    ANSWERING = "answering"
    ACCEPTANCE = "acceptance"
    FRESHNESS = "freshness"
    ASSESSMENT = "assessment"
    LANGUAGE = "language"


WEIGHTS: Final[Mapping[Factor, int]] = MappingProxyType({
    Factor.PREFERRED: 52,
    Factor.DISTANCE: 12,
    Factor.WAIT: 10,
    Factor.SPECIFICITY: 8,
    Factor.ACCEPTING: 5,
    Factor.ANSWERING: 4,
    Factor.ACCEPTANCE: 3,
    Factor.FRESHNESS: 2,
    Factor.ASSESSMENT: 2,
    Factor.LANGUAGE: 2,
})  # fmt: skip
"""In hundredths; together 100. A clinic that the referrer prefers comes before all others, so its
weight is more than that of all the rest."""

_PREFERRED: Final = WEIGHTS[Factor.PREFERRED]
_DISTANCE: Final = WEIGHTS[Factor.DISTANCE]
_WAIT: Final = WEIGHTS[Factor.WAIT]
_SPECIFICITY: Final = WEIGHTS[Factor.SPECIFICITY]
_ACCEPTING: Final = WEIGHTS[Factor.ACCEPTING]
_ANSWERING: Final = WEIGHTS[Factor.ANSWERING]
_ACCEPTANCE: Final = WEIGHTS[Factor.ACCEPTANCE]
_FRESHNESS: Final = WEIGHTS[Factor.FRESHNESS]
_ASSESSMENT: Final = WEIGHTS[Factor.ASSESSMENT]
_LANGUAGE: Final = WEIGHTS[Factor.LANGUAGE]


def fading(amount: int, half: int) -> int:
    """1 at nothing, one half at `half`, towards 0 beyond: half / (half + amount), rounded down.
    An unknown amount (below 0) has 0, so that nobody gains by leaving it unsaid."""
    if amount < 0:
        return 0
    return ONE * half // (half + amount)


def way_parts(distance: int, specificity: int) -> int:
    """What the way of treating adds to the score, in millionths. Factors are 0 to ONE."""
    return _DISTANCE * distance + _SPECIFICITY * specificity


def score_parts(
    preferred: int,
    wait: int,
    accepting: int,
    answering: int,
    acceptance: int,
    freshness: int,
    assessment: int,
    language: int,
) -> int:
    """What the clinic adds to the score whichever way it treats, in millionths."""
    return (
        _PREFERRED * preferred
        + _WAIT * wait
        + _ACCEPTING * accepting
        + _ANSWERING * answering
        + _ACCEPTANCE * acceptance
        + _FRESHNESS * freshness
        + _ASSESSMENT * assessment
        + _LANGUAGE * language
    )


def rounded(millionths: int) -> int:
    """The score in ten-thousandths, halves up."""
    return (millionths + 50) // 100


def answering_of(median_hours: float | None) -> int:
    """One half at a median of a day to the first answer, and for a clinic that is not measured."""
    if median_hours is None:
        return HALF
    return fading(round(median_hours * 60), HALF_ANSWER_MINUTES)


def acceptance_of(share: float | None) -> int:
    """The share of its offers that a clinic accepts; one half for one that is not measured."""
    return HALF if share is None else round(share * ONE)
