"""The hard filters: whether a clinic can take a referral at all, and if not, why not. Pure.

They are published in docs/matching.md, which tests compare with this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from api.referrals.needs import AskedCondition, Candidate, Need, Offered
from api.referrals.scoring import ABOVE, BELOW, EXACT
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


def reasons_against(need: Need, candidate: Candidate) -> tuple[Reason, ...]:
    """Every reason why the clinic cannot take the referral, in the order of `Reason`."""
    found = {*_of_offerings(need, candidate), *_of_patient(need, candidate)}
    found.update(_of_clinic(need, candidate))
    return tuple(reason for reason in Reason if reason in found) if found else ()


def _of_offerings(need: Need, candidate: Candidate) -> Iterable[Reason]:
    """One offering has to have condition, route and setting together, and to reach the patient;
    for each condition that may be another one."""
    offerings = candidate.offerings
    treating = [[o for o in offerings if treats(asked, o)[0]] for asked in need.conditions]
    fitting = [[o for o in some if as_asked(need, o)] for some in treating]
    if all(fitting):
        for some in fitting:
            yield from _out_of_reach(need, candidate, some)
        return
    apart = False
    if not all(treating):
        apart = True
        unstated = any(not o.conditions for o in offerings)
        yield Reason.CONDITION_NOT_STATED if unstated else Reason.CONDITION
    if need.routes and not any(o.route in need.routes for o in offerings):
        apart = True
        yield Reason.ROUTE
    if need.settings and not any(o.setting in need.settings for o in offerings):
        apart = True
        yield Reason.SETTING
    if not apart:
        yield Reason.COMBINATION
    in_settings = [o for o in offerings if not need.settings or o.setting in need.settings]
    yield from _out_of_reach(need, candidate, in_settings)


def _out_of_reach(
    need: Need, candidate: Candidate, offerings: Sequence[Offered]
) -> Iterable[Reason]:
    """Nothing when one of them reaches the patient."""
    if any(reaches(need, candidate, each) for each in offerings):
        return
    for each in offerings:
        yield Reason.COVERAGE if each.setting is Setting.AT_HOME else Reason.DISTANCE


def _of_patient(need: Need, candidate: Candidate) -> Iterable[Reason]:
    if need.age is not None and not (
        (candidate.age_min is None or candidate.age_min <= need.age)
        and (candidate.age_max is None or need.age <= candidate.age_max)
    ):
        yield Reason.AGE
    if need.payer is not None and need.payer not in candidate.payers:
        yield Reason.PAYER
    if need.language is not None and not _understood(need.language, candidate):
        yield Reason.LANGUAGE
    if not (need.flags & ASSESSED_ONLY).issubset(candidate.assesses):
        yield Reason.ASSESSMENT


def _of_clinic(need: Need, candidate: Candidate) -> Iterable[Reason]:
    if candidate.accepting not in (Accepting.YES, Accepting.UNKNOWN):
        yield Reason.ACCEPTING
    longest = LONGEST_WAIT_DAYS[need.urgency]
    if longest is not None and candidate.wait_days is not None and candidate.wait_days > longest:
        yield Reason.WAIT
    if candidate.weekly_capacity is not None and candidate.taken >= candidate.weekly_capacity:
        yield Reason.CAPACITY
    if candidate.clinic_id in need.excluded:
        yield Reason.EXCLUDED
    if candidate.clinic_id in need.tried:
        yield Reason.TRIED


def treats(asked: AskedCondition, offering: Offered) -> tuple[int, str]:
    """How near the offering's nearest condition is, and that condition."""
    return max(((specificity(asked, code), code) for code in offering.conditions), default=(0, ""))


def as_asked(need: Need, offering: Offered) -> bool:
    return (not need.routes or offering.route in need.routes) and (
        not need.settings or offering.setting in need.settings
    )


def reaches(need: Need, candidate: Candidate, offering: Offered) -> bool:
    """A site within the patient's limit, or care at home where the patient is."""
    if offering.setting is Setting.AT_HOME:
        return need.state is not None and need.state in offering.coverage
    if need.max_distance_m is None:
        return True
    return candidate.distance_m is not None and candidate.distance_m <= need.max_distance_m


def speaks(language: str, candidate: Candidate) -> bool:
    return any(primary(each) == primary(language) for each in candidate.languages)


def _understood(language: str, candidate: Candidate) -> bool:
    return primary(language) == SPOKEN_ANYWAY or speaks(language, candidate)


def specificity(asked: AskedCondition, stated: str) -> int:
    """How near a stated condition is to the one asked for; 0 when it is another one."""
    if stated == asked.code:
        return EXACT
    if stated in asked.above:
        return ABOVE[min(asked.above.index(stated), len(ABOVE) - 1)]
    return BELOW if stated in asked.below else 0


def primary(language: str) -> str:
    """The language of a BCP 47 tag, without script and region: `es` of `es-MX`."""
    return language.partition("-")[0].lower()
