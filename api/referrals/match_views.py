"""The answer to a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from api.referrals.checking import MILE_M
from api.referrals.document import Point
from api.referrals.matching.eligibility import Reason
from api.referrals.matching.matching import Chosen, Excluded, Kind, Ranked, Suggestion
from api.referrals.matching.scoring import Factor
from api.referrals.sending import WouldBe
from api.referrals.views import ClinicName


class Away(msgspec.Struct, frozen=True, kw_only=True):
    """A geodesic, in three units."""

    m: float
    km: float
    mi: float

    @classmethod
    def of(cls, metres: float | None) -> Self | None:
        if metres is None:
            return None
        return cls(m=round(metres, 1), km=round(metres / 1000, 3), mi=round(metres / MILE_M, 3))


class RankedView(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic that can take the referral; docs/matching.md has factors and weights."""

    clinic: ClinicName
    score: Annotated[float, Meta(description="0 to 1")]
    factors: Annotated[Mapping[Factor, float], Meta(description="0 to 1 each")]
    match: Kind
    distance: Away | None
    offerings: Annotated[
        list[Chosen], Meta(description="By which offering each condition would be treated")
    ]

    @classmethod
    def of(cls, ranked: Ranked) -> Self:
        return cls(
            clinic=ClinicName(id=ranked.clinic_id, name=ranked.name),
            score=ranked.score,
            factors=ranked.factors,
            match=ranked.kind,
            distance=Away.of(ranked.distance_m),
            offerings=list(ranked.offerings),
        )


class ExcludedView(msgspec.Struct, frozen=True, kw_only=True):
    clinic: ClinicName
    distance: Away | None
    reasons: list[Reason]

    @classmethod
    def of(cls, excluded: Excluded) -> Self:
        return cls(
            clinic=ClinicName(id=excluded.clinic_id, name=excluded.name),
            distance=Away.of(excluded.distance_m),
            reasons=list(excluded.reasons),
        )


class MatchesView(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be asked, best first, and who not and why, nearest first."""

    directory_version: int
    origin: Annotated[Point, Meta(description="What `near` was taken for")]
    ranked: list[RankedView]
    ranked_total: Annotated[int, Meta(description="Those that are not listed, too")]
    excluded: list[ExcludedView]
    excluded_total: Annotated[int, Meta(description="Those that are not listed, too")]
    would_stop: Annotated[
        list[str],
        Meta(description="Screening flags that you would have to confirm before it is routed"),
    ]
    waits_until: Annotated[
        datetime | None,
        Meta(description="When a clinic that is full this week has places again"),
    ]
    suggestions: Annotated[list[Suggestion], Meta(description="What would help when none can")]

    @classmethod
    def of(cls, found: WouldBe) -> Self:
        matches = found.matches
        return cls(
            directory_version=found.version,
            origin=found.point,
            ranked=[RankedView.of(each) for each in matches.ranked],
            ranked_total=matches.ranked_total,
            excluded=[ExcludedView.of(each) for each in matches.excluded],
            excluded_total=matches.excluded_total,
            would_stop=list(found.stops),
            waits_until=None if matches.waiting is None else matches.waiting.until,
            suggestions=list(matches.suggestions),
        )
