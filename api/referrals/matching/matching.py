"""Which clinics can take a referral, in which order, and why the others cannot. Pure.

The rules and the weights are published in docs/matching.md, which tests compare with this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from operator import mul
from typing import Final
from uuid import UUID

import msgspec

from api.referrals.matching.eligibility import LONGEST_WAIT_DAYS, Reason, Rules, treats
from api.referrals.matching.needs import Answering, AskedCondition, Candidate, Need, Offered
from api.referrals.matching.scoring import (
    HALF,
    HALF_DISTANCE_M,
    HALF_FRESHNESS_DAYS,
    HALF_WAIT_DAYS,
    ONE,
    UNKNOWN,
    WEIGHTS,
    Factor,
    acceptance_of,
    answering_of,
    fading,
    rounded,
)
from db.states import Accepting, Drug, Route, Setting

SECONDS_A_DAY: Final = 86_400
Factors = tuple[int, ...]
"""0 to ONE each, in the order of `WEIGHTS`."""


class Kind(StrEnum):
    """How the care reaches the patient."""

    NEARBY = "nearby"
    AT_HOME = "at_home"


class Chosen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The offering by which a clinic would treat one of the conditions: `position` among its
    offerings, `treats` the condition that it states."""

    condition: str
    treats: str
    position: int
    drug: Drug
    route: Route
    setting: Setting


class Ranked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A clinic that can take the referral. Score and factors are 0 to 1, to four decimals."""

    clinic_id: UUID
    name: str
    score: float
    factors: Mapping[Factor, float]
    kind: Kind
    distance_m: float | None
    offerings: tuple[Chosen, ...]


class Excluded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A clinic that cannot take it, with every reason in the order of `Reason`."""

    clinic_id: UUID
    name: str
    distance_m: float | None
    reasons: tuple[Reason, ...]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """The earliest moment at which a clinic that lacks nothing but room this week has some."""

    until: datetime
    clinic_ids: tuple[UUID, ...]


class Remedy(StrEnum):
    """What could be asked for instead."""

    TWICE_THE_DISTANCE = "twice_the_distance"
    ANY_DISTANCE = "any_distance"
    ANY_ROUTE = "any_route"
    ANY_SETTING = "any_setting"
    AT_HOME = "at_home"
    WITHOUT_PAYER = "without_payer"
    WITHOUT_LANGUAGE = "without_language"
    WITHOUT_EXCLUSIONS = "without_exclusions"


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """With these changes together so many clinics could take the referral."""

    changes: tuple[Remedy, ...]
    clinics: int
    max_distance_m: float | None = None
    """The limit that was counted with, if it is another one."""


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """Best first; excluded ones nearest first.

    The totals count clinics that are not listed, too. `waiting` and `suggestions` are given only
    when no clinic can take the referral.
    """

    ranked: tuple[Ranked, ...]
    excluded: tuple[Excluded, ...]
    ranked_total: int
    excluded_total: int
    waiting: Waiting | None = None
    suggestions: tuple[Suggestion, ...] = ()


def match(need: Need, candidates: Sequence[Candidate], now: datetime) -> Matches:
    """Ranks the candidates, in whatever order they come. `now` is aware."""
    rules, now_s = Rules(need), math.floor(now.timestamp())
    ranked: list[tuple[Ranked, Candidate]] = []
    excluded: list[tuple[Excluded, Candidate]] = []
    for candidate in candidates:
        usable = rules.usable(candidate)
        reasons = rules.reasons(candidate, usable)
        if reasons:
            excluded.append((_excluded(candidate, reasons), candidate))
        else:
            ranked.append((_ranked(rules, candidate, usable, now_s), candidate))
    ranked.sort(key=lambda pair: (-pair[0].score, *_nearest_first(pair[1])))
    excluded.sort(key=lambda pair: _nearest_first(pair[1]))
    return Matches(
        ranked=tuple(each for each, _ in ranked),
        excluded=tuple(each for each, _ in excluded),
        ranked_total=len(ranked),
        excluded_total=len(excluded),
        waiting=None if ranked else _waiting(need, excluded, now),
    )


def _nearest_first(candidate: Candidate) -> tuple[float, UUID]:
    return (
        math.inf if candidate.distance_m is None else whole_metres(candidate.distance_m),
        candidate.clinic_id,
    )


def _excluded(candidate: Candidate, reasons: tuple[Reason, ...]) -> Excluded:
    return Excluded(
        clinic_id=candidate.clinic_id,
        name=candidate.name,
        distance_m=candidate.distance_m,
        reasons=reasons,
    )


def _waiting(
    need: Need, excluded: Sequence[tuple[Excluded, Candidate]], now: datetime
) -> Waiting | None:
    """The clinic's own wait, where it is known, comes on top of the wait for its next week."""
    longest = LONGEST_WAIT_DAYS[need.urgency]
    weeks: dict[datetime, list[UUID]] = {}
    for each, candidate in excluded:
        begins = candidate.next_week
        if each.reasons != (Reason.CAPACITY,) or not candidate.weekly_capacity or begins is None:
            continue
        visit = begins + timedelta(days=candidate.wait_days or 0)
        if longest is None or visit <= now + timedelta(days=longest):
            weeks.setdefault(begins, []).append(candidate.clinic_id)
    if not weeks:
        return None
    until = min(weeks)
    return Waiting(until=until, clinic_ids=tuple(sorted(weeks[until])))


def whole_metres(distance_m: float) -> int:
    """To the nearest metre, halves up: what scores and ties are made of."""
    return math.floor(distance_m + 0.5)


# The score


def _ranked(
    rules: Rules, candidate: Candidate, usable: Sequence[tuple[int, Offered]], now_s: int
) -> Ranked:
    """Of the ways in which the clinic could treat the patient, the one with the higher score; care
    at the site when they are equal."""
    best: tuple[int, Factors, Kind, tuple[Chosen, ...]] | None = None
    at_home = [each for each in usable if each[1].setting is Setting.AT_HOME]
    for offerings in (usable, at_home) if 0 < len(at_home) < len(usable) else (usable,):
        chosen = _choose(rules, offerings)
        if chosen is None:
            continue
        nearness, ways = chosen
        kind = Kind.NEARBY
        if all(each.setting is Setting.AT_HOME for each in ways):
            kind = Kind.AT_HOME
        distance = HALF if kind is Kind.AT_HOME else _distance_factor(candidate)
        factors = _factors(rules, candidate, now_s, distance, nearness)
        score = rounded(sum(map(mul, factors, WEIGHTS.values())))
        if best is None or score > best[0]:
            best = (score, factors, kind, ways)
    assert best is not None, "a clinic without a way to treat the patient is excluded"
    return Ranked(
        clinic_id=candidate.clinic_id,
        name=candidate.name,
        score=best[0] / ONE,
        factors={factor: value / ONE for factor, value in zip(WEIGHTS, best[1], strict=True)},
        kind=best[2],
        distance_m=candidate.distance_m,
        offerings=best[3],
    )


def _choose(
    rules: Rules, offerings: Sequence[tuple[int, Offered]]
) -> tuple[int, tuple[Chosen, ...]] | None:
    """For each condition the offering that names it most nearly, at the site before at home, then
    the first; and the mean of how near they are, rounded down. None when one has none."""
    chosen: list[Chosen] = []
    total = 0
    for asked, worth in zip(rules.need.conditions, rules.worth, strict=True):
        nearest, _, place = max(
            (treats(worth, offering), offering.setting is Setting.CLINIC, -place)
            for place, (_, offering) in enumerate(offerings)
        )
        if not nearest:
            return None
        total += nearest
        chosen.append(_chosen(asked, worth, *offerings[-place]))
    return total // len(chosen), tuple(chosen)


def _chosen(
    asked: AskedCondition, worth: Mapping[str, int], position: int, offering: Offered
) -> Chosen:
    return Chosen(
        condition=asked.code,
        treats=max(offering.conditions, key=lambda code: (worth.get(code, 0), code)),
        position=position,
        drug=offering.drug,
        route=offering.route,
        setting=offering.setting,
    )


def _distance_factor(candidate: Candidate) -> int:
    if candidate.distance_m is None:
        return 0
    return fading(whole_metres(candidate.distance_m), HALF_DISTANCE_M)


def _factors(
    rules: Rules, candidate: Candidate, now_s: int, distance: int, nearness: int
) -> Factors:
    """In the order of `WEIGHTS`. What is not asked for is met."""
    need, confirmed = rules.need, rules.confirmed
    answering = candidate.answering or _NOT_MEASURED
    assessed = len(confirmed.intersection(candidate.assesses)) if confirmed else 1
    wait = UNKNOWN if candidate.wait_days is None else candidate.wait_days
    return (
        _met(not need.preferred or candidate.clinic_id in need.preferred),
        distance,
        fading(wait, HALF_WAIT_DAYS),
        nearness,
        _met(candidate.accepting is Accepting.YES),
        answering_of(answering.median_hours),
        acceptance_of(answering.acceptance),
        fading(_days_since(candidate.verified_at, now_s), HALF_FRESHNESS_DAYS),
        ONE * assessed // (len(confirmed) or 1),
        _met(rules.speaks(candidate)),
    )


_NOT_MEASURED: Final = Answering()


def _met(yes: bool) -> int:
    return ONE if yes else 0


def _days_since(moment: datetime | None, now_s: int) -> int:
    """Whole days; 0 for a moment that is still to come, UNKNOWN for none."""
    if moment is None:
        return UNKNOWN
    return max(0, (now_s - math.floor(moment.timestamp())) // SECONDS_A_DAY)
