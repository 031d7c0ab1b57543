"""What would help when no clinic can take a referral."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from typing import assert_never

import msgspec
import numpy as np

from api.referrals.matching.candidate_rows import FARTHEST_M, judged, resolved
from api.referrals.matching.matching import Remedy, Suggestion
from api.referrals.matching.needs import Need
from api.search.index import SearchIndex
from db.states import Setting


def suggestions(index: SearchIndex, need: Need, now: datetime) -> tuple[Suggestion, ...]:
    """Small changes first; larger ones, and two together, only where no small one helps.

    Counts the clinics that can take the referral only when so much else is asked for. Those that
    already could, but for this week's capacity, are not among them; the capacity of the others is
    not looked at. Nobody suggests another urgency, age or condition, or to leave out a flag.
    """
    now_s = math.floor(now.timestamp())
    before = judged(index, resolved(index, need), now_s).passed
    small = [*_small_changes(need)]
    large = [] if need.max_distance_m is None else [Remedy.ANY_DISTANCE]
    pairs = combinations([*large, *small], 2)
    for step in ([(each,) for each in small], [(each,) for each in large], pairs):
        found: list[Suggestion] = []
        for remedies in step:
            changed = need
            for remedy in remedies:
                changed = _changed(changed, remedy)
            after = judged(index, resolved(index, changed), now_s).passed
            more = len(np.setdiff1d(after, before, assume_unique=True))
            if more:
                limit = changed.max_distance_m
                found.append(
                    Suggestion(
                        changes=remedies,
                        clinics=more,
                        max_distance_m=None if limit == need.max_distance_m else limit,
                    )
                )
        if found:
            return tuple(found)
    return ()


def _small_changes(need: Need) -> Iterator[Remedy]:
    if need.max_distance_m is not None and need.max_distance_m * 2 <= FARTHEST_M:
        yield Remedy.TWICE_THE_DISTANCE
    if need.routes:
        yield Remedy.ANY_ROUTE
    if need.settings:
        yield Remedy.ANY_SETTING
    if need.settings != frozenset({Setting.AT_HOME}):
        yield Remedy.AT_HOME
    if need.payer is not None:
        yield Remedy.WITHOUT_PAYER
    if need.language is not None:
        yield Remedy.WITHOUT_LANGUAGE
    if need.excluded:
        yield Remedy.WITHOUT_EXCLUSIONS


def _changed(need: Need, remedy: Remedy) -> Need:
    changed = msgspec.structs.replace
    match remedy:
        case Remedy.TWICE_THE_DISTANCE:
            limit = need.max_distance_m
            return changed(need, max_distance_m=None if limit is None else limit * 2)
        case Remedy.ANY_DISTANCE:
            return changed(need, max_distance_m=None)
        case Remedy.ANY_ROUTE:
            return changed(need, routes=frozenset())
        case Remedy.ANY_SETTING:
            return changed(need, settings=frozenset())
        case Remedy.AT_HOME:
            return changed(need, routes=frozenset(), settings=frozenset({Setting.AT_HOME}))
        case Remedy.WITHOUT_PAYER:
            return changed(need, payer=None)
        case Remedy.WITHOUT_LANGUAGE:
            return changed(need, language=None)
        case Remedy.WITHOUT_EXCLUSIONS:
            return changed(need, excluded=frozenset())
        case _:
            assert_never(remedy)
