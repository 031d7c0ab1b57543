"""Who may see what of a referral. Pure: row-level security holds the same rows apart below it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from api.referrals.details import Detail
from api.referrals.lifecycle.clocks import Clocks, Offer
from api.referrals.lifecycle.events import Referral
from api.referrals.lifecycle.rules import RULES, actions_of_clinic, actions_of_referrer
from db.states import (
    DeclineReason,
    ReferralEvent,
    ReferralState,
    RoleInReferral,
)

WAITS_FOR_SOMEBODY = frozenset(
    {
        ReferralState.SCREENING,
        ReferralState.OFFERED,
        ReferralState.INFO_REQUESTED,
        ReferralState.ACCEPTED,
        ReferralState.UNROUTED,
    }
)
"""The same states as in the statement `page_of_referrals`."""
OFFER_ACTIONS = frozenset(rule.action for rule in RULES if rule.on == "offer")


class Sight(StrEnum):
    """How much of a referral somebody sees."""

    ALL = "all"
    """Its referrer: everything, all clinics included."""
    OWNED = "owned"
    """The clinic that has it: the whole patient, and no other clinic."""
    OFFERED = "offered"
    """A clinic that is asked: what it takes to decide."""


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may see a referral. `clinic_id` is None for its referrer."""

    sight: Sight
    clinic_id: UUID | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A line of history with its detail opened, as far as it can be."""

    version: int
    at: datetime
    event: ReferralEvent
    role: RoleInReferral
    actor: str
    from_state: ReferralState | None
    to_state: ReferralState
    offer_id: UUID | None
    clinic_id: UUID | None
    clinic_name: str | None
    reason: DeclineReason | None
    detail: Detail | None


def viewer_of(
    referral: Referral,
    referrer: str,
    now: datetime,
    *,
    principal: str,
    clinics: Collection[UUID],
) -> Viewer | None:
    """None for whom it does not concern, or no longer."""
    if referrer == principal:
        return Viewer(sight=Sight.ALL)
    if referral.owner is not None and referral.owner in clinics:
        return Viewer(sight=Sight.OWNED, clinic_id=referral.owner)
    for offer in referral.open_offers:
        if offer.clinic_id in clinics and not offer.has_lapsed(now):
            return Viewer(sight=Sight.OFFERED, clinic_id=offer.clinic_id)
    return None


def viewer_of_offer(referral: Referral, offer: Offer, now: datetime) -> Viewer | None:
    """What the offer's own clinic sees of the referral behind it: nothing once it is over."""
    if referral.owner == offer.clinic_id and offer.state == "accepted":
        return Viewer(sight=Sight.OWNED, clinic_id=offer.clinic_id)
    if offer.is_open and not offer.has_lapsed(now):
        return Viewer(sight=Sight.OFFERED, clinic_id=offer.clinic_id)
    return None


def actions(referral: Referral, viewer: Viewer, now: datetime) -> list[str]:
    if viewer.clinic_id is None:
        return actions_of_referrer(referral)
    return actions_of_clinic(referral, viewer.clinic_id, now)


def is_overdue(referral: Referral, updated_at: datetime, now: datetime, clocks: Clocks) -> bool:
    """Whether it has waited for somebody for longer than half the time that its urgency gives a
    clinic to decide: as long as it takes for a clinic to be reminded."""
    span = clocks.decision(referral.urgency) / 2
    return referral.state in WAITS_FOR_SOMEBODY and updated_at < now - span


def concerns(line: Said, viewer: Viewer) -> bool:
    """Whether the line may be shown to the viewer: a clinic sees nothing of other clinics."""
    return viewer.clinic_id is None or line.clinic_id in (None, viewer.clinic_id)


def detail_for(line: Said, viewer: Viewer) -> Detail | None:
    """What the viewer may read of what was said.

    A clinic reads its own words and the answers to its questions; why the service chose whom is
    for the referrer, and so is what the referrer confirmed, until the patient is the clinic's.
    """
    match viewer.sight:
        case Sight.ALL:
            return line.detail
        case Sight.OWNED:
            readable = line.clinic_id == viewer.clinic_id or line.role is RoleInReferral.REFERRER
        case Sight.OFFERED:
            readable = line.clinic_id == viewer.clinic_id
    if not readable or not concerns(line, viewer) or line.detail is None:
        return None
    if line.role is RoleInReferral.SERVICE:
        return None
    return line.detail


def latest(lines: Sequence[Said], *events: ReferralEvent) -> Said | None:
    return next((line for line in reversed(lines) if line.event in events), None)
