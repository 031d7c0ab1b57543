"""A whole profile checked and put into its stored form, with every fault found at once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from api.directory import values
from api.directory.rules import broken_rules
from api.directory.schemas import (
    AddressWrite,
    AgeWrite,
    ClinicWrite,
    DirectorWrite,
    HoursWrite,
    OfferingWrite,
    SourceWrite,
)
from api.directory.values import Opening, Unfit, overlapping, repeated
from api.errors import FieldError, InvalidBody, RuleViolation

T = TypeVar("T")


class Codes(Protocol):
    """The catalogues, as far as a profile may name their codes."""

    def codes(self, kind: str) -> Set[str]:
        """The codes of a kind: `condition`, `payer`, `screening_flag`."""
        ...


class _Findings:
    """What is wrong with one profile, and what it is held against."""

    def __init__(self, codes: Codes, now: datetime) -> None:
        self.codes = codes
        self.now = now
        self.errors: list[FieldError] = []

    def add(self, pointer: str, message: str) -> None:
        self.errors.append(FieldError(pointer=pointer, message=message))

    def tried(self, pointer: str, check: Callable[[T], T], value: T) -> T:
        try:
            return check(value)
        except Unfit as unfit:
            self.add(pointer, unfit.message)
            return value

    def without_repeats(self, pointer: str, items: Sequence[object]) -> None:
        for index in repeated(items):
            self.add(f"{pointer}/{index}", "stands in the list twice; send it once")

    def known_codes(self, pointer: str, kind: str, called: str, codes: list[str]) -> list[str]:
        known = self.codes.codes(kind)
        for index, code in enumerate(codes):
            if code not in known:
                self.add(f"{pointer}/{index}", f"must be a code of the catalogue of {called}")
        self.without_repeats(pointer, codes)
        return codes


def checked(
    body: ClinicWrite, codes: Codes, now: datetime, fields: Set[str] | None = None
) -> ClinicWrite:
    """The profile in its stored form: phone in E.164, tags and postal codes in one spelling.

    `fields` are the top-level fields to look at, all unless given: what an earlier write stored
    has been looked at then. The rules are held against the whole in any case.
    Raises InvalidBody with every fault, or RuleViolation with every broken rule.
    """
    findings = _Findings(codes, now)
    stored = {
        name: check(getattr(body, name), findings)
        for name, check in _CHECKS.items()
        if (fields is None or name in fields) and getattr(body, name) is not None
    }
    if findings.errors:
        raise invalid(findings.errors)
    whole = replace(body, **stored)
    broken = broken_rules(whole)
    if broken:
        raise RuleViolation(
            "The profile breaks "
            + ("a rule: " if len(broken) == 1 else f"{len(broken)} rules, first: ")
            + broken[0].message,
            errors=[FieldError(pointer=each.pointer, message=each.message) for each in broken],
            extra={"rules": broken},
        )
    return whole


def invalid(errors: Sequence[FieldError]) -> InvalidBody:
    first = errors[0]
    return InvalidBody(
        f"The field '{first.pointer}' is not valid: {first.message}"
        + (f" ({len(errors)} faults in all)" if len(errors) > 1 else ""),
        errors=errors,
    )


def _trimmed(text: str, _findings: _Findings) -> str:
    return " ".join(text.split())


def _phone(text: str, findings: _Findings) -> str:
    return findings.tried("/phone", values.phone, text)


def _email(text: str, findings: _Findings) -> str:
    return findings.tried("/email", values.email, text)


def _website(text: str, findings: _Findings) -> str:
    return findings.tried("/website", values.website, text)


def _address(address: AddressWrite, findings: _Findings) -> AddressWrite:
    country = address.country
    findings.tried("/address/state", lambda code: values.state(country, code), address.state)
    code = address.postal_code
    return replace(
        address,
        city=_trimmed(address.city, findings),
        postal_code=code
        and findings.tried(
            "/address/postal_code", lambda text: values.postal_code(country, text), code
        ),
    )


def _director(director: DirectorWrite, findings: _Findings) -> DirectorWrite:
    stated = director.registration
    if stated is None:
        return director
    value = findings.tried(
        "/medical_director/registration/value",
        lambda text: values.registration(stated.system, text),
        stated.value,
    )
    return replace(director, registration=replace(stated, value=value))


def _offerings(offerings: list[OfferingWrite], findings: _Findings) -> list[OfferingWrite]:
    findings.without_repeats("/offerings", offerings)
    return [
        _offering(offering, f"/offerings/{index}", findings)
        for index, offering in enumerate(offerings)
    ]


def _offering(offering: OfferingWrite, pointer: str, findings: _Findings) -> OfferingWrite:
    findings.known_codes(f"{pointer}/conditions", "condition", "conditions", offering.conditions)
    for index, code in enumerate(offering.coverage):
        if not any(code in states for states in values.STATES.values()):
            findings.add(
                f"{pointer}/coverage/{index}",
                "must be the ISO 3166-2 code of a US state or UK nation, such as US-AZ",
            )
    findings.without_repeats(f"{pointer}/coverage", offering.coverage)
    price = offering.price
    return replace(offering, price=price and replace(price, amount=values.amount(price.amount)))


def _payers(codes: list[str], findings: _Findings) -> list[str]:
    return findings.known_codes("/payers", "payer", "payers", codes)


def _assesses(codes: list[str], findings: _Findings) -> list[str]:
    return findings.known_codes("/assesses", "screening_flag", "screening flags", codes)


def _languages(tags: list[str], findings: _Findings) -> list[str]:
    stored = [
        findings.tried(f"/languages/{index}", values.language, tag)
        for index, tag in enumerate(tags)
    ]
    findings.without_repeats("/languages", stored)
    return stored


def _age(age: AgeWrite, findings: _Findings) -> AgeWrite:
    if age.min is not None and age.max is not None and age.min > age.max:
        findings.add("/age/max", "must be at least the lowest age")
    return age


def _hours(hours: list[HoursWrite], findings: _Findings) -> list[HoursWrite]:
    openings: list[Opening] = []
    for row, opening in enumerate(hours):
        findings.without_repeats(f"/hours/{row}/days", opening.days)
        if opening.opens == opening.closes != "00:00":
            findings.add(
                f"/hours/{row}/closes",
                "must differ from the opening time; 00:00 to 00:00 is the whole day",
            )
            continue
        openings += [
            Opening(row, day, opening.opens, opening.closes) for day in dict.fromkeys(opening.days)
        ]
    for row in overlapping(openings):
        findings.add(f"/hours/{row}", "must not start while the clinic is open already")
    return hours


def _source(source: SourceWrite, findings: _Findings) -> SourceWrite:
    return replace(
        source, url=source.url and findings.tried("/source/url", values.website, source.url)
    )


def _programmes(codes: list[str], findings: _Findings) -> list[str]:
    findings.without_repeats("/programmes", codes)
    return codes


def _unverified(names: list[str], findings: _Findings) -> list[str]:
    findings.without_repeats("/unverified", names)
    return names


def _verified_at(moment: datetime, findings: _Findings) -> datetime:
    return findings.tried(
        "/verified_at", lambda each: values.verified_at(each, findings.now), moment
    )


# The names are the fields of ClinicWrite; what is not here has nothing to check beyond its type.
_CHECKS: Mapping[str, Callable[[Any, _Findings], Any]] = MappingProxyType(
    {
        "name": _trimmed,
        "organization": _trimmed,
        "address": _address,
        "phone": _phone,
        "email": _email,
        "website": _website,
        "medical_director": _director,
        "offerings": _offerings,
        "payers": _payers,
        "languages": _languages,
        "age": _age,
        "assesses": _assesses,
        "hours": _hours,
        "programmes": _programmes,
        "source": _source,
        "unverified": _unverified,
        "verified_at": _verified_at,
    }
)
