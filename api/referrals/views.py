"""Referrals and offers as they are shown. What a reader may not see is null, or left out of a
list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from api.referrals.details import Unable
from api.referrals.document import (
    Consent,
    Document,
    Preferences,
    Referrer,
    age_on,
)
from api.referrals.lifecycle.clocks import Offer
from api.referrals.step import Case
from api.referrals.tracking import tracking_url
from api.referrals.viewing import (
    OFFER_ACTIONS,
    Said,
    Sight,
    Viewer,
    actions,
    concerns,
    detail_for,
    is_overdue,
    latest,
    viewer_of_offer,
)
from db.referral_rows import OfferRow
from db.states import (
    DeclineReason,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    RoleInReferral,
    Route,
    Setting,
    Urgency,
)


class ClinicName(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str


class OfferLine(msgspec.Struct, frozen=True, kw_only=True):
    """An offer, as part of its referral."""

    id: UUID
    clinic: ClinicName
    state: OfferState
    version: int
    opened_at: datetime
    due_at: Annotated[
        datetime | None, Meta(description="Null while the clock stands still, and once decided")
    ]
    decided_at: datetime | None
    decline_reason: DeclineReason | None


class PatientView(msgspec.Struct, frozen=True, kw_only=True):
    """The patient; for a clinic that has not accepted only `age` and `state`."""

    age: Annotated[int, Meta(description="years")]
    state: Annotated[str | None, Meta(description="ISO 3166-2")]
    given_name: str | None = None
    family_name: str | None = None
    birth_date: date | None = None
    phone: str | None = None
    email: str | None = None
    near: str | None = None


class PreferencesView(msgspec.Struct, frozen=True, kw_only=True):
    routes: list[Route]
    settings: list[Setting]
    max_distance: str
    payer: str | None
    language: str | None
    clinics: Annotated[list[UUID] | None, Meta(description="For the referrer alone")]
    exclude: Annotated[list[UUID] | None, Meta(description="For the referrer alone")]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person wrote about it."""

    at: datetime
    event: ReferralEvent
    role: RoleInReferral
    clinic: ClinicName | None
    offer_id: UUID | None
    text: str


class ReferralItem(msgspec.Struct, frozen=True, kw_only=True):
    """A referral on a worklist."""

    id: UUID
    state: ReferralState
    version: int
    urgency: Urgency
    mode: ReferralMode
    created_at: datetime
    updated_at: datetime
    due_at: Annotated[
        datetime | None, Meta(description="When something happens next if nobody does anything")
    ]
    overdue: Annotated[
        bool,
        Meta(
            description="It has waited for somebody for more than half the time that its urgency "
            "gives a clinic"
        ),
    ]
    owner: ClinicName | None
    offers: Annotated[list[OfferLine], Meta(description="For a clinic: its own")]
    actions: Annotated[list[str], Meta(description="What the caller may do now")]
    patient: Annotated[PatientView | None, Meta(description="Null once it was erased")]
    conditions: list[str]
    flags: Annotated[list[str], Meta(description="Screening flags that were raised")]


class ReferralView(ReferralItem, frozen=True, kw_only=True):
    """A referral, as far as the caller may see it."""

    tracking_url: Annotated[
        str | None, Meta(description="For the patient; shows the step and no health information")
    ]
    icd10: list[str]
    reason: str | None
    prior_treatments: list[str] | None
    medications: list[str] | None
    screening: dict[str, bool]
    preferences: PreferencesView | None
    consent: Consent | None
    referrer: Referrer | None
    duplicate_reason: str | None
    visit_at: Annotated[datetime | None, Meta(description="When the first visit is")]
    outcome: str | None
    unable: Annotated[
        Unable | None, Meta(description="Why nobody could take it, and what would help")
    ]
    messages: list[Message]


class OfferView(OfferLine, frozen=True, kw_only=True):
    """An offer, for its clinic. `referral` is null once the offer is over."""

    questions: Annotated[int, Meta(description="Asked so far; three are the most")]
    actions: list[str]
    referral: ReferralView | None


class ReferralPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ReferralItem]
    next: str | None


class OfferPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[OfferView]
    next: str | None


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of history. One that concerns another clinic says only that there was a step."""

    version: int
    at: datetime
    redacted: bool
    event: ReferralEvent | None = None
    role: RoleInReferral | None = None
    actor: Annotated[str | None, Meta(description="The key, where it is one of the caller's")] = (
        None
    )
    from_state: ReferralState | None = None
    to_state: ReferralState | None = None
    clinic: ClinicName | None = None
    offer_id: UUID | None = None
    reason: DeclineReason | None = None
    detail: Annotated[
        msgspec.Raw | None, Meta(description="What was said, or why the service chose so")
    ] = None


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    verified: Annotated[
        bool, Meta(description="Whether every line is as it was written, and none is missing")
    ]
    items: list[EntryView]
    next: None = None


def item_of(case: Case, viewer: Viewer) -> ReferralItem:
    return ReferralItem(**_item_fields(case, viewer))


def view_of(case: Case, viewer: Viewer, lines: Sequence[Said]) -> ReferralView:
    document = None if case.is_erased else case.document
    knows_all = viewer.sight is not Sight.OFFERED
    whole = document if knows_all else None
    is_referrer = viewer.sight is Sight.ALL
    visit = latest(lines, ReferralEvent.SCHEDULED, ReferralEvent.RETURNED, ReferralEvent.NO_SHOW)
    outcome = latest(lines, ReferralEvent.COMPLETED)
    unrouted = latest(lines, ReferralEvent.UNROUTED)
    state = case.referral.state
    return ReferralView(
        **_item_fields(case, viewer),
        tracking_url=_tracking_url(case) if is_referrer else None,
        icd10=[] if document is None else document.icd10,
        reason=whole and whole.reason,
        # Null and not none: that something is hidden must not read as that there is nothing.
        prior_treatments=whole and whole.prior_treatments,
        medications=whole and whole.medications,
        screening={} if document is None else document.screening,
        preferences=document and _preferences(document.preferences, is_referrer),
        consent=whole and whole.consent,
        referrer=whole and whole.referrer,
        duplicate_reason=document.duplicate_reason if document and is_referrer else None,
        visit_at=visit.detail.visit_at if knows_all and visit and visit.detail else None,
        outcome=outcome.detail.text if knows_all and outcome and outcome.detail else None,
        unable=unrouted.detail.unable
        if is_referrer and state is ReferralState.UNROUTED and unrouted and unrouted.detail
        else None,
        messages=_messages(viewer, lines),
    )


def offer_view_of(case: Case, offer: Offer, lines: Sequence[Said]) -> OfferView:
    viewer = viewer_of_offer(case.referral, offer, case.now)
    lapsed = offer.has_lapsed(case.now)
    possible = [] if viewer is None else actions(case.referral, viewer, case.now)
    return OfferView(
        **_offer_fields(case, offer, lapsed=lapsed),
        questions=offer.questions,
        actions=[each for each in possible if each in OFFER_ACTIONS],
        referral=None if viewer is None else view_of(case, viewer, lines),
    )


def offer_over_view_of(row: OfferRow) -> OfferView:
    """Of an offer that is over: nothing of the referral is needed for it."""
    return OfferView(
        id=row.id,
        clinic=ClinicName(id=row.clinic_id, name=row.clinic_name),
        state=row.state,
        version=row.version,
        opened_at=row.opened_at,
        due_at=row.due_at,
        decided_at=row.decided_at,
        decline_reason=row.decline_reason,
        questions=row.questions,
        actions=[],
        referral=None,
    )


def history_view_of(
    case: Case, viewer: Viewer, lines: Sequence[Said], *, verified: bool
) -> HistoryView:
    return HistoryView(
        id=case.id, verified=verified, items=[_entry(line, viewer) for line in lines]
    )


def _item_fields(case: Case, viewer: Viewer) -> dict[str, Any]:
    referral, now = case.referral, case.now
    document = None if case.is_erased else case.document
    owner = referral.owner
    if viewer.clinic_id not in (None, owner):
        owner = None
    return {
        "id": referral.id,
        "state": referral.state,
        "version": referral.version,
        "urgency": referral.urgency,
        "mode": referral.mode,
        "created_at": case.created_at,
        "updated_at": case.updated_at,
        "due_at": case.due_at if viewer.clinic_id is None else None,
        "overdue": is_overdue(referral, case.updated_at, now, case.services.clocks),
        "owner": None if owner is None else _clinic(case, owner),
        "offers": [
            OfferLine(**_offer_fields(case, offer, lapsed=False))
            for offer in referral.offers
            if viewer.clinic_id in (None, offer.clinic_id)
        ],
        "actions": actions(referral, viewer, now),
        "patient": None if document is None else _patient(document, viewer, now),
        "conditions": [] if document is None else document.conditions,
        "flags": [] if document is None else list(document.flags),
    }


def _offer_fields(case: Case, offer: Offer, *, lapsed: bool) -> dict[str, Any]:
    return {
        "id": offer.id,
        "clinic": _clinic(case, offer.clinic_id),
        # The service has seconds to act on a deadline; what it is for is over already.
        "state": OfferState.EXPIRED if lapsed else offer.state,
        "version": offer.version,
        "opened_at": offer.opened_at,
        "due_at": offer.due_at,
        "decided_at": offer.decided_at,
        "decline_reason": offer.decline_reason,
    }


def _clinic(case: Case, clinic_id: UUID) -> ClinicName:
    return ClinicName(id=clinic_id, name=case.names.get(clinic_id, ""))


def _patient(document: Document, viewer: Viewer, now: datetime) -> PatientView:
    patient = document.patient
    age = age_on(patient.birth_date, now.date())
    if viewer.sight is Sight.OFFERED:
        return PatientView(age=age, state=document.state)
    return PatientView(
        age=age,
        state=document.state,
        given_name=patient.given_name,
        family_name=patient.family_name,
        birth_date=patient.birth_date,
        phone=patient.phone,
        email=patient.email,
        near=patient.near,
    )


def _preferences(preferences: Preferences, is_referrer: bool) -> PreferencesView:
    return PreferencesView(
        routes=preferences.routes,
        settings=preferences.settings,
        max_distance=preferences.max_distance,
        payer=preferences.payer,
        language=preferences.language,
        clinics=preferences.clinics if is_referrer else None,
        exclude=preferences.exclude if is_referrer else None,
    )


def _tracking_url(case: Case) -> str:
    return tracking_url(case.services.keyring, case.services.link_base, case.id)


def _messages(viewer: Viewer, lines: Sequence[Said]) -> list[Message]:
    found: list[Message] = []
    for line in lines:
        detail = detail_for(line, viewer)
        if detail is not None and detail.text is not None:
            found.append(
                Message(
                    at=line.at,
                    event=line.event,
                    role=line.role,
                    clinic=_clinic_of(line),
                    offer_id=line.offer_id,
                    text=detail.text,
                )
            )
    return found


def _clinic_of(line: Said) -> ClinicName | None:
    if line.clinic_id is None:
        return None
    return ClinicName(id=line.clinic_id, name=line.clinic_name or "")


def _entry(line: Said, viewer: Viewer) -> EntryView:
    if not concerns(line, viewer):
        return EntryView(version=line.version, at=line.at, redacted=True)
    detail = detail_for(line, viewer)
    own = RoleInReferral.REFERRER if viewer.clinic_id is None else RoleInReferral.CLINIC
    return EntryView(
        version=line.version,
        at=line.at,
        redacted=False,
        event=line.event,
        role=line.role,
        actor=line.actor if line.role is own else None,
        from_state=line.from_state,
        to_state=line.to_state,
        clinic=_clinic_of(line),
        offer_id=line.offer_id,
        reason=line.reason,
        detail=None if detail is None else msgspec.Raw(msgspec.json.encode(detail)),
    )
