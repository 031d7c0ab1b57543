"""The hard filters: whether a clinic can take a referral at all, and if not, why not. Pure.

They are published in docs/matching.md, which tests compare with this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from api.referrals.matching.needs import AskedCondition, Candidate, Need, Offered
from api.referrals.matching.scoring import ABOVE, BELOW, EXACT
from db.states import Accepting, Setting, Urgency

LONGEST_WAIT_DAYS: Final[Mapping[Urgency, int | None]] = MappingProxyType(
    {Urgency.URGENT: 7, Urgency.SOON: 30, Urgency.ROUTINE: None}
)
ASSESSED_ONLY: Final = frozenset({"substance_use_history"})
"""Flags with which a patient goes only to clinics that state that they assess them."""
SPOKEN_ANYWAY: Final = "en"
"""Lists of languages in the US and the UK name those that are spoken besides this one."""


class Reason(StrEnum):
    """Why a clinic cannot take a referral."""

    CONDITION = "condition"
    CONDITION_NOT_STATED = "condition_not_stated"
    ROUTE = "route"
    SETTING = "setting"
    COMBINATION = "combination"
    DISTANCE = "distance"
    COVERAGE = "coverage"
    AGE = "age"
    PAYER = "payer"
    LANGUAGE = "language"
    ACCEPTING = "accepting"
    WAIT = "wait"
    ASSESSMENT = "assessment"
    CAPACITY = "capacity"
    EXCLUDED = "excluded"
    TRIED = "tried"


class Rules:
    """A need made ready to be held against many candidates."""

    def __init__(self, need: Need) -> None:
        self.need = need
        self.worth = [_worth(asked) for asked in need.conditions]
        """For each condition, how near each other one is to it, if it is near at all."""
        self.confirmed = need.flags - ASSESSED_ONLY
        self._must_assess = need.flags & ASSESSED_ONLY
        self._longest_wait = LONGEST_WAIT_DAYS[need.urgency]
        self._spoken = None if need.language is None else primary(need.language)

    def usable(self, candidate: Candidate) -> list[tuple[int, Offered]]:
        """The offerings, with their positions, that are as asked for and reach the patient."""
        return [
            (position, offering)
            for position, offering in enumerate(candidate.offerings)
            if self._as_asked(offering) and self._reaches(candidate, offering)
        ]

    def reasons(
        self, candidate: Candidate, usable: Sequence[tuple[int, Offered]]
    ) -> tuple[Reason, ...]:
        """Every reason why the clinic cannot take the referral, in the order of `Reason`, given
        its `usable` offerings."""
        need, clinic = self.need, candidate.clinic_id
        found: list[Reason] = []
        for worth in self.worth:
            if not any(treats(worth, offering) for _, offering in usable):
                found = self._of_offerings(candidate)
                break
        if need.age is not None and not _takes_age(candidate, need.age):
            found.append(Reason.AGE)
        if need.payer is not None and need.payer not in candidate.payers:
            found.append(Reason.PAYER)
        if self._spoken != SPOKEN_ANYWAY and not self.speaks(candidate):
            found.append(Reason.LANGUAGE)
        if candidate.accepting not in _OPEN_TO_NEW:
            found.append(Reason.ACCEPTING)
        if self._waits_too_long(candidate.wait_days):
            found.append(Reason.WAIT)
        if self._must_assess and not self._must_assess.issubset(candidate.assesses):
            found.append(Reason.ASSESSMENT)
        if candidate.weekly_capacity is not None and candidate.taken >= candidate.weekly_capacity:
            found.append(Reason.CAPACITY)
        if clinic in need.excluded:
            found.append(Reason.EXCLUDED)
        if clinic in need.tried:
            found.append(Reason.TRIED)
        return tuple(found)

    def _of_offerings(self, candidate: Candidate) -> list[Reason]:
        """One offering has to have condition, route and setting together, and to reach the
        patient; for each condition that may be another one."""
        need, offerings = self.need, candidate.offerings
        as_asked = [each for each in offerings if self._as_asked(each)]
        fitting = [[each for each in as_asked if treats(worth, each)] for worth in self.worth]
        if all(fitting):
            return self._out_of_reach(candidate, fitting)
        found: list[Reason] = []
        if not all(any(treats(worth, each) for each in offerings) for worth in self.worth):
            unstated = any(not each.conditions for each in offerings)
            found.append(Reason.CONDITION_NOT_STATED if unstated else Reason.CONDITION)
        if need.routes and not any(each.route in need.routes for each in offerings):
            found.append(Reason.ROUTE)
        if need.settings and not any(each.setting in need.settings for each in offerings):
            found.append(Reason.SETTING)
        if not found:
            found.append(Reason.COMBINATION)
        in_setting = [
            each for each in offerings if not need.settings or each.setting in need.settings
        ]
        return found + self._out_of_reach(candidate, [in_setting])

    def _out_of_reach(
        self, candidate: Candidate, groups: Sequence[Sequence[Offered]]
    ) -> list[Reason]:
        """Nothing when one offering of each group reaches the patient."""
        far = uncovered = False
        for offerings in groups:
            if not any(self._reaches(candidate, each) for each in offerings):
                far |= any(each.setting is Setting.CLINIC for each in offerings)
                uncovered |= any(each.setting is Setting.AT_HOME for each in offerings)
        return [Reason.DISTANCE] * far + [Reason.COVERAGE] * uncovered

    def _waits_too_long(self, wait_days: int | None) -> bool:
        if self._longest_wait is None or wait_days is None:
            return False
        return wait_days > self._longest_wait

    def _as_asked(self, offering: Offered) -> bool:
        """Whether it comes by a route and in a setting that are asked for."""
        need = self.need
        return (not need.routes or offering.route in need.routes) and (
            not need.settings or offering.setting in need.settings
        )

    def _reaches(self, candidate: Candidate, offering: Offered) -> bool:
        """A site within the patient's limit, or care at home where the patient is."""
        need = self.need
        if offering.setting is Setting.AT_HOME:
            return need.state is not None and need.state in offering.coverage
        if need.max_distance_m is None:
            return True
        return candidate.distance_m is not None and candidate.distance_m <= need.max_distance_m

    def speaks(self, candidate: Candidate) -> bool:
        """Whether it states the patient's language, if one is asked for."""
        if self._spoken is None:
            return True
        return any(primary(each) == self._spoken for each in candidate.languages)


_OPEN_TO_NEW: Final = (Accepting.YES, Accepting.UNKNOWN)


def treats(worth: Mapping[str, int], offering: Offered) -> int:
    """How near the nearest of the offering's conditions is; 0 when it treats another one."""
    nearest = 0
    for code in offering.conditions:
        near = worth.get(code, 0)
        if near > nearest:
            nearest = near
    return nearest


def _takes_age(candidate: Candidate, age: int) -> bool:
    low, high = candidate.age_min, candidate.age_max
    return (low is None or low <= age) and (high is None or age <= high)


def _worth(asked: AskedCondition) -> Mapping[str, int]:
    worth = dict.fromkeys(asked.below, BELOW)
    for step, code in enumerate(asked.above):
        worth[code] = ABOVE[min(step, len(ABOVE) - 1)]
    worth[asked.code] = EXACT
    return worth


def primary(language: str) -> str:
    """The language of a BCP 47 tag, without script and region: `es` of `es-MX`."""
    return language.partition("-")[0].lower()
