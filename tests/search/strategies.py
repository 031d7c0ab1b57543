"""Clinics, points and questions that Hypothesis makes up, edges of the map included."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from api.directory.schemas import ClinicProfile, Hours, Offering
from api.search.filters import Filters
from db.states import Accepting, Route, Setting
from tests.search.profiles import MOMENT, offering, profile

EDGES = [
    (90.0, 0.0), (90.0, 77.0), (-90.0, 0.0), (0.0, 180.0), (0.0, -180.0), (0.0, 179.9999),
    (0.0, -179.9999), (0.0, 0.0), (33.4484, -112.074), (33.4484, -112.074), (51.5, -0.12),
    (-33.4484, 67.926), (66.0, -180.0), (89.9999, -135.0), (33.45, -112.08), (33.9, -112.1),
]  # fmt: skip
CONDITIONS = ["crps", "crps-1", "crps-2", "fibromyalgia", "neuropathic-pain", "depression"]
STATES = ["US-AZ", "US-CA", "GB-ENG"]
PAYERS = ["medicare", "va", "self_pay"]

latitudes = st.floats(-90, 90, allow_nan=False)
longitudes = st.floats(-180, 180, allow_nan=False)
points = st.one_of(
    st.sampled_from(EDGES),
    st.tuples(latitudes, longitudes),
    st.tuples(st.floats(33, 34), st.floats(-113, -111)),
)
moments = st.integers(0, 365 * 24 * 60).map(lambda m: MOMENT + timedelta(minutes=m))


def _some(chance: random.Random, codes: list[Any], most: int) -> list[Any]:
    return chance.sample(codes, chance.randint(0, most))


def _made_offering(chance: random.Random) -> Offering:
    setting = chance.choice(list(Setting))
    return offering(
        route=chance.choice([Route.IV, Route.NASAL, Route.SUBLINGUAL]),
        setting=setting,
        conditions=tuple(_some(chance, CONDITIONS, 3)),
        coverage=tuple(_some(chance, STATES, 2)) if setting is Setting.AT_HOME else (),
    )


def _made_hours(chance: random.Random) -> Hours:
    def time() -> str:
        return f"{chance.randint(0, 23):02}:{chance.choice([0, 15, 30, 59]):02}"

    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return Hours(days=chance.sample(days, chance.randint(1, 7)), opens=time(), closes=time())


def _made_traits(chance: random.Random) -> dict[str, Any]:
    name = chance.choice(["Desert Pain", "Ocean Mind", "Désert Pain Centre", "Zen"])
    return {
        "name": f"{name} {chance.randint(0, 3)}",
        "offerings": tuple(_made_offering(chance) for _ in range(chance.randint(0, 3))),
        "hours": tuple(_made_hours(chance) for _ in range(chance.randint(0, 2))),
        "state": chance.choice(STATES),
        "payers": _some(chance, PAYERS, 3),
        "languages": _some(chance, ["en", "es"], 2),
        "accepting": chance.choice(list(Accepting)),
        "wait_days": chance.choice([None, 0, 1, 2, 3, 4]),
        "verified_at": chance.choice([None, MOMENT + timedelta(days=chance.randint(0, 365))]),
        "time_zone": chance.choice(["America/Phoenix", "Europe/London", "America/New_York"]),
    }


# Everything but the place comes out of one bag: to draw each trait by itself takes Hypothesis a
# hundred times longer, and it is the places that have edges. The seed is any number.
TRAITS = [_made_traits(random.Random(number)) for number in range(500)]
traits = st.sampled_from(TRAITS)
places = st.one_of(points, points, points, st.just((None, None)))


@st.composite
def clinics(draw: st.DrawFn, number: int) -> ClinicProfile:
    lat, lon = draw(places)
    return profile(number, lat, lon, **draw(traits))


@st.composite
def directories(draw: st.DrawFn, most: int = 30) -> list[ClinicProfile]:
    made = draw(st.lists(st.tuples(places, traits), max_size=most))
    # Ids that do not sort as the clinics were made, so that ties are told by id and not by luck.
    return [
        profile(number * 7919 % 104729 + 1, *place, **some)
        for number, (place, some) in enumerate(made)
    ]


def _terms(codes: list[str]) -> st.SearchStrategy[tuple[frozenset[str], ...]]:
    term = st.frozensets(st.sampled_from(codes), min_size=1, max_size=2)
    return st.one_of(st.just(()), st.lists(term, max_size=2).map(tuple))


@st.composite
def filters(draw: st.DrawFn) -> Filters:
    optional: dict[str, Any] = {
        "max_wait_days": st.integers(0, 4),
        "open_at": moments,
        "verified_since": moments,
        "bbox": st.tuples(longitudes, st.floats(-90, 0), longitudes, st.floats(0, 90)),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=1))
    return Filters(
        condition=draw(_terms(CONDITIONS)),
        route=draw(_terms(["iv", "nasal", "at_home"])),
        setting=draw(_terms(["clinic", "at_home"])),
        state=draw(_terms(STATES)),
        payer=draw(_terms(PAYERS)),
        language=draw(_terms(["en", "es", "fr"])),
        accepting=draw(_terms(["yes", "no", "unknown"])),
        **{name: draw(optional[name]) for name in sorted(chosen)},
    )


radii = st.one_of(
    st.none(), st.floats(1, 19_000_000), st.sampled_from([80_467.2, 1000.0, 1e6, 1.9e7])
)
