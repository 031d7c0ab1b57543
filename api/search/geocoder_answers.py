"""What the answers of geocoding services say of their own precision.

Fields as the services document them: Nominatim's jsonv1 results (`addresstype`, `place_rank`,
`boundingbox`), Google's `types`, `geometry.location_type` and `geometry.viewport`, OpenCage's
`components._type` and `confidence`. Of other services only the point is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from api.search.place import Precision
from api.search.sphere import metres_between


class Sureness(NamedTuple):
    """How exactly an answer is to be taken."""

    precision: Precision
    uncertainty_m: int


LEAST_M: Final = 25
MOST_M: Final = 1_500_000
TYPICAL_M: Final[Mapping[Precision, int]] = {
    "exact": LEAST_M,
    "address": 100,
    "postal_unit": 200,
    "postal_area": 5_000,
    "city": 10_000,
    "state": 250_000,
}
# Nothing is known of the answer: better to call it vague than sure.
VAGUE: Precision = "city"
UNKNOWN: Final = Sureness(VAGUE, TYPICAL_M["city"])

_KINDS_OF: Final[Mapping[Precision, str]] = {
    "address": "house building house_number amenity healthcare office shop road street place"
    " premise subpremise street_address route intersection point_of_interest establishment",
    "postal_area": "postcode postal_code",
    "city": "city town village hamlet municipality suburb neighbourhood quarter borough"
    " city_district district county locality neighborhood sublocality sublocality_level_1"
    " postal_town administrative_area_level_2 administrative_area_level_3",
    "state": "state administrative_area_level_1 region",
}
_KINDS: Final[Mapping[str, Precision]] = {
    kind: precision for precision, kinds in _KINDS_OF.items() for kind in kinds.split()
}
# OpenCage: confidence 10 means within 0.25 km, down to 1 for 25 km or more.
_CONFIDENCE_M: Final = (50_000, 50_000, 25_000, 20_000, 15_000, 10_000, 7_500, 5_000, 1_000, 500,
                        250)  # fmt: skip
# Nominatim's address ranks: 26 and more are streets and houses, 16 settlements, 8 states.
_RANKS: Final[tuple[tuple[int, Precision], ...]] = (
    (26, "address"), (21, "postal_area"), (10, "city"), (5, "state"),
)  # fmt: skip


def sureness(raw: object) -> Sureness | None:
    """Precision and uncertainty of an answer, or None when it is a whole country or larger."""
    fields = _mapping(raw)
    if "geometry" in fields and "types" in fields:
        return _google(fields)
    if "components" in fields and "confidence" in fields:
        return _opencage(fields)
    if "boundingbox" in fields or "addresstype" in fields or "place_rank" in fields:
        return _nominatim(fields)
    return UNKNOWN


def _nominatim(fields: Mapping[str, Any]) -> Sureness | None:
    kind = str(fields.get("addresstype") or fields.get("type") or "")
    precision = _KINDS.get(kind) or _of_rank(fields.get("place_rank"))
    if kind == "country" or precision is None:
        return None if kind == "country" else UNKNOWN
    south, north, west, east = _numbers(fields.get("boundingbox"), 4) or [math.nan] * 4
    return Sureness(precision, _reach(south, west, north, east) or TYPICAL_M[precision])


def _of_rank(rank: object) -> Precision | None:
    if not isinstance(rank, int):
        return None
    return next((precision for least, precision in _RANKS if rank >= least), None)


def _google(fields: Mapping[str, Any]) -> Sureness | None:
    kinds = [str(kind) for kind in cast("list[object]", fields["types"])]
    precision: Precision | None = next((_KINDS[kind] for kind in kinds if kind in _KINDS), None)
    if precision is None:
        return None if "country" in kinds else UNKNOWN
    geometry = _mapping(fields["geometry"])
    if precision == "address" and geometry.get("location_type") == "ROOFTOP":
        return Sureness(precision, LEAST_M)
    viewport = _mapping(geometry.get("viewport"))
    low, high = _mapping(viewport.get("southwest")), _mapping(viewport.get("northeast"))
    corners = [low.get("lat"), low.get("lng"), high.get("lat"), high.get("lng")]
    reach = _reach(*(_numbers(corners, 4) or [math.nan] * 4))
    return Sureness(precision, reach or TYPICAL_M[precision])


def _opencage(fields: Mapping[str, Any]) -> Sureness | None:
    kind = str(_mapping(fields["components"]).get("_type") or "")
    if kind in {"country", "continent"}:
        return None
    confidence = fields["confidence"]
    known = isinstance(confidence, int) and 0 <= confidence < len(_CONFIDENCE_M)
    precision = _KINDS.get(kind, VAGUE)
    return Sureness(precision, _CONFIDENCE_M[confidence] if known else TYPICAL_M[precision])


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _numbers(values: object, count: int) -> list[float] | None:
    if not isinstance(values, list) or len(cast("list[object]", values)) != count:
        return None
    try:
        return [float(cast("str", value)) for value in cast("list[object]", values)]
    except (TypeError, ValueError):
        return None


def _reach(south: float, west: float, north: float, east: float) -> int | None:
    """Half the diagonal of a box in degrees, in metres; None for a box that is none."""
    corners = (south, west, north, east)
    if not all(map(math.isfinite, corners)) or max(abs(south), abs(north)) > 90:
        return None
    metres = metres_between(south, west, north, east) / 2
    return int(min(max(metres, LEAST_M), MOST_M))
