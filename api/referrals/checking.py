"""A referral as sent, checked beyond its form, with every fault found at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict, replace

from api.directory import values
from api.directory.checking import Codes, invalid
from api.directory.values import CLOCK_SKEW, Unfit, repeated
from api.errors import FieldError
from api.referrals.document import Preferences, age_on
from api.referrals.schemas import (
    MatchesWrite,
    MatchPatientWrite,
    PatientWrite,
    PreferencesPatch,
    PreferencesWrite,
    ReferralWrite,
    ReferrerWrite,
    ScheduleWrite,
)

MILE_M: Final = 1609.344
OLDEST: Final = 130
FURTHEST_VISIT: Final = timedelta(days=3 * 366)
_EARLIEST_CONSENT: Final = 2000
_LENGTH = re.compile(r"([0-9.]+) ?(mi|km)")

T = TypeVar("T")
Asked = TypeVar("Asked", ReferralWrite, MatchesWrite)


class Clinics(Protocol):
    """The directory, as far as a referral may name its clinics."""

    def current(self, clinic_id: UUID) -> UUID | None:
        """The clinic itself, the one it was merged into, or None when there is none."""
        ...


class _Findings:
    def __init__(self, codes: Codes, clinics: Clinics, now: datetime) -> None:
        self.codes = codes
        self.clinics = clinics
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

    def known(self, pointer: str, kind: str, called: str, code: str) -> None:
        if code not in self.codes.codes(kind):
            self.add(pointer, f"must be a code of the catalogue of {called}")

    def end(self) -> None:
        """Raises InvalidBody when something was found."""
        if self.errors:
            raise invalid(self.errors)


def checked(body: Asked, codes: Codes, clinics: Clinics, now: datetime) -> Asked:
    """The referral in its stored form. Raises InvalidBody with every fault."""
    findings = _Findings(codes, clinics, now)
    changes: dict[str, Any] = {
        "patient": _patient(body.patient, findings),
        "preferences": _preferences(body.preferences, findings),
        "referrer": body.referrer and _referrer(body.referrer, findings),
    }
    for index, code in enumerate(body.conditions):
        findings.known(f"/conditions/{index}", "condition", "conditions", code)
    findings.without_repeats("/conditions", body.conditions)
    findings.without_repeats("/icd10", body.icd10)
    if isinstance(body, ReferralWrite):
        _consent(body, findings)
    findings.end()
    return replace(body, **changes)


def merged(
    before: Preferences, patch: PreferencesPatch, codes: Codes, clinics: Clinics, now: datetime
) -> Preferences:
    """The preferences with what was changed of them. Raises InvalidBody with every fault."""
    given = {name: value for name, value in asdict(patch).items() if value is not UNSET}
    whole = PreferencesWrite(**(asdict(before) | given))
    findings = _Findings(codes, clinics, now)
    stored = _preferences(whole, findings, looked_at=given.keys())
    findings.end()
    return Preferences(**asdict(stored))


def visit(body: ScheduleWrite, now: datetime) -> datetime:
    """When the first visit is. Raises InvalidBody."""
    if not now - CLOCK_SKEW <= body.at <= now + FURTHEST_VISIT:
        message = "must lie in the future, within three years"
        raise invalid([FieldError(pointer="/at", message=message)])
    return body.at


def metres(max_distance: str) -> float | None:
    """None for `any`."""
    found = _LENGTH.fullmatch(max_distance)
    if found is None:
        return None
    return float(found[1]) * (MILE_M if found[2] == "mi" else 1000.0)


def _patient(
    patient: PatientWrite | MatchPatientWrite, findings: _Findings
) -> PatientWrite | MatchPatientWrite:
    if patient.birth_date is not None:
        _birth_date(patient.birth_date, findings)
    if patient.state is not None and not any(
        patient.state in states for states in values.STATES.values()
    ):
        findings.add("/patient/state", "must be the ISO 3166-2 code of a US state or UK nation")
    if isinstance(patient, PatientWrite) and patient.phone is None and patient.email is None:
        findings.add("/patient/phone", "is needed, or email: the clinic must get in touch")
    return replace(
        patient,
        phone=patient.phone and findings.tried("/patient/phone", values.phone, patient.phone),
        email=patient.email and findings.tried("/patient/email", values.email, patient.email),
    )


def _birth_date(born: date, findings: _Findings) -> None:
    # A day of grace: somewhere it is tomorrow already.
    if born > findings.now.date() + timedelta(days=1):
        findings.add("/patient/birth_date", "must not lie in the future")
    elif age_on(born, findings.now.date()) > OLDEST:
        findings.add("/patient/birth_date", f"must be a date of the last {OLDEST} years")


def _preferences(
    asked: PreferencesWrite, findings: _Findings, looked_at: Set[str] | None = None
) -> PreferencesWrite:
    """`looked_at` are the fields to look at, all unless given: the catalogue and the directory may
    have lost what was right when it was stored."""

    def looks_at(name: str) -> bool:
        return looked_at is None or name in looked_at

    place = "/preferences"
    for name in ("routes", "settings"):
        findings.without_repeats(f"{place}/{name}", getattr(asked, name))
    if metres(asked.max_distance) == 0:
        findings.add(f"{place}/max_distance", "must be above zero, or any")
    if asked.payer is not None and looks_at("payer"):
        findings.known(f"{place}/payer", "payer", "payers", asked.payer)
    clinics = asked.clinics
    if looks_at("clinics"):
        clinics = [
            _clinic(f"{place}/clinics/{index}", each, findings)
            for index, each in enumerate(asked.clinics)
        ]
    exclude = asked.exclude
    if looks_at("exclude"):
        exclude = [
            _clinic(f"{place}/exclude/{index}", each, findings)
            for index, each in enumerate(asked.exclude)
        ]
    for index, each in enumerate(exclude):
        if each in clinics:
            findings.add(f"{place}/exclude/{index}", "is among the preferred clinics, too")
    return replace(
        asked,
        language=asked.language
        and findings.tried(f"{place}/language", values.language, asked.language),
        clinics=list(dict.fromkeys(clinics)),
        exclude=list(dict.fromkeys(exclude)),
    )


def _clinic(pointer: str, clinic_id: UUID, findings: _Findings) -> UUID:
    found = findings.clinics.current(clinic_id)
    if found is None:
        findings.add(pointer, "must be the id of a clinic in the directory")
        return clinic_id
    return found


def _referrer(referrer: ReferrerWrite, findings: _Findings) -> ReferrerWrite:
    stated = referrer.registration
    if stated is not None:
        stated = replace(
            stated,
            value=findings.tried(
                "/referrer/registration/value",
                partial(values.registration, stated.system),
                stated.value,
            ),
        )
    return replace(
        referrer,
        registration=stated,
        phone=referrer.phone and findings.tried("/referrer/phone", values.phone, referrer.phone),
        email=referrer.email and findings.tried("/referrer/email", values.email, referrer.email),
    )


def _consent(body: ReferralWrite, findings: _Findings) -> None:
    consent = body.consent
    if not consent.given:
        findings.add("/consent/given", "must be true: without consent no referral is sent")
    # A day of grace: forms are filled in with the wrong zone, and consent is no less given for it.
    if consent.at > findings.now + timedelta(days=1):
        findings.add("/consent/at", "must not lie in the future")
    elif consent.at.year < _EARLIEST_CONSENT:
        findings.add("/consent/at", f"must be a time after {_EARLIEST_CONSENT}")
    if consent.notify and body.patient.email is None:
        findings.add("/patient/email", "is needed to tell the patient of steps")
