"""The network geocoder against a server on a real socket that answers as Nominatim does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from api.clock import SystemClock
from api.search.errors import GeocoderUnavailable, UnknownPlace
from api.search.geocoder_answers import UNKNOWN, Sureness, sureness
from api.search.geocoding import (
    GeocoderMisconfigured,
    GeocodingFailed,
    NetworkGeocoder,
    NetworkOptions,
    build_geocoder,
)
from api.search.places import Places
from seeds.gazetteer.load import load_gazetteer
from tests.search.nominatim_server import NominatimServer, always, answering, result, slow

STREET = "100 E Example Rd, Phoenix, AZ 85016"
GAZETTEER = load_gazetteer()


class ShiftedClock(SystemClock):
    """The machine's clock, moved forward at will."""

    def __init__(self) -> None:
        self.shift = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


class Rig(NamedTuple):
    server: NominatimServer
    clock: ShiftedClock
    build: Callable[..., Places]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    built: list[NetworkGeocoder] = []
    clock = ShiftedClock()
    async with NominatimServer() as server:

        def build(**options: Any) -> Places:
            chosen: dict[str, Any] = {
                "url": server.url,
                "rate": 1000.0,
                "user_agent": "clinicway tests",
                **options,
            }
            network = build_geocoder(
                "nominatim",
                NetworkOptions(**chosen),
                state_at=GAZETTEER.state_at,
                clock=clock,
            )
            built.append(network)
            return Places(GAZETTEER, network)

        yield Rig(server, clock, build)
        for network in built:
            await network.aclose()


async def test_street_address_comes_from_the_service_with_its_precision(rig: Rig) -> None:
    place = await rig.build().find(STREET)
    assert (place.lat, place.lon) == (33.5101, -112.0317)
    assert (place.source, place.precision, place.state) == ("nominatim", "address", "US-AZ")
    assert place.uncertainty_m < 100
    assert rig.server.asked == [STREET]
    assert rig.server.paths == ["/geo/search"]
    assert rig.server.agents == ["clinicway tests"]


async def test_what_the_gazetteer_knows_is_never_sent(rig: Rig) -> None:
    places = rig.build()
    for text in ("85016", "S10 5UB", "Phoenix, AZ", "33.5,-112.0", "Arizona"):
        await places.find(text)
    assert rig.server.asked == []


async def test_equal_questions_are_sent_once(rig: Rig) -> None:
    places = rig.build()
    rig.server.behaviour = slow(0.05)
    at_once = await asyncio.gather(*(places.find(STREET) for _ in range(20)))
    later = await places.find(STREET.upper())
    assert {place.lat for place in (*at_once, later)} == {33.5101}
    assert len(rig.server.asked) == 1


async def test_answers_expire(rig: Rig) -> None:
    places = rig.build(cache_seconds=60, negative_cache_seconds=10)
    await places.find(STREET)
    rig.clock.shift = 59
    await places.find(STREET)
    assert len(rig.server.asked) == 1
    rig.clock.shift = 61
    await places.find(STREET)
    assert len(rig.server.asked) == 2


async def test_an_unknown_address_is_remembered_for_a_shorter_time(rig: Rig) -> None:
    places = rig.build(cache_seconds=60, negative_cache_seconds=10)
    rig.server.behaviour = answering([])
    for _ in range(3):
        with pytest.raises(UnknownPlace):
            await places.find(STREET)
    assert len(rig.server.asked) == 1
    rig.clock.shift = 11
    with pytest.raises(UnknownPlace):
        await places.find(STREET)
    assert len(rig.server.asked) == 2


async def test_the_cache_is_bounded(rig: Rig) -> None:
    places = rig.build(cache_size=2)
    for house in (1, 2, 3, 1):
        await places.find(f"{house} Example Rd, Phoenix")
    assert [asked[0] for asked in rig.server.asked] == ["1", "2", "3", "1"]


async def test_requests_keep_the_rate(rig: Rig) -> None:
    """At one request in 100 seconds the second is not sent, and is nobody's failure."""
    places = rig.build(rate=0.01, timeout=0.2, failures_to_pause=1)
    network = places.network
    assert network is not None
    assert await network.find("1 Example Rd") is not None
    for house in (2, 3):
        with pytest.raises(GeocodingFailed, match="no turn in time"):
            await network.find(f"{house} Example Rd")
    assert rig.server.asked == ["1 Example Rd"]


async def test_more_than_could_be_served_in_time_are_turned_away_at_once(rig: Rig) -> None:
    places = rig.build(rate=1.0, timeout=2.0)
    network = places.network
    assert network is not None
    asking = (network.find(f"{house} Example Rd") for house in range(30))
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(answer, GeocodingFailed) for answer in answers) >= 28
    assert len(rig.server.asked) <= 2


FAILURES = {
    "slow": slow(5.0),
    "500": always(500, "{}"),
    "503": always(503, "busy"),
    "403": always(403, "{}"),
    "429": always(429, "{}", Retry_After="7"),
    "malformed": always(200, '[{"lat": "33.5", '),
    "html": always(200, "<html>hello</html>"),
    "another form": answering({"features": 1}),
    "no coordinates": answering([{"display_name": "somewhere"}]),
    "NaN": answering(result(lat="NaN")),
    "infinite": answering(result(lon="1e999")),
    "beyond the pole": answering(result(lat="133.5")),
    "null": answering(result(lat=None)),
    "one coordinate": answering(result(lat="51.5", lon=None)),
    "null island": answering(result(lat="0", lon="0")),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_service_leaves_the_gazetteer(rig: Rig, failure: str) -> None:
    places = rig.build(timeout=0.2)
    rig.server.behaviour = FAILURES[failure]
    by_code = await places.find(STREET)
    assert (by_code.source, by_code.label) == ("gazetteer", "85016, Phoenix, AZ")
    assert by_code.precision == "postal_area"
    by_town = await places.find("100 E Example Rd, Phoenix, AZ")
    assert (by_town.source, by_town.precision) == ("gazetteer", "city")


@pytest.mark.parametrize(
    "text", ["10001 Main Example Rd", "100 Highway 90210", "10001 Main Rd, Rivendell, AZ 10001"]
)
async def test_a_house_or_road_number_is_not_taken_for_a_postal_code(rig: Rig, text: str) -> None:
    rig.server.behaviour = always(500, "{}")
    with pytest.raises(GeocoderUnavailable):
        await rig.build().find(text)


async def test_a_failing_service_and_nothing_known_is_a_503(rig: Rig) -> None:
    places = rig.build()
    rig.server.behaviour = always(500, "{}")
    with pytest.raises(GeocoderUnavailable) as caught:
        await places.find("100 Nowhere Known Rd")
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert "Nowhere" not in caught.value.detail


async def test_a_service_that_is_not_there(rig: Rig) -> None:
    places = rig.build(url="http://127.0.0.1:9/geo")
    assert (await places.find(STREET)).source == "gazetteer"


async def test_failures_in_a_row_pause_the_requests(rig: Rig) -> None:
    places = rig.build(failures_to_pause=3, pause_seconds=30)
    rig.server.behaviour = always(500, "{}")
    for house in range(10):
        await places.find(f"{house} Example Rd, Phoenix, AZ 85016")
    assert len(rig.server.asked) == 3
    rig.clock.shift = 31
    await places.find("11 Example Rd, Phoenix, AZ 85016")
    await places.find("12 Example Rd, Phoenix, AZ 85016")
    assert len(rig.server.asked) == 4
    rig.server.behaviour = answering(result())
    rig.clock.shift = 62
    for house in (13, 14):
        place = await places.find(f"{house} Example Rd, Phoenix, AZ 85016")
        assert place.source == "nominatim"


async def test_retry_after_is_honoured(rig: Rig) -> None:
    places = rig.build()
    rig.server.behaviour = always(429, "{}", Retry_After="120")
    await places.find(STREET)
    rig.clock.shift = 119
    await places.find(STREET)
    assert len(rig.server.asked) == 1
    rig.clock.shift = 121
    await places.find(STREET)
    assert len(rig.server.asked) == 2


@pytest.mark.parametrize(
    ("lat", "lon"), [("48.8566", "2.3522"), ("43.6532", "-79.3832"), ("1.5", "12")]
)
async def test_answers_outside_both_countries_are_refused(rig: Rig, lat: str, lon: str) -> None:
    rig.server.behaviour = answering(result(lat=lat, lon=lon))
    with pytest.raises(UnknownPlace):
        await rig.build().find(STREET)


async def test_a_whole_country_is_no_answer(rig: Rig) -> None:
    rig.server.behaviour = answering(result(addresstype="country", place_rank=4))
    with pytest.raises(UnknownPlace):
        await rig.build().find(STREET)


async def test_nothing_that_was_asked_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    places = rig.build()
    for behaviour in (*FAILURES.values(), answering(result())):
        if behaviour is not FAILURES["slow"]:
            rig.server.behaviour = behaviour
            rig.clock.shift += 10_000
            await places.find(STREET)
    logged = caplog.text
    assert "failed" in logged
    assert "Example" not in logged
    assert "85016" not in logged


async def test_a_caller_that_leaves_does_not_take_the_answer_along(rig: Rig) -> None:
    places = rig.build()
    rig.server.behaviour = slow(0.1)
    first = asyncio.create_task(places.find(STREET))
    second = asyncio.create_task(places.find(STREET))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).source == "nominatim"
    assert len(rig.server.asked) == 1


class Written(msgspec.Struct):
    """An address as a profile carries it."""

    line1: str | None = "100 E Example Rd"
    line2: str | None = "Suite 5"
    city: str | None = "Phoenix"
    state: str | None = "US-AZ"
    postal_code: str | None = "85016"
    country: str = "US"


async def test_a_profile_is_located_by_its_address(rig: Rig) -> None:
    place = await rig.build().locate(Written())
    assert place is not None
    assert (place.source, place.precision) == ("nominatim", "address")
    assert rig.server.asked == ["100 E Example Rd, Phoenix, AZ 85016, US"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        result(lat="40.75", lon="-73.99"),  # New York
        result(lat="32.22", lon="-110.97"),  # Tucson: the right state, 170 km off
        result(lat="51.5", lon="-0.13"),
    ],
)
async def test_an_answer_that_contradicts_the_address_is_not_taken(
    rig: Rig, elsewhere: object
) -> None:
    rig.server.behaviour = answering(elsewhere)
    place = await rig.build().locate(Written())
    assert place is not None
    assert (place.source, place.label) == ("gazetteer", "85016, Phoenix, AZ")


async def test_a_failure_while_locating_falls_back(rig: Rig) -> None:
    rig.server.behaviour = always(500, "{}")
    places = rig.build()
    by_code = await places.locate(Written())
    by_city = await places.locate(Written(postal_code=None))
    wrong_code = await places.locate(Written(postal_code="10001"))
    assert by_code is not None
    assert by_code.precision == "postal_area"
    for place in (by_city, wrong_code):
        assert place is not None
        assert (place.precision, place.label) == ("city", "Phoenix, AZ")
    assert await places.locate(Written(postal_code=None, city="Nowhere")) is None
    assert await places.locate(Written(postal_code="10001", city="Springfield")) is None


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("no-such-service", {}, "CLINICWAY_GEOCODER "),
        ("opencage", {}, "CLINICWAY_GEOCODER_KEY"),
        ("pelias", {}, "CLINICWAY_GEOCODER_URL"),
        ("nominatim", {"key": "secret-key"}, "CLINICWAY_GEOCODER_KEY"),
        ("nominatim", {"url": "ftp://maps.example"}, "CLINICWAY_GEOCODER_URL"),
    ],
)
def test_settings_that_cannot_work_are_named(
    name: str, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(GeocoderMisconfigured) as caught:
        build_geocoder(
            name, NetworkOptions(**options), state_at=GAZETTEER.state_at, clock=SystemClock()
        )
    assert named in str(caught.value) + " "
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nominatim", {"user_agent": "directory of example.org"}),
        ("google", {"key": "k"}),
        ("opencage", {"key": "k"}),
        ("azure", {"key": "k"}),
        ("photon", {"url": "https://photon.example"}),
        ("pelias", {"url": "https://pelias.example", "key": "k"}),
    ],
)
async def test_any_geopy_service_can_be_set(name: str, options: dict[str, Any]) -> None:
    network = build_geocoder(
        name, NetworkOptions(**options), state_at=GAZETTEER.state_at, clock=SystemClock()
    )
    assert network.name == name
    await network.aclose()


GOOGLE_VIEW = {
    "southwest": {"lat": 33.40, "lng": -112.10},
    "northeast": {"lat": 33.50, "lng": -112.00},
}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"addresstype": "postcode", "boundingbox": None}, Sureness("postal_area", 5_000)),
        ({"addresstype": "state"}, Sureness("state", 250_000)),
        ({"place_rank": 16, "type": "administrative"}, Sureness("city", 10_000)),
        ({"place_rank": 2}, UNKNOWN),
        (
            {"types": ["street_address"], "geometry": {"location_type": "ROOFTOP"}},
            Sureness("address", 25),
        ),
        (
            {"types": ["locality", "political"], "geometry": {"viewport": GOOGLE_VIEW}},
            Sureness("city", 7_240),
        ),
        ({"types": ["country", "political"], "geometry": {}}, None),
        ({"components": {"_type": "building"}, "confidence": 10}, Sureness("address", 250)),
        ({"components": {"_type": "city"}, "confidence": 7}, Sureness("city", 5_000)),
        ({"components": {"_type": "country"}, "confidence": 1}, None),
        ({"anything": "else"}, UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_services_say_how_sure_they_are(raw: object, expected: Sureness | None) -> None:
    assert sureness(raw) == expected
