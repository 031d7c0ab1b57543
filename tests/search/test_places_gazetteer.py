"""The gazetteer as a geopy geocoder, and its data against what it was made from."""

# geopy has no annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from geopy.distance import great_circle
from geopy.geocoders.base import Geocoder
from geopy.location import Location

from api.search.border_kernel import nearest_of
from api.search.place_text import PostalCode
from api.search.sphere import EARTH_RADIUS_M
from seeds.gazetteer.load import load_gazetteer

GAZETTEER = load_gazetteer()
ZIPS = GAZETTEER.postal_codes.zips
DISTRICTS = GAZETTEER.postal_codes.districts


def test_it_is_a_geopy_geocoder() -> None:
    assert isinstance(GAZETTEER, Geocoder)
    with GAZETTEER as geocoder:
        assert geocoder is GAZETTEER


def test_geocode_gives_locations() -> None:
    found = GAZETTEER.geocode("85016")
    assert isinstance(found, Location)
    assert found.address == "85016, Phoenix, AZ"
    assert (found.latitude, found.longitude) == (33.51017, -112.03168)
    raw = found.raw
    assert isinstance(raw, Mapping)
    assert raw["state"] == "US-AZ"
    assert raw["uncertainty_m"] == 3000


def test_geocode_gives_all_namesakes_or_the_largest() -> None:
    every = GAZETTEER.geocode("Springfield", exactly_one=False)
    first = GAZETTEER.geocode("Springfield", timeout=1)
    assert every is not None
    assert first is not None
    assert len(every) > 10
    assert every[0].address == first.address == "Springfield, MO"


def test_geocode_of_nothing_known() -> None:
    assert GAZETTEER.geocode("Rivendell") is None
    assert GAZETTEER.geocode("Rivendell", exactly_one=False) is None
    assert GAZETTEER.geocode("") is None


def test_reverse_names_the_postal_area() -> None:
    phoenix = GAZETTEER.reverse((33.5101, -112.0317))
    sheffield = GAZETTEER.reverse("53.3779, -1.5068")
    assert phoenix is not None
    assert sheffield is not None
    assert phoenix.address == "85016, Phoenix, AZ"
    assert sheffield.address == "S10, Sheffield, England"
    assert GAZETTEER.reverse((0, 0)) is None


def test_every_postal_code_finds_itself() -> None:
    assert len(ZIPS.codes) > 41_000
    assert len(DISTRICTS.codes) > 2_800
    for country, columns in (("US", ZIPS), ("GB", DISTRICTS)):
        for row, code in enumerate(columns.codes):
            found = GAZETTEER.postal_codes.find(PostalCode(country, code))
            assert found is not None
            assert (found.near, found.lat, found.lon) == (
                code,
                columns.lats[row],
                columns.lons[row],
            )
            assert found.country == country


def test_states_agree_with_the_outlines_wherever_both_know() -> None:
    """The outlines are coarse and ZIP areas cross state lines; nearly all agree all the same."""
    outlines = GAZETTEER.jurisdictions.outlines
    regions = [region.code for region in GAZETTEER.regions]
    known = differing = 0
    for row in range(len(ZIPS.codes)):
        inside = outlines.region_at(ZIPS.lats[row], ZIPS.lons[row])
        known += inside is not None
        differing += inside not in (None, regions[ZIPS.regions[row]])
    assert known > 40_000
    assert differing < 200


def test_uncertainty_follows_its_rules() -> None:
    for row, code in enumerate(ZIPS.codes):
        least = 1_000 if ZIPS.exact[row] else 15_000
        assert least <= ZIPS.uncertainties[row] <= 100_000, code
    assert all(1_000 <= metres <= 100_000 for metres in DISTRICTS.uncertainties)


@pytest.mark.parametrize("code", ["96301", "09012", "96940", "96960"])
def test_what_is_no_place_in_the_country_is_left_out(code: str) -> None:
    assert GAZETTEER.postal_codes.find(PostalCode("US", code)) is None


@pytest.mark.parametrize("code", ["JE1", "GY1", "IM1"])
def test_crown_dependencies_are_left_out(code: str) -> None:
    assert GAZETTEER.postal_codes.find(PostalCode("GB", code)) is None


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(33.6, -112.2), (51.6, -0.3), (64.0, -150.0), (-14.3, -170.7), (89.9, 10.0), (52.0, 179.99)],
)
def test_the_nearest_point_is_the_nearest(lat: float, lon: float) -> None:
    """Against geopy's great circle over every point."""
    lats, lons = np.frombuffer(DISTRICTS.lats), np.frombuffer(DISTRICTS.lons)
    extra_lats = np.array([89.95, 52.0, -14.3, 64.2, 33.0])
    extra_lons = np.array([-170.0, -179.99, -170.6, -149.0, -112.0])
    lats, lons = np.concatenate([lats, extra_lats]), np.concatenate([lons, extra_lons])
    order = np.argsort(lats)
    lats, lons = lats[order].copy(), lons[order].copy()
    at, metres = nearest_of(lat, lon, lats, lons, 200_000.0)
    true = [
        great_circle((lat, lon), point, radius=EARTH_RADIUS_M / 1000).meters
        for point in zip(lats, lons, strict=True)
    ]
    assert at == int(np.argmin(true))
    assert metres == pytest.approx(min(true), abs=0.01)
