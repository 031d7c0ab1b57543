"""Clinics and needs that Hypothesis makes up for matching, in the words of the service and in those
of the oracle."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from api.directory.schemas import AgeRange, ClinicProfile, Offering, Responsiveness
from api.referrals.matching.needs import Answering, AskedCondition, Candidate, Need, Offered
from api.referrals.matching.weeks import week_of
from db.states import Accepting, Route, Setting, Urgency
from tests.referrals.matching_oracle import Asked, distance_of
from tests.search.profiles import MOMENT, offering, profile, shipped_catalogue

CATALOGUE = shipped_catalogue()
PARENTS = {code: line[0] for code, line in CATALOGUE.ancestors.items() if line}
CONDITIONS = [
    "chronic-pain", "neuropathic-pain", "diabetic-neuropathy", "crps", "crps-1", "migraine",
    "chronic-migraine", "depression",
]  # fmt: skip
STATES = ["US-AZ", "US-CA", "GB-ENG"]
PAYERS = ["medicare", "va", "self_pay"]
LANGUAGES = ["en", "es", "es-MX", "zh-Hant"]
FLAGS = ["substance_use_history", "pregnancy", "active_psychosis"]
ZONES = ["America/Phoenix", "Europe/London", "Pacific/Auckland", None]
ROUTES = [Route.IV, Route.NASAL, Route.SUBLINGUAL]


def _some(chance: random.Random, codes: list[Any], most: int) -> list[Any]:
    return chance.sample(codes, chance.randint(0, most))


def _offering(chance: random.Random) -> Offering:
    setting = chance.choice([Setting.CLINIC, Setting.CLINIC, Setting.AT_HOME])
    return offering(
        route=chance.choice(ROUTES),
        setting=setting,
        conditions=tuple(_some(chance, CONDITIONS, 6)),
        coverage=tuple(_some(chance, STATES, 3)) if setting is Setting.AT_HOME else (),
    )


def _traits(chance: random.Random) -> dict[str, Any]:
    low = chance.choice([None, None, 18, 40])
    answered = chance.random() < 0.5
    return {
        "offerings": tuple(_offering(chance) for _ in range(chance.choice([0, 1, 2, 3, 4]))),
        "state": chance.choice(STATES),
        "payers": _some(chance, PAYERS, 3),
        "languages": _some(chance, LANGUAGES, 2),
        "accepting": chance.choice([*Accepting, *[Accepting.YES, Accepting.UNKNOWN] * 4]),
        "wait_days": chance.choice([None, None, 0, 1, 5, 5, 7, 8, 30, 31, 400]),
        "verified_at": chance.choice(
            [
                None,
                MOMENT,
                MOMENT + timedelta(days=3),
                MOMENT - timedelta(days=chance.randint(0, 999)),
            ]
        ),
        "time_zone": chance.choice(ZONES),
        "weekly_capacity": chance.choice([None] * 6 + [0, 1, 2]),
        "age": AgeRange(min=low, max=chance.choice([None, None, 40, 65])),
        "assesses": _some(chance, FLAGS, 3),
        "responsiveness": Responsiveness(
            answers=5,
            median_hours=chance.randint(0, 200) / 2,
            acceptance=chance.choice([None, 0.0, 0.37, 1.0]),
            decline_reasons={},
        )
        if answered
        else None,
    }


# Everything but the place comes out of one bag, as in tests/search: it is the places that have
# edges.
_BAG = [_traits(random.Random(number)) for number in range(600)]
_LATER = ("weekly_capacity", "age", "assesses", "responsiveness")
spots = st.one_of(
    st.tuples(st.floats(33.2, 33.8), st.floats(-112.5, -111.5)),
    st.sampled_from(
        [(33.45, -112.07), (33.45, -112.07), (-33.45, 67.93), (51.5, -0.1), (90.0, 0.0)]
    ),
)
places = st.one_of(spots, spots, spots, st.just((None, None)))


def clinic(number: int, lat: float | None, lon: float | None, **traits: Any) -> ClinicProfile:
    """A profile with those traits; the other ones are unknown."""
    later = {name: traits.pop(name) for name in _LATER if name in traits}
    return msgspec.structs.replace(profile(number, lat, lon, **traits), **later)


@st.composite
def directories(draw: st.DrawFn, least: int = 0, most: int = 30) -> list[ClinicProfile]:
    made = draw(st.lists(st.tuples(places, st.sampled_from(_BAG)), min_size=least, max_size=most))
    # Ids that do not sort as the clinics were made, so that ties are told by id and not by luck.
    return [
        clinic(number * 7919 % 104729 + 1, *place, **traits)
        for number, (place, traits) in enumerate(made)
    ]


@dataclass(frozen=True)
class Wanted:
    """The same need twice."""

    need: Need
    asked: Asked


def asked_condition(code: str) -> AskedCondition:
    return AskedCondition(
        code=code,
        above=tuple(CATALOGUE.ancestors[code]),
        below=CATALOGUE.descendants(code) - {code},
    )


def wanted(conditions: list[str], **fields: Any) -> Wanted:
    limit = fields.pop("limit_m", None)
    urgency = fields.pop("urgency", Urgency.ROUTINE)
    return Wanted(
        need=Need(
            conditions=tuple(asked_condition(code) for code in conditions),
            max_distance_m=limit,
            urgency=urgency,
            **fields,
        ),
        asked=Asked(
            conditions=conditions, parents=PARENTS, limit_m=limit, urgency=urgency.value, **fields
        ),
    )


@st.composite
def needs(draw: st.DrawFn, clinics: list[ClinicProfile], plain: float = 0.75) -> Wanted:
    """Most of what may be asked for is not, so that there are answers too."""
    chance = draw(st.randoms(use_true_random=False))
    ids = [each.id for each in clinics] + [UUID(int=1 << 100)]

    def maybe(value: Any, otherwise: Any = None) -> Any:
        return otherwise if chance.random() < plain else value

    named = [frozenset(_some(chance, ids, min(2, len(ids)))) for _ in range(3)]
    return wanted(
        _some(chance, CONDITIONS, 1) or chance.sample(CONDITIONS, chance.choice([1, 1, 2])),
        near=draw(st.one_of(spots, spots, spots, st.none())),
        limit_m=draw(st.one_of(st.none(), st.sampled_from([1.0, 20_000.0, 80_467.2, 1e7, 1.9e7]))),
        state=maybe(chance.choice(STATES), "US-AZ"),
        urgency=maybe(chance.choice(list(Urgency)), Urgency.ROUTINE),
        routes=maybe(frozenset(_some(chance, ROUTES, 2)), frozenset()),
        settings=maybe(frozenset(_some(chance, list(Setting), 1)), frozenset()),
        age=maybe(chance.choice([17, 18, 40, 41, 66])),
        payer=maybe(chance.choice(PAYERS)),
        language=maybe(chance.choice(["en", "en-GB", "es", "es-US", "fr"])),
        flags=maybe(frozenset(_some(chance, FLAGS, 3)), frozenset()),
        preferred=maybe(named[0], frozenset()),
        excluded=maybe(named[1], frozenset()),
        tried=maybe(named[2], frozenset()),
    )


def candidate(clinic: ClinicProfile, near: tuple[float, float] | None, taken: int = 0) -> Candidate:
    """The profile as matching takes it, by way of nothing that the service has."""
    answers = clinic.responsiveness
    week, next_week = week_of(MOMENT, clinic.time_zone)
    return Candidate(
        clinic_id=clinic.id,
        name=clinic.name,
        offerings=tuple(
            Offered(o.drug, o.route, o.setting, tuple(o.conditions), tuple(o.coverage))
            for o in clinic.offerings
        ),
        distance_m=distance_of(clinic, near),
        accepting=clinic.accepting,
        wait_days=clinic.wait_days,
        weekly_capacity=clinic.weekly_capacity,
        taken=taken,
        week=week,
        next_week=next_week,
        payers=tuple(clinic.payers),
        languages=tuple(clinic.languages),
        age_min=clinic.age.min,
        age_max=clinic.age.max,
        assesses=tuple(clinic.assesses),
        answering=None if answers is None else Answering(answers.median_hours, answers.acceptance),
        verified_at=clinic.verified_at,
    )
