"""A point with what is known of it: how it was found, how sure it is, which state it is in."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

Precision = Literal["exact", "address", "postal_unit", "postal_area", "city", "state"]

COORDINATES: Final = "coordinates"
GAZETTEER: Final = "gazetteer"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Degrees on WGS 84; `uncertainty_m` is how far the true point may well be from this one.

    `source` is "coordinates", "gazetteer" or the name of the geocoding service; `country` is
    "US" or "GB", `state` an ISO 3166-2 code; both are None for a point outside the two.
    """

    lat: float
    lon: float
    label: str
    source: str
    precision: Precision
    uncertainty_m: int
    country: str | None
    state: str | None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A place of the gazetteer, offered for choosing. Sending `near` back means this one only."""

    label: str
    near: str
    lat: float
    lon: float
    precision: Precision
    uncertainty_m: int
    country: str
    state: str
    population: int | None = None
    timezone: str | None = None

    def place(self) -> Place:
        return Place(
            lat=self.lat,
            lon=self.lon,
            label=self.label,
            source=GAZETTEER,
            precision=self.precision,
            uncertainty_m=self.uncertainty_m,
            country=self.country,
            state=self.state,
        )


class Address(Protocol):
    """A postal address as profiles carry it; `state` is ISO 3166-2, `country` "US" or "GB"."""

    @property
    def line1(self) -> str | None: ...
    @property
    def line2(self) -> str | None: ...
    @property
    def city(self) -> str | None: ...
    @property
    def state(self) -> str | None: ...
    @property
    def postal_code(self) -> str | None: ...
    @property
    def country(self) -> str: ...
