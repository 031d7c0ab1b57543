"""Checks of single values, each giving the value back in its one stored form. Pure.

Every function raises `Unfit` when the value cannot be kept. Its message says what would be right,
as the end of a sentence that starts with the field, and never repeats the value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import phonenumbers

from api.directory.languages import SHORT_CODES

_US_CODES = """
AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY
NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI
"""
US_STATES: Final = frozenset(f"US-{code}" for code in _US_CODES.split())
UK_NATIONS: Final = frozenset({"GB-ENG", "GB-NIR", "GB-SCT", "GB-WLS"})
STATES: Final = {"US": US_STATES, "GB": UK_NATIONS}

CLOCK_SKEW: Final = timedelta(minutes=1)
"""How far ahead of ours the clock of an honest caller may run."""

_EARLIEST: Final = 2000
_MINUTES_A_DAY: Final = 24 * 60
_MINUTES_A_WEEK: Final = 7 * _MINUTES_A_DAY
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# A name ends in a label that has a letter; 127.1 and 0x7f000001 are addresses in disguise.
_LAST_LABEL = re.compile(r"(?!0x)[a-z0-9-]*[a-z][a-z0-9-]*")
_INWARD_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa")

_ZIP = re.compile(r"\d{5}(-\d{4})?")
_UK_DISTRICT = r"(?:[A-Z]{1,2}\d[A-Z\d]?|GIR)"
_UK_POSTCODE = re.compile(rf"({_UK_DISTRICT})(?:\s*(\d[ABD-HJLNP-UW-Z]{{2}}))?")

# RFC 5646 section 2.1, without the tags that are kept only for history and without private ones.
_LANGUAGE = re.compile(
    r"(?P<language>[a-z]{2,3})(?P<extended>(?:-[a-z]{3}){0,3})(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|\d{3}))?(?P<variants>(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*)"
    r"(?P<extensions>(?:-[a-wy-z\d](?:-[a-z\d]{2,8})+)*)(?P<private>(?:-x(?:-[a-z\d]{1,8})+)?)",
    re.IGNORECASE,
)


class Unfit(ValueError):
    """A value that cannot be kept, with what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def phone(text: str) -> str:
    """E.164, of a length and an area that its country's numbering plan has."""
    message = (
        "must be a telephone number in international form that its country's numbering plan "
        "has, such as +16025550100"
    )
    if not re.fullmatch(r"\+[\d ().-]{6,25}", text, re.ASCII):
        raise Unfit(message)
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise Unfit(message) from None
    if not phonenumbers.is_valid_number(number):
        raise Unfit(message)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email(text: str) -> str:
    """The form of an address; whether anybody reads it is not known."""
    local, _, domain = text.rpartition("@")
    if not 1 <= len(local) <= 64 or not _EMAIL_LOCAL.fullmatch(local):
        raise Unfit("must be an e-mail address, such as intake@clinic.example")
    return f"{local}@{_public_name(domain, 'must be an e-mail address with a public domain')}"


def website(text: str) -> str:
    """An http or https URL on a host that anybody on the internet could reach."""
    message = "must be an http or https URL with a public host, such as https://clinic.example/"
    if re.search(r"[\s\\<>\"{}|^`]", text):
        raise Unfit(message)
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise Unfit(message) from None
    if parts.scheme.lower() not in ("http", "https") or not host or port == 0:
        raise Unfit(message)
    if parts.username is not None or parts.password is not None:
        raise Unfit("must be a URL without a user name or password")
    host = _public_host(host, message)
    netloc = host if port is None else f"{host}:{port}"
    return parts._replace(scheme=parts.scheme.lower(), netloc=netloc).geturl()


def _public_host(host: str, message: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _public_name(host, message)
    if not address.is_global or address.is_multicast:
        raise Unfit(message)
    return f"[{address}]" if address.version == 6 else str(address)


def _public_name(host: str, message: str) -> str:
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise Unfit(message) from None
    labels = name.split(".")
    if (
        len(labels) < 2
        or len(name) > 253
        or not all(_HOST_LABEL.fullmatch(label) for label in labels)
        or not _LAST_LABEL.fullmatch(labels[-1])
        or any(name == inward or name.endswith("." + inward) for inward in _INWARD_NAMES)
    ):
        raise Unfit(message)
    return name


def npi(text: str) -> str:
    """A US National Provider Identifier: ten digits, the last one a check digit.

    The check is Luhn's over the number with 80840 in front of it, the prefix of US health
    identifiers (CMS, "Requirements for NPI check digit").
    """
    message = "must be an NPI: ten digits that start with 1 or 2 and have the right check digit"
    if not re.fullmatch(r"[12]\d{9}", text, re.ASCII) or not _luhn("80840" + text):
        raise Unfit(message)
    return text


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        worth = int(digit) * (2 if position % 2 else 1)
        total += worth - 9 if worth > 9 else worth
    return total % 10 == 0


def gmc(text: str) -> str:
    """A UK General Medical Council reference number. It has no check digit."""
    if not re.fullmatch(r"\d{7}", text, re.ASCII):
        raise Unfit("must be a GMC reference number: seven digits")
    return text


def registration(system: str, text: str) -> str:
    match system:
        case "npi":
            return npi(text)
        case "gmc":
            return gmc(text)
        case _:
            return text.upper()


def language(text: str) -> str:
    """A well-formed BCP 47 tag, in the case of RFC 5646 section 2.1.1 and with the short code."""
    found = _LANGUAGE.fullmatch(text)
    if found is None:
        raise Unfit("must be a BCP 47 language tag, such as en, es, zh-Hant or pt-BR")
    code = found["language"].lower()
    parts = [SHORT_CODES.get(code, code) + found["extended"].lower()]
    if found["script"]:
        parts.append(found["script"].title())
    if found["region"]:
        parts.append(found["region"].upper())
    rest = found["variants"] + found["extensions"] + found["private"]
    return "-".join(parts) + rest.lower()


def postal_code(country: str, text: str) -> str:
    if country == "US":
        if not _ZIP.fullmatch(text):
            raise Unfit("must be a ZIP code of five digits, or ZIP+4, such as 85016 or 85016-1234")
        return text
    found = _UK_POSTCODE.fullmatch(text.strip().upper())
    if found is None:
        raise Unfit("must be a UK postcode or postcode district, such as SW1A 1AA or SW1A")
    return f"{found[1]} {found[2]}" if found[2] else found[1]


def state(country: str, code: str) -> str:
    if code not in STATES[country]:
        right = "US-AZ" if country == "US" else ", ".join(sorted(UK_NATIONS))
        kind = "a state or territory of the US" if country == "US" else "a nation of the UK"
        raise Unfit(f"must be the ISO 3166-2 code of {kind}, such as {right}")
    return code


def amount(text: str) -> str:
    return f"{Decimal(text):.2f}"


def verified_at(moment: datetime, now: datetime) -> datetime:
    if moment.tzinfo is None:
        raise Unfit("must be a date and time with its offset, such as 2026-11-22T09:00:00Z")
    if moment.year < _EARLIEST:
        raise Unfit(f"must be a time after {_EARLIEST}")
    if moment > now + CLOCK_SKEW:
        raise Unfit("must not be in the future")
    return min(moment, now)


class Opening:
    """Minutes of the week from Monday 00:00, of one row of opening hours on one of its days."""

    __slots__ = ("end", "row", "start")

    def __init__(self, row: int, day: str, opens: str, closes: str) -> None:
        begin, end = _minute(opens), _minute(closes)
        self.row = row
        self.start = WEEKDAYS.index(day) * _MINUTES_A_DAY + begin
        self.end = self.start + (end - begin if end > begin else end - begin + _MINUTES_A_DAY)


def _minute(time_of_day: str) -> int:
    return int(time_of_day[:2]) * 60 + int(time_of_day[3:])


def overlapping(openings: Sequence[Opening]) -> list[int]:
    """The rows that start while another one is still open, Sunday night into Monday included."""
    inside: set[int] = set()
    ordered = sorted(openings, key=lambda opening: opening.start)
    reach = max((opening.end for opening in ordered), default=0) - _MINUTES_A_WEEK
    for opening in ordered:
        if opening.start < reach:
            inside.add(opening.row)
        reach = max(reach, opening.end)
    return sorted(inside)


def repeated(items: Sequence[object]) -> list[int]:
    """Positions of the items that stand in the list before already."""
    return [index for index, item in enumerate(items) if item in items[:index]]
