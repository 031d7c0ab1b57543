"""Turns what a person types after `near=`, or a clinic's address, into a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.errors import FieldError
from api.search.errors import (
    ACCEPTED_FORMS,
    AmbiguousPlace,
    CoordinatesSwapped,
    GeocoderUnavailable,
    UnknownPlace,
)
from api.search.gazetteer import Gazetteer
from api.search.geocoding import GeocodingFailed, NetworkGeocoder
from api.search.place import COORDINATES, Address, Candidate, Place
from api.search.place_text import (
    checked,
    coordinates,
    looks_like_street,
    postal_code,
    trailing_postal_code,
)
from api.search.sphere import metres_between

__all__ = ["Candidate", "Place", "Places"]

MOST_SUGGESTIONS: Final = 5
# An answer for an address that is farther than this from its postal area is another address.
STRAY_M: Final = 50_000


class Places:
    """The gazetteer first, since it answers at once and tells nobody; then the network, if any."""

    def __init__(self, gazetteer: Gazetteer, network: NetworkGeocoder | None = None) -> None:
        self.gazetteer = gazetteer
        self.network = network

    def find_local(self, text: str) -> Place | None:
        """The point for coordinates, a postal code or a name; None when it is not known here.

        Raises InvalidParameter, CoordinatesSwapped and AmbiguousPlace.
        """
        trimmed = checked(text)
        point = coordinates(trimmed)
        if point is not None:
            return self._at(*point)
        found = self.gazetteer.candidates(trimmed)
        if len(found) > 1:
            raise AmbiguousPlace.among(found)
        return found[0].place() if found else None

    async def find(self, text: str) -> Place:
        """The point for a text; street addresses too when a network geocoder is set up.

        Raises what `find_local` raises, UnknownPlace, and GeocoderUnavailable when the service
        fails and the gazetteer knows no part of the text.
        """
        place = self.find_local(text)
        if place is not None:
            return place
        if self.network is None:
            raise self._unknown(text)
        try:
            answer = await self.network.find(checked(text))
        except GeocodingFailed as failure:
            fallback = self._fallback(text)
            if fallback is None:
                raise GeocoderUnavailable.retry_after(failure.retry_after) from failure
            return fallback
        if answer is None:
            raise self._unknown(text)
        return answer

    async def locate(self, address: Address) -> Place | None:
        """The point of a clinic's address: from the network, else its postal area, else its city.

        None when none of them is known, or when all of them contradict the address. An answer
        of the network outside the stated state, or far from the postal area, is not taken.
        """
        postal = self._postal_of(address)
        if self.network is not None and address.line1:
            try:
                answer = await self.network.find(_one_line(address))
            except GeocodingFailed:
                answer = None
            if answer is not None and _fits(answer, address, postal):
                return answer
        return postal or self._city_of(address)

    def suggest(self, prefix: str, limit: int) -> list[Candidate]:
        """Places whose code or name begins so, most populous first, for a type-ahead.

        Raises InvalidParameter (parameter `q`).
        """
        return self.gazetteer.suggest(checked(prefix, "q"), limit)

    def state_at(self, lat: float, lon: float) -> str | None:
        """ISO 3166-2 code of the state or nation at a point; None outside the two countries."""
        return self.gazetteer.state_at(lat, lon)

    def postal_point(self, country: str, postal_code_text: str) -> Place | None:
        """The point of a postal code, in any of the forms in which it is written."""
        code = postal_code(postal_code_text.strip())
        if code is None or code.country != country:
            return None
        found = self.gazetteer.postal_codes.find(code)
        return found.place() if found else None

    def _at(self, lat: float, lon: float) -> Place:
        state = self.state_at(lat, lon)
        if state is None and abs(lon) <= 90 and self.state_at(lon, lat) is not None:
            raise CoordinatesSwapped.of_near()
        return Place(
            lat=lat,
            lon=lon,
            label=f"{lat:.5f}, {lon:.5f}",
            source=COORDINATES,
            precision="exact",
            uncertainty_m=0,
            country=state[:2] if state else None,
            state=state,
        )

    def _unknown(self, text: str) -> UnknownPlace:
        trimmed = checked(text)
        if postal_code(trimmed):
            return _unknown("This postal code is not known.", [])
        if looks_like_street(trimmed):
            what = "This address is not known." if self.network else "No address is looked up here."
            return _unknown(what, [])
        similar = self.gazetteer.names.similar(trimmed, MOST_SUGGESTIONS)
        return _unknown("No place of this name is known.", similar)

    def _fallback(self, text: str) -> Place | None:
        """What the gazetteer knows of a part of an address: its postal code, else its town."""
        trimmed = checked(text)
        if trailing := trailing_postal_code(trimmed):
            before, code = trailing
            found = self.gazetteer.postal_codes.find(code)
            # A number at the end may belong to a road; its town or state must say the same.
            town = before.rpartition(",")[2]
            if found and (code.unit or self.gazetteer.names.is_in(town, found.state)):
                return found.place()
        _, _, after_street = trimmed.partition(",")
        named = self.gazetteer.names.find(after_street)
        return named[0].place() if len(named) == 1 else None

    def _postal_of(self, address: Address) -> Place | None:
        if not address.postal_code:
            return None
        place = self.postal_point(address.country, address.postal_code)
        agrees = place is not None and address.state in (None, place.state)
        return place if agrees else None

    def _city_of(self, address: Address) -> Place | None:
        if not address.city:
            return None
        scope = address.state or address.country
        named = self.gazetteer.names.find(f"{address.city}, {scope}")
        sure = len(named) == 1 and named[0].precision == "city"
        return named[0].place() if sure else None


def _unknown(what: str, similar: Sequence[Candidate]) -> UnknownPlace:
    return UnknownPlace(
        f"{what} {ACCEPTED_FORMS}",
        errors=[FieldError(parameter="near", message="names no place that is known")],
        extra={"suggestions": list(similar)} if similar else {},
    )


def _one_line(address: Address) -> str:
    state = (address.state or "").partition("-")[2] if address.country == "US" else ""
    region = " ".join(part for part in (state, address.postal_code) if part)
    parts = (address.line1, address.city, region, address.country)
    return ", ".join(part for part in parts if part)


def _fits(answer: Place, address: Address, postal: Place | None) -> bool:
    if answer.country != address.country or address.state not in (None, answer.state):
        return False
    if postal is None:
        return True
    stray = metres_between(answer.lat, answer.lon, postal.lat, postal.lon)
    return stray <= max(STRAY_M, 2 * postal.uncertainty_m)
