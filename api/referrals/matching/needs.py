"""What a patient needs of a clinic, and what a clinic has to offer. Pure."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec

from db.states import Accepting, Drug, Route, Setting, Urgency


class AskedCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of the patient, with its place in the catalogue: `above` nearest first."""

    code: str
    above: tuple[str, ...] = ()
    below: frozenset[str] = frozenset()


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a patient needs. An empty set or None asks for nothing.

    `near` is (latitude, longitude) in degrees, `state` the patient's (ISO 3166-2); `flags` are the
    screening flags that were declared, and confirmed where that is needed. At least one condition.
    """

    conditions: tuple[AskedCondition, ...]
    urgency: Urgency = Urgency.ROUTINE
    routes: frozenset[Route] = frozenset()
    settings: frozenset[Setting] = frozenset()
    near: tuple[float, float] | None = None
    state: str | None = None
    max_distance_m: float | None = None
    age: int | None = None
    payer: str | None = None
    language: str | None = None
    flags: frozenset[str] = frozenset()
    preferred: frozenset[UUID] = frozenset()
    excluded: frozenset[UUID] = frozenset()
    tried: frozenset[UUID] = frozenset()

    def __post_init__(self) -> None:
        if not self.conditions:
            raise ValueError("a referral is for at least one condition")

    @property
    def named(self) -> frozenset[UUID]:
        """Every clinic that is named, for whatever reason."""
        return self.preferred | self.excluded | self.tried


class Offered(msgspec.Struct, frozen=True, gc=False):
    """An offering of a clinic."""

    drug: Drug
    route: Route
    setting: Setting
    conditions: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()


class Answering(msgspec.Struct, frozen=True, gc=False):
    """What was measured of a clinic with enough answers: `acceptance` is a share, 0 to 1."""

    median_hours: float | None = None
    acceptance: float | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A clinic that is considered. What is None or empty is not known.

    `distance_m` is the geodesic from the patient to its site; `taken` how many referrals it has
    accepted in its own week that began on the Monday `week`, `next_week` when its next one begins.
    """

    clinic_id: UUID
    name: str
    offerings: tuple[Offered, ...] = ()
    distance_m: float | None = None
    accepting: Accepting = Accepting.UNKNOWN
    wait_days: int | None = None
    weekly_capacity: int | None = None
    taken: int = 0
    week: date | None = None
    next_week: datetime | None = None
    payers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    age_min: int | None = None
    age_max: int | None = None
    assesses: tuple[str, ...] = ()
    answering: Answering | None = None
    verified_at: datetime | None = None
