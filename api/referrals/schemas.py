"""What is sent about referrals and offers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.directory.fields import LanguageTag, Prose, Slug, StateCode, Text
from db.states import DeclineReason, ReferralMode, Route, Setting, Urgency

_ENDS: Final = r"$(?!\n)"

PhoneText = Annotated[
    str,
    Meta(
        min_length=5,
        max_length=30,
        description="In international form",
        examples=["+16025550100"],
        extra={"right": "a telephone number in international form, such as +16025550100"},
    ),
]
EmailText = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        examples=["patient@mail.example"],
        extra={"right": "an e-mail address, such as patient@mail.example"},
    ),
]
Near = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="Where the patient lives, as in a search: a postal code, a place, or "
        "latitude,longitude. It is looked up in this service and sent to no other",
        examples=["85016"],
        extra={"right": "a postal code, a place, or latitude,longitude, of at most 200 characters"},
    ),
]
Icd10Code = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{{1,4}})?{_ENDS}",
        examples=["G90.50"],
        extra={"right": "an ICD-10 code such as G90.50"},
    ),
]
MaxDistance = Annotated[
    str,
    Meta(
        pattern=rf"^(any|[0-9]{{1,5}}(\.[0-9]{{1,3}})? ?(mi|km)){_ENDS}",
        examples=["50mi"],
        extra={"right": "a distance above zero such as 50mi or 40km, or any"},
    ),
]
ClinicIds = Annotated[list[UUID], Meta(max_length=50)]
Moment = Annotated[datetime, Meta(tz=True)]


class _Written(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Part of a body: a field that is not known is an error, since it would be lost."""


class PatientWrite(_Written, frozen=True):
    """Who is referred. At least one of `phone` and `email`, so that a clinic can get in touch."""

    given_name: Text
    family_name: Text
    birth_date: date
    near: Near
    phone: PhoneText | None = None
    email: EmailText | None = None
    state: (
        Annotated[StateCode, Meta(description="Where care at home would be; else that of `near`")]
        | None
    ) = None


class ScreeningWrite(_Written, frozen=True):
    """All eight are to be answered: silence is not no."""

    uncontrolled_hypertension: bool
    unstable_heart_disease: bool
    active_psychosis: bool
    pregnancy: bool
    breastfeeding: bool
    severe_liver_disease: bool
    substance_use_history: bool
    immediate_suicide_risk: bool


class PreferencesWrite(_Written, frozen=True):
    """What the patient asks for. What is left out, or empty, asks for nothing."""

    routes: Annotated[list[Route], Meta(max_length=6)] = []
    settings: Annotated[list[Setting], Meta(max_length=2)] = []
    max_distance: MaxDistance = "50mi"
    payer: Slug | None = None
    language: LanguageTag | None = None
    clinics: Annotated[ClinicIds, Meta(description="Clinics to ask before all others")] = []
    exclude: Annotated[ClinicIds, Meta(description="Clinics not to ask")] = []


class ConsentWrite(_Written, frozen=True):
    """The patient's consent to be referred, which nothing is sent without."""

    given: bool
    at: Moment
    notify: Annotated[
        bool, Meta(description="Whether the patient is told of steps by e-mail, with a link")
    ] = False


class ReferrerRegistrationWrite(_Written, frozen=True):
    system: Annotated[
        str,
        Meta(pattern=rf"^(npi|gmc){_ENDS}", examples=["npi"], extra={"right": "either npi or gmc"}),
    ]
    value: Annotated[str, Meta(min_length=1, max_length=20)]


class ReferrerWrite(_Written, frozen=True):
    """Who refers, as the clinic is to see it."""

    name: Text
    registration: ReferrerRegistrationWrite | None = None
    organization: Text | None = None
    phone: PhoneText | None = None
    email: EmailText | None = None


Conditions = Annotated[
    list[Slug],
    Meta(min_length=1, max_length=20, description="Codes of /v1/conditions; all are to be treated"),
]
Icd10Codes = Annotated[list[Icd10Code], Meta(max_length=20)]
Texts = Annotated[list[Text], Meta(max_length=50)]


class ReferralWrite(_Written, frozen=True):
    """A referral as a physician sends it."""

    patient: PatientWrite
    conditions: Conditions
    screening: ScreeningWrite
    consent: ConsentWrite
    icd10: Icd10Codes = []
    reason: Prose | None = None
    prior_treatments: Texts = []
    medications: Texts = []
    preferences: PreferencesWrite = PreferencesWrite()
    urgency: Urgency = Urgency.ROUTINE
    mode: ReferralMode = ReferralMode.SEQUENTIAL
    referrer: ReferrerWrite | None = None
    duplicate_reason: (
        Annotated[
            Prose,
            Meta(
                description="Why there is to be another open referral for this patient and "
                "condition",
            ),
        ]
        | None
    ) = None


class MatchPatientWrite(_Written, frozen=True):
    """Whom a dry run is for: only `near` and `birth_date` matter to it."""

    near: Near
    birth_date: date | None = None
    state: StateCode | None = None
    given_name: Text | None = None
    family_name: Text | None = None
    phone: PhoneText | None = None
    email: EmailText | None = None


class MatchesWrite(_Written, frozen=True):
    """A referral as it would be sent; who the patient is may be left out, and so may all that does
    not matter to matching."""

    patient: MatchPatientWrite
    conditions: Conditions
    screening: ScreeningWrite
    consent: ConsentWrite | None = None
    icd10: Icd10Codes = []
    reason: Prose | None = None
    prior_treatments: Texts = []
    medications: Texts = []
    preferences: PreferencesWrite = PreferencesWrite()
    urgency: Urgency = Urgency.ROUTINE
    mode: ReferralMode = ReferralMode.SEQUENTIAL
    referrer: ReferrerWrite | None = None
    duplicate_reason: Prose | None = None


class ConfirmScreeningWrite(_Written, frozen=True):
    reason: Annotated[
        Prose, Meta(description="Why the patient is referred although the flags are raised")
    ]


class AnswerWrite(_Written, frozen=True):
    answer: Annotated[Prose, Meta(description="The answer to the clinic's question")]


class PreferencesPatch(_Written, frozen=True):
    """What is left out stays as it was."""

    routes: Annotated[list[Route], Meta(max_length=6)] | UnsetType = UNSET
    settings: Annotated[list[Setting], Meta(max_length=2)] | UnsetType = UNSET
    max_distance: MaxDistance | UnsetType = UNSET
    payer: Slug | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET
    clinics: ClinicIds | UnsetType = UNSET
    exclude: ClinicIds | UnsetType = UNSET


class RouteWrite(_Written, frozen=True):
    preferences: PreferencesPatch | UnsetType = UNSET


class CancelWrite(_Written, frozen=True):
    reason: Annotated[Prose, Meta(description="For the clinic that has it")] | None = None


class NoteWrite(_Written, frozen=True):
    note: Annotated[Prose, Meta(description="For the referrer")] | None = None


class ScheduleWrite(_Written, frozen=True):
    at: Annotated[Moment, Meta(description="When the first visit is")]


class CompleteWrite(_Written, frozen=True):
    outcome: Annotated[Prose, Meta(description="What came of it, for the referrer")]


class ReturnWrite(_Written, frozen=True):
    reason: DeclineReason
    note: Annotated[Prose, Meta(description="For the referrer")] | None = None


class DeclineWrite(_Written, frozen=True):
    reason: DeclineReason
    note: Annotated[Prose, Meta(description="For the referrer")] | None = None


class AskWrite(_Written, frozen=True):
    question: Annotated[Prose, Meta(description="What the clinic needs to know to decide")]
