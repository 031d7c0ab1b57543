"""SAMHSA's facility directories: one row a facility, its services as codes of the code book.

The codes say how treatment can be paid for, for whom, in which languages, and which programmes
there are. They say of ketamine only that infusions are given, never for what: nothing is inferred.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import msgspec

from seeds.importers.contacts import Contacts
from seeds.importers.fields import row_key, words
from seeds.importers.mapped import Mapped, PassedOver, profile_of
from seeds.importers.report import ImportOptions, Refused
from seeds.importers.table import Row

NAMED = "SAMHSA facility directory"
GROUP = "samhsa:"
REQUIRED = (
    "name1", "name2", "street1", "street2", "city", "state", "zip", "phone", "service_code_info",
)  # fmt: skip
COLUMNS: Mapping[str, str] = {
    "name": "name1 and name2",
    "organization": "name1",
    "address.line1": "street1",
    "address.line2": "street2",
    "address.city": "city",
    "address.state": "state",
    "address.postal_code": "zip",
    "location.lat": "latitude",
    "location.lon": "longitude",
    "location": "latitude and longitude",
    "phone": "phone",
    "source": "source",
}
LICENCE = "public domain"

_ZIP = re.compile(r"(\d{5})(-?\d{4})?")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
# A first name line that ends so is cut in mid-phrase: the second one carries it on.
_GOES_ON = re.compile(r"(?:\b(?:at|of|for|and|the|in|by)|[-/&,])$", re.IGNORECASE)


class CodeBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is taken from the service codes; see samhsa_codes.toml."""

    payers: dict[str, str]
    ages: dict[str, list[int]]
    languages: dict[str, str]
    programmes: dict[str, str]
    treatments: dict[str, str]
    other: dict[str, str]

    def known(self) -> frozenset[str]:
        """Every code of the book."""
        known = {*self.payers, *self.ages, *self.languages, *self.programmes}
        known.update(self.treatments.values(), self.other["codes"].split())
        return frozenset(known)


def code_book() -> CodeBook:
    text = files("seeds.importers").joinpath("samhsa_codes.toml").read_text()
    return msgspec.convert(tomllib.loads(text), CodeBook)


def source_name(path: Path) -> str:
    """What the source is called when nobody says: the year is the one in the file's name."""
    years = _YEAR.findall(path.name)
    edition = f" {years[-1]}" if years else ""
    return f"SAMHSA, National Directory of Mental Health Treatment Facilities{edition}"


class SamhsaReader:
    """Maps the rows of one file. `called` is the source's name, as it stands on every profile."""

    def __init__(self, called: str, options: ImportOptions) -> None:
        self._book = code_book()
        self._known = self._book.known()
        self._keys: set[str] = set()
        self._options = options
        years = _YEAR.findall(called)
        when = f" in {years[-1]}" if years else ""
        self._reported = f"Reported to SAMHSA by the facility itself{when}; nobody has checked it."
        self._source = {
            "name": called,
            "licence": LICENCE,
            "retrieved_on": options.retrieved_on and options.retrieved_on.isoformat(),
        }

    def read(self, row: Row) -> Mapped | PassedOver:
        """Raises `Refused`."""
        codes = set(row.get("service_code_info").replace("*", " ").split())
        first, second = row.get("name1"), row.get("name2")
        zip_code = _zip_code(row.get("zip"))
        if not first:
            raise Refused("name1: is empty")
        key = row_key(
            "samhsa", (first, second), (row.get("street1"), row.get("street2")), (zip_code,)
        )
        if key in self._keys:
            # Two units of one organization at one address: nothing but the phone differs.
            key = f"{key}|{words(row.get('phone'))}"
        self._keys.add(key)
        if not codes.issuperset(self._options.services):
            return PassedOver(line=row.line, key=key)
        contacts = Contacts()
        unverified = [self._reported]
        number = contacts.phone("phone", row.get("phone"), "US")
        if contacts.extension is not None:
            unverified.append(f"Phone: ask for extension {contacts.extension}.")
        doubts = contacts.doubts
        if not codes <= self._known:
            doubts.append("service_code_info: has a code that is not in the code book")
        name, organization = _names(first, second)
        state = row.get("state").upper()
        location = _given_point(row)
        if location is None:
            unverified.append("The point is that of the ZIP code's area, not of the building.")
        fields: dict[str, object] = {
            "name": name,
            "organization": organization,
            "address": {
                "line1": row.get("street1") or None,
                "line2": row.get("street2") or None,
                "city": row.get("city"),
                "state": f"US-{state}",
                "postal_code": zip_code,
                "country": "US",
            },
            "location": location,
            "phone": number,
            "source": self._source,
            **self._services(codes, unverified),
        }
        fields["unverified"] = unverified
        return Mapped(
            line=row.line,
            key=key,
            profile=profile_of(fields, COLUMNS),
            doubts=tuple(doubts),
        )

    def _services(self, codes: set[str], unverified: list[str]) -> dict[str, object]:
        """The fields that the service codes fill; `unverified` gets what must be said of them."""
        book = self._book
        offerings: list[dict[str, object]] = []
        if book.treatments["ketamine_infusion"] in codes:
            offerings.append({"drug": "ketamine", "route": "iv", "setting": "clinic"})
            unverified.append("SAMHSA does not say for which conditions ketamine is given.")
        ages = [years for code, years in book.ages.items() if code in codes]
        if _has_gap(ages):
            unverified.append("Some age groups between the youngest and the oldest are not served.")
        return {
            "offerings": offerings,
            "payers": [payer for code, payer in book.payers.items() if code in codes],
            "languages": [tag for code, tag in book.languages.items() if code in codes],
            "programmes": [slug for code, slug in book.programmes.items() if code in codes],
            "age": _age(ages),
            # Not reported is not "no".
            "telehealth": True if book.treatments["telehealth"] in codes else None,
        }


def _zip_code(text: str) -> str:
    # Spreadsheets drop the leading zeros of New England.
    found = _ZIP.fullmatch(text.zfill(5) if text.isdigit() and len(text) in (3, 4) else text)
    if found is None:
        raise Refused("zip: must have five digits")
    return found[1]


def _names(first: str, second: str) -> tuple[str, str]:
    """The site's name and the organization's."""
    if not second:
        return first, first
    if _GOES_ON.search(first):
        whole = f"{first} {second}"
        return whole, whole
    return f"{first}, {second}", first


def _given_point(row: Row) -> dict[str, float] | None:
    """The point, if the file has one of the building. One of the ZIP code's area says nothing that
    the gazetteer does not say with its uncertainty."""
    lat, lon = row.get("latitude"), row.get("longitude")
    if not lat or not lon or row.get("geo_precision").startswith("zip"):
        return None
    try:
        return {"lat": float(lat), "lon": float(lon)}
    except ValueError:
        raise Refused("latitude and longitude: must be decimal degrees") from None


def _age(groups: list[list[int]]) -> dict[str, int | None] | None:
    if not groups:
        return None
    last = [years[1] if len(years) > 1 else None for years in groups]
    return {
        "min": min(years[0] for years in groups),
        "max": None if None in last else max(year for year in last if year is not None),
    }


def _has_gap(groups: list[list[int]]) -> bool:
    in_order = sorted(groups)
    return any(before[1] + 1 != after[0] for before, after in pairwise(in_order))
