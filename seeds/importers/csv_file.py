"""Our own table of clinics: one row a clinic, every field of a profile a column.

docs/importing.md is its description for people; a test compares the columns there with `COLUMNS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from seeds.importers.contacts import Contacts
from seeds.importers.fields import row_key, several, words
from seeds.importers.mapped import Mapped, PassedOver, profile_of
from seeds.importers.offerings import read_offerings
from seeds.importers.report import ImportOptions, Refused
from seeds.importers.table import Row

NAMED = "clinic table"
GROUP = "csv:"
REQUIRED = ("name", "city", "state")

# Column by the path in the profile that it fills.
COLUMNS: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "organization": "organization",
    "address.line1": "line1",
    "address.line2": "line2",
    "address.city": "city",
    "address.state": "state",
    "address.postal_code": "postal_code",
    "address.country": "country",
    "location.lat": "lat",
    "location.lon": "lon",
    "phone": "phone",
    "email": "email",
    "website": "website",
    "medical_director.name": "director_name",
    "medical_director.credential": "director_credential",
    "medical_director.specialty": "director_specialty",
    "medical_director.registration.system": "director_registration_system",
    "medical_director.registration.value": "director_registration",
    "offerings": "offerings",
    "accepting": "accepting",
    "wait_days": "wait_days",
    "weekly_capacity": "weekly_capacity",
    "payers": "payers",
    "languages": "languages",
    "age.min": "age_min",
    "age.max": "age_max",
    "assesses": "assesses",
    "hours": "hours",
    "telehealth": "telehealth",
    "rems_certified": "rems_certified",
    "programmes": "programmes",
    "source.name": "source_name",
    "source.url": "source_url",
    "source.retrieved_on": "source_retrieved_on",
    "source.licence": "source_licence",
    "unverified": "unverified",
    "verified_at": "verified_at",
}

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([a-z,-]+) +(\d\d:\d\d) ?- ?(\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class CsvReader:
    """Maps the rows of one file."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options

    def read(self, row: Row) -> Mapped | PassedOver:
        """Raises `Refused`."""
        state, country = _state(row)
        source = self._source(row)
        contacts = Contacts()
        fields: dict[str, object] = {
            "name": row.get("name"),
            "organization": row.get("organization") or None,
            "address": {
                "line1": row.get("line1") or None,
                "line2": row.get("line2") or None,
                "city": row.get("city"),
                "state": state,
                "postal_code": row.get("postal_code").upper() or None,
                "country": country,
            },
            "location": _location(row),
            "phone": contacts.phone("phone", row.get("phone"), country),
            "email": contacts.email("email", row.get("email")),
            "website": contacts.website("website", row.get("website")),
            "medical_director": _director(row),
            "offerings": read_offerings(row.get("offerings"), "offerings"),
            "accepting": row.get("accepting").lower() or "unknown",
            "wait_days": _whole(row, "wait_days"),
            "weekly_capacity": _whole(row, "weekly_capacity"),
            "payers": several(row.get("payers")),
            "languages": several(row.get("languages")),
            "age": _age(row),
            "assesses": several(row.get("assesses")),
            "hours": _hours(row.get("hours")),
            "telehealth": _yes_or_no(row, "telehealth"),
            "rems_certified": _yes_or_no(row, "rems_certified"),
            "programmes": several(row.get("programmes")),
            "source": source,
            "unverified": several(row.get("unverified")),
            "verified_at": row.get("verified_at") or None,
        }
        profile = profile_of(fields, COLUMNS)
        # The source is part of the key: two lists may number their clinics alike.
        prefix = f"{GROUP}{words(profile.source.name)}"
        given = row.get("id")
        key = (
            row_key(prefix, (given,))
            if given
            else row_key(
                prefix,
                (profile.name,),
                (row.get("line1"), row.get("line2")),
                (row.get("postal_code") or profile.address.city,),
            )
        )
        return Mapped(line=row.line, key=key, profile=profile, doubts=tuple(contacts.doubts))

    def _source(self, row: Row) -> dict[str, object]:
        name = row.get("source_name") or self._options.source_name
        if not name:
            raise Refused("source_name: is empty, and the import was not given a source either")
        when = row.get("source_retrieved_on")
        if when and not _DATE.fullmatch(when):
            raise Refused("source_retrieved_on: must be a date, such as 2026-11-22")
        if not when and self._options.retrieved_on is not None:
            when = self._options.retrieved_on.isoformat()
        return {
            "name": name,
            "url": row.get("source_url") or None,
            "retrieved_on": when or None,
            "licence": row.get("source_licence") or None,
        }


def _state(row: Row) -> tuple[str, str]:
    state = row.get("state").upper()
    country = row.get("country").upper() or (state[:2] if "-" in state else "")
    if not country:
        raise Refused("state: must be a state or nation such as US-AZ or GB-ENG")
    if "-" not in state:
        state = f"{country}-{state}"
    if not state.startswith(f"{country}-"):
        raise Refused("state: is not in the country that the row gives")
    return state, country


def _location(row: Row) -> dict[str, float] | None:
    lat, lon = _decimal(row, "lat"), _decimal(row, "lon")
    if lat is None and lon is None:
        return None
    if lat is None or lon is None:
        raise Refused("lat, lon: give both or neither")
    return {"lat": lat, "lon": lon}


def _director(row: Row) -> dict[str, object] | None:
    name = row.get("director_name")
    system, value = row.get("director_registration_system"), row.get("director_registration")
    rest = (row.get("director_credential"), row.get("director_specialty"), system, value)
    if not name:
        if any(rest):
            raise Refused("director_name: is empty while other columns say who directs")
        return None
    if bool(system) != bool(value):
        raise Refused("director_registration, director_registration_system: give both or neither")
    return {
        "name": name,
        "credential": rest[0] or None,
        "specialty": rest[1] or None,
        "registration": {"system": system.lower(), "value": value} if value else None,
    }


def _age(row: Row) -> dict[str, int | None] | None:
    low, high = _whole(row, "age_min"), _whole(row, "age_max")
    if low is None and high is None:
        return None
    return {"min": low, "max": high}


def _hours(text: str) -> list[dict[str, object]]:
    opening: list[dict[str, object]] = []
    for part in several(text.lower()):
        found = _HOURS.fullmatch(part)
        if found is None:
            raise Refused("hours: must be days with times, such as mon-fri 09:00-17:00")
        opening.append({"days": _days(found[1]), "opens": found[2], "closes": found[3]})
    return opening


def _days(text: str) -> list[str]:
    days: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            raise Refused("hours: days are mon tue wed thu fri sat sun, as mon,wed or mon-fri")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        span = range(begin, end + 1) if begin <= end else [*range(begin, 7), *range(end + 1)]
        days.extend(_DAYS[day] for day in span)
    if len(set(days)) != len(days):
        raise Refused("hours: a day is named twice for the same times")
    return days


def _whole(row: Row, column: str) -> int | None:
    text = row.get(column)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise Refused(f"{column}: must be a whole number")
    return int(text)


def _decimal(row: Row, column: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    if not re.fullmatch(r"[+-]?\d{1,3}(\.\d{1,20})?", text, re.ASCII):
        raise Refused(f"{column}: must be decimal degrees, such as 33.51 or -112.03")
    return float(text)


def _yes_or_no(row: Row, column: str) -> bool | None:
    match row.get(column).lower():
        case "":
            return None
        case "yes" | "true":
            return True
        case "no" | "false":
            return False
        case _:
            raise Refused(f"{column}: must be yes, no or empty")
