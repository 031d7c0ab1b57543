"""What can go wrong while a text is turned into a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.errors import FieldError, Problem

ACCEPTED_FORMS: Final = (
    "Use latitude,longitude in degrees, a US ZIP code, a UK postcode or postcode district, "
    'a place with its state such as "Phoenix, AZ", or the name of a state or nation.'
)


class UnknownPlace(Problem):
    """The text has a form that is understood, and nothing is known by that name or code.

    `extra["suggestions"]`, when present, lists labels of places with similar names.
    """

    status = 404
    slug = "unknown-place"
    title = "No such place is known"


class AmbiguousPlace(Problem):
    """Several places go by the name, none of them far more populous than the others.

    `extra["candidates"]`: objects with `label`, `near` (what to send instead), `lat`, `lon`,
    `state` and `population`, most populous first.
    """

    status = 400
    slug = "ambiguous-place"
    title = "Several places have this name"

    @classmethod
    def among(cls, candidates: Sequence[object]) -> AmbiguousPlace:
        return cls(
            "Several places have this name; send the `near` of one of the candidates.",
            errors=[FieldError(parameter="near", message="names more than one place")],
            extra={"candidates": list(candidates)},
        )


class CoordinatesSwapped(Problem):
    """Longitude seems to stand where latitude belongs."""

    status = 400
    slug = "coordinates-swapped"
    title = "Latitude and longitude look swapped"

    @classmethod
    def of_near(cls) -> CoordinatesSwapped:
        message = "latitude comes first, then longitude; these look swapped"
        return cls(
            "Latitude comes first, then longitude. The two numbers look swapped.",
            errors=[FieldError(parameter="near", message=message)],
        )


class GeocoderUnavailable(Problem):
    """The network geocoder did not answer, and the gazetteer does not know the place."""

    status = 503
    slug = "geocoder-unavailable"
    title = "The geocoding service does not answer"

    @classmethod
    def retry_after(cls, seconds: float) -> GeocoderUnavailable:
        return cls(
            "The geocoding service does not answer right now. " + ACCEPTED_FORMS,
            headers={"Retry-After": str(max(1, round(seconds)))},
        )
