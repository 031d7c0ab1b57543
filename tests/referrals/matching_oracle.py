"""docs/matching.md as code that is slow and plain. Written from the page, not from the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from uuid import UUID
from zoneinfo import ZoneInfo

from geopy.distance import geodesic

from api.directory.schemas import ClinicProfile, Offering

ALLOWED_WAIT = {"urgent": 7, "soon": 30, "routine": None}
WEIGHTS = {
    "preferred": Fraction(52, 100),
    "distance": Fraction(12, 100),
    "wait": Fraction(10, 100),
    "specificity": Fraction(8, 100),
    "accepting": Fraction(5, 100),
    "answering": Fraction(4, 100),
    "acceptance": Fraction(3, 100),
    "freshness": Fraction(2, 100),
    "assessment": Fraction(2, 100),
    "language": Fraction(2, 100),
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A need in plain words; `parents` leads from each condition to the one above it."""

    conditions: Sequence[str]
    parents: Mapping[str, str]
    urgency: str = "routine"
    routes: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    near: tuple[float, float] | None = None
    state: str | None = None
    limit_m: float | None = None
    age: int | None = None
    payer: str | None = None
    language: str | None = None
    flags: frozenset[str] = frozenset()
    preferred: frozenset[UUID] = frozenset()
    excluded: frozenset[UUID] = frozenset()
    tried: frozenset[UUID] = frozenset()


@dataclass
class Verdict:
    """What is to be said of one clinic."""

    clinic: UUID
    metres: float | None
    reasons: set[str] = field(default_factory=set[str])
    score: Fraction = Fraction(-1)
    factors: dict[str, Fraction] = field(default_factory=dict[str, Fraction])
    kind: str = ""

    @property
    def place(self) -> tuple[float, UUID]:
        return (float("inf") if self.metres is None else floor(self.metres + 0.5), self.clinic)


def verdicts(
    clinics: Sequence[ClinicProfile], asked: Asked, taken: Mapping[UUID, int], now: datetime
) -> list[Verdict]:
    return [_verdict(clinic, asked, taken.get(clinic.id, 0), now) for clinic in clinics]


def distance_of(clinic: ClinicProfile, near: tuple[float, float] | None) -> float | None:
    """Karney's geodesic in metres, as geopy computes it in pure Python."""
    if near is None or clinic.lat is None:
        return None
    return float(geodesic(near, (clinic.lat, clinic.lon)).m)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def ranked(found: Sequence[Verdict]) -> list[Verdict]:
    return sorted((v for v in found if not v.reasons), key=lambda v: (-v.score, v.place))


def waiting(
    clinics: Sequence[ClinicProfile], found: Sequence[Verdict], asked: Asked, now: datetime
) -> tuple[datetime, set[UUID]] | None:
    allowed = ALLOWED_WAIT[asked.urgency]
    begins: dict[UUID, datetime] = {}
    for clinic, verdict in zip(clinics, found, strict=True):
        if verdict.reasons == {"capacity"} and clinic.weekly_capacity:
            monday = _next_monday(now, clinic.time_zone or "UTC")
            visit = monday + timedelta(days=clinic.wait_days or 0)
            if allowed is None or visit - now <= timedelta(days=allowed):
                begins[clinic.id] = monday
    if not begins:
        return None
    first = min(begins.values())
    return first, {clinic for clinic, monday in begins.items() if monday == first}


def _next_monday(now: datetime, zone: str) -> datetime:
    local = now.astimezone(ZoneInfo(zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    while True:
        day += timedelta(days=1)
        if day.weekday() == 0:
            return day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _verdict(clinic: ClinicProfile, asked: Asked, taken: int, now: datetime) -> Verdict:
    metres = distance_of(clinic, asked.near)
    verdict = Verdict(clinic.id, metres)
    verdict.reasons = _offering_reasons(clinic, asked, metres) | _other_reasons(
        clinic, asked, taken
    )
    if not verdict.reasons:
        _rate(verdict, clinic, asked, now)
    return verdict


def _above(code: str, parents: Mapping[str, str]) -> list[str]:
    line: list[str] = []
    while code in parents:
        code = parents[code]
        line.append(code)
    return line


def nearness(stated: str, wanted: str, parents: Mapping[str, str]) -> Fraction:
    """1 for the condition itself, less above and below it, 0 for another one."""
    if stated == wanted:
        return Fraction(1)
    line = _above(wanted, parents)
    if stated in line:
        return [Fraction(8, 10), Fraction(6, 10), Fraction(1, 2)][min(line.index(stated), 2)]
    return Fraction(4, 10) if wanted in _above(stated, parents) else Fraction(0)


def _treats(offering: Offering, wanted: str, asked: Asked) -> Fraction:
    return max(
        (nearness(code, wanted, asked.parents) for code in offering.conditions),
        default=Fraction(0),
    )


def _reaches(offering: Offering, asked: Asked, metres: float | None) -> bool:
    if offering.setting == "at_home":
        return asked.state in offering.coverage
    return asked.limit_m is None or (metres is not None and metres <= asked.limit_m)


def _has_it(offering: Offering, asked: Asked) -> bool:
    return (not asked.routes or offering.route in asked.routes) and (
        not asked.settings or offering.setting in asked.settings
    )


def _far(offerings: Sequence[Offering]) -> set[str]:
    return {"coverage" if o.setting == "at_home" else "distance" for o in offerings}


def _offering_reasons(clinic: ClinicProfile, asked: Asked, metres: float | None) -> set[str]:
    all_of_it = clinic.offerings
    reasons: set[str] = set()
    if any(all(not _treats(o, wanted, asked) for o in all_of_it) for wanted in asked.conditions):
        silent = any(o.conditions == [] for o in all_of_it)
        reasons.add("condition_not_stated" if silent else "condition")
    if asked.routes and not any(o.route in asked.routes for o in all_of_it):
        reasons.add("route")
    if asked.settings and not any(o.setting in asked.settings for o in all_of_it):
        reasons.add("setting")
    together = {
        wanted: [o for o in all_of_it if _treats(o, wanted, asked) and _has_it(o, asked)]
        for wanted in asked.conditions
    }
    if all(together.values()):
        for offerings in together.values():
            if not any(_reaches(o, asked, metres) for o in offerings):
                reasons |= _far(offerings)
        return reasons
    if not reasons:
        reasons.add("combination")
    in_setting = [o for o in all_of_it if not asked.settings or o.setting in asked.settings]
    if not any(_reaches(o, asked, metres) for o in in_setting):
        reasons |= _far(in_setting)
    return reasons


def _other_reasons(clinic: ClinicProfile, asked: Asked, taken: int) -> set[str]:
    allowed = ALLOWED_WAIT[asked.urgency]
    low, high = clinic.age.min, clinic.age.max
    checks = {
        "age": asked.age is not None
        and ((low is not None and asked.age < low) or (high is not None and asked.age > high)),
        "payer": asked.payer is not None and asked.payer not in clinic.payers,
        "language": asked.language is not None
        and asked.language.split("-")[0] != "en"
        and not _speaks(clinic, asked.language),
        "accepting": clinic.accepting in ("no", "existing_only", "existing_and_family"),
        "wait": None not in (allowed, clinic.wait_days)
        and (clinic.wait_days or 0) > (allowed or 0),
        "assessment": "substance_use_history" in asked.flags
        and "substance_use_history" not in clinic.assesses,
        "capacity": clinic.weekly_capacity is not None and clinic.weekly_capacity <= taken,
        "excluded": clinic.id in asked.excluded,
        "tried": clinic.id in asked.tried,
    }
    return {reason for reason, holds in checks.items() if holds}


def _speaks(clinic: ClinicProfile, language: str) -> bool:
    return language.split("-")[0] in [each.split("-")[0] for each in clinic.languages]


def _down(value: Fraction) -> Fraction:
    return Fraction(floor(value * 10_000), 10_000)


def _fading(half: int, amount: int) -> Fraction:
    return _down(Fraction(half, half + amount))


def _rate(verdict: Verdict, clinic: ClinicProfile, asked: Asked, now: datetime) -> None:
    """Tries every choice of one offering a condition that the page allows, and keeps the best."""
    answers = clinic.responsiveness
    confirmed = asked.flags - {"substance_use_history"}
    common = {
        "preferred": Fraction(not asked.preferred or clinic.id in asked.preferred),
        "wait": Fraction(0) if clinic.wait_days is None else _fading(14, clinic.wait_days),
        "accepting": Fraction(clinic.accepting == "yes"),
        "answering": Fraction(1, 2),
        "acceptance": Fraction(1, 2),
        "freshness": Fraction(0),
        "assessment": Fraction(1),
        "language": Fraction(asked.language is None or _speaks(clinic, asked.language)),
    }
    if answers is not None:
        common["answering"] = _fading(24 * 60, round(answers.median_hours * 60))
        if answers.acceptance is not None:
            common["acceptance"] = Fraction(round(answers.acceptance * 10_000), 10_000)
    if clinic.verified_at is not None:
        common["freshness"] = _fading(90, max(0, (now - clinic.verified_at).days))
    if confirmed:
        common["assessment"] = _down(
            Fraction(len(confirmed & set(clinic.assesses)), len(confirmed))
        )
    usable = [
        o for o in clinic.offerings if _has_it(o, asked) and _reaches(o, asked, verdict.metres)
    ]
    for offerings in (usable, [o for o in usable if o.setting == "at_home"]):
        way = _nearest_stated(offerings, asked)
        if way is None:
            continue
        specificity, at_home = way
        distance = Fraction(1, 2) if at_home else Fraction(0)
        if not at_home and verdict.metres is not None:
            distance = _fading(40_000, floor(verdict.metres + 0.5))
        factors = common | {"specificity": specificity, "distance": distance}
        exact = sum((WEIGHTS[name] * factors[name] for name in WEIGHTS), Fraction(0))
        score = Fraction(floor(exact * 10_000 + Fraction(1, 2)), 10_000)
        if score > verdict.score:
            verdict.score, verdict.factors = score, factors
            verdict.kind = "at_home" if at_home else "nearby"


def _nearest_stated(offerings: Sequence[Offering], asked: Asked) -> tuple[Fraction, bool] | None:
    """The mean over the conditions, and whether everything is then done at home."""
    total, at_home = Fraction(0), True
    for wanted in asked.conditions:
        treating = [(_treats(o, wanted, asked), o.setting == "clinic") for o in offerings]
        best = max(treating, default=(Fraction(0), True))
        if not best[0]:
            return None
        total += best[0]
        at_home = at_home and not best[1]
    return _down(total / len(asked.conditions)), at_home
