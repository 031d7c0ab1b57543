"""What form a text has: two numbers, a postal code, a name. Pure; nothing is looked up here."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final, NamedTuple

from api.errors import InvalidParameter
from api.search.errors import CoordinatesSwapped

MOST_CHARACTERS: Final = 200

# Controls, formats, surrogates, private use, unassigned, line breaks, enclosing marks, symbols:
# no place name has them, and emoji are made of them.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me", "So"})

_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?)"
_NUMBERS: Final = re.compile(rf"(?:{_NUMBER})(?:\s*,\s*(?:{_NUMBER}))+", re.ASCII | re.IGNORECASE)
# Without a comma only numbers with a point are coordinates: "85016 1234" is a ZIP+4.
_SPACED: Final = re.compile(r"([+-]?\d+\.\d+)\s+([+-]?\d+\.\d+)", re.ASCII)

_ZIP: Final = re.compile(r"(\d{5})(?:[ -]?\d{4})?", re.ASCII)
_UK_POSTCODE: Final = re.compile(r"([a-z]{1,2}\d[a-z\d]?)\s*(\d[a-z]{2})", re.ASCII | re.IGNORECASE)
_UK_DISTRICT: Final = re.compile(r"([a-z]{1,2}\d[a-z\d]?)(?:\s+\d)?", re.ASCII | re.IGNORECASE)
_POSTAL: Final = r"\d{5}(?:-\d{4})?|[a-z]{1,2}\d[a-z\d]?(?:\s*\d[a-z]{2})?"
_NAME_POSTAL: Final = re.compile(
    rf"(?P<rest>.*\S)[\s,]+(?P<postal>{_POSTAL})", re.ASCII | re.IGNORECASE
)
_POSTAL_NAME: Final = re.compile(
    rf"(?P<postal>{_POSTAL})[\s,]+(?P<rest>\S.*)", re.ASCII | re.IGNORECASE
)
_COUNTRY: Final = re.compile(
    r"[\s,]+(?:usa|u\.s\.a\.?|united states(?: of america)?|uk|u\.k\.?|united kingdom)$",
    re.ASCII | re.IGNORECASE,
)
_APOSTROPHES: Final = re.compile(r"['’‘`´ʻ.]")
_NOT_WORD: Final = re.compile(r"[^\w]+|_+")
_WRITTEN_OUT: Final = {"st": "saint", "ft": "fort", "mt": "mount", "ste": "sainte"}


class PostalCode(NamedTuple):
    """`area` is a ZIP code or UK district; `unit` the three characters that follow a district."""

    country: str
    area: str
    unit: str | None = None


def checked(text: str, parameter: str = "near") -> str:
    """The text without outer blanks.

    Raises InvalidParameter when it is empty, too long, or holds characters that no place has.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidParameter.named(parameter, f"at most {MOST_CHARACTERS} characters are taken")
    trimmed = text.strip(" ")
    if not trimmed:
        raise InvalidParameter.named(parameter, "it is empty")
    if trimmed.isascii() and trimmed.isprintable():
        return trimmed
    if any(
        unicodedata.category(character) in _REFUSED_CATEGORIES or character == "\ufe0f"
        for character in trimmed
    ):
        raise InvalidParameter.named(parameter, "it has control characters or symbols")
    return trimmed


def coordinates(text: str) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, or None when the text is not a list of numbers.

    Raises InvalidParameter when the numbers are no point on Earth, CoordinatesSwapped when they
    are one the other way round.
    """
    if _NUMBERS.fullmatch(text):
        parts = text.split(",")
    elif spaced := _SPACED.fullmatch(text):
        parts = list(spaced.groups())
    else:
        return None
    if len(parts) != 2:
        raise InvalidParameter.named("near", "coordinates are two numbers: latitude,longitude")
    lat, lon = float(parts[0]), float(parts[1])
    if not (math.isfinite(lat) and math.isfinite(lon)):
        raise InvalidParameter.named("near", "coordinates must be finite numbers")
    if abs(lat) > 90:
        if abs(lon) <= 90 and abs(lat) <= 180:
            raise CoordinatesSwapped.of_near()
        raise InvalidParameter.named("near", "latitude is between -90 and 90 degrees")
    if abs(lon) > 180:
        raise InvalidParameter.named("near", "longitude is between -180 and 180 degrees")
    return lat, lon


def postal_code(text: str) -> PostalCode | None:
    """A US ZIP code (ZIP+4 too), a UK postcode or a UK postcode district, by its form alone."""
    if zip_code := _ZIP.fullmatch(text):
        return PostalCode("US", zip_code[1])
    if postcode := _UK_POSTCODE.fullmatch(text):
        return PostalCode("GB", postcode[1].upper(), postcode[2].upper())
    if district := _UK_DISTRICT.fullmatch(text):
        return PostalCode("GB", district[1].upper())
    return None


def trailing_postal_code(text: str) -> tuple[str, PostalCode] | None:
    """The postal code at the end, before the country if that is named, and what precedes it:
    "Phoenix, AZ 85016, USA" gives "Phoenix, AZ" and 85016."""
    found = _NAME_POSTAL.fullmatch(text) or _NAME_POSTAL.fullmatch(_COUNTRY.sub("", text))
    return _parted(found)


def leading_postal_code(text: str) -> tuple[str, PostalCode] | None:
    """What follows a postal code, and the code: "85016, Phoenix" gives "Phoenix" and 85016."""
    return _parted(_POSTAL_NAME.fullmatch(text))


def _parted(found: re.Match[str] | None) -> tuple[str, PostalCode] | None:
    if found is None:
        return None
    postal = postal_code(found["postal"])
    return None if postal is None else (found["rest"], postal)


def looks_like_street(text: str) -> bool:
    """Whether there are digits and letters before a postal code: a house number and a street."""
    trailing = trailing_postal_code(text)
    rest = trailing[0] if trailing else text
    return any(map(str.isdigit, rest)) and any(map(str.isalpha, rest))


def fold(text: str) -> str:
    """The form in which texts are compared: lower case, no accents, words parted by one space."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(_NOT_WORD.sub(" ", _APOSTROPHES.sub("", text.casefold())).split())


def written_out(key: str) -> str:
    """A folded name with "st", "ft" and "mt" in full. Only for names of towns: the state of
    Billings, MT is no mount."""
    return " ".join(_WRITTEN_OUT.get(word, word) for word in key.split(" "))
