"""Steps on referrals and offers that somebody calls for, and looking at them. The routes open the
transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from api.audit.service import Author, Outcome
from api.auth import Caller
from api.directory.versions import Expected
from api.errors import PreconditionFailed
from api.referrals import details
from api.referrals.chain import verifies
from api.referrals.details import Detail
from api.referrals.errors import (
    NoCapacity,
    NoSuchOffer,
    NoSuchReferral,
    NotPossibleNow,
)
from api.referrals.lifecycle.clocks import Offer
from api.referrals.lifecycle.events import (
    Event,
    NotPossible,
)
from api.referrals.routing import route
from api.referrals.saving import NoPlaceLeft, save
from api.referrals.step import Case, ReferralServices, Who, locked
from api.referrals.viewing import (
    Said,
    Sight,
    Viewer,
    actions,
    viewer_of,
    viewer_of_offer,
)
from db.asking import ask_as
from db.connection import Connection
from db.queries.history import history_of_referral
from db.queries.offers import offer_by_id, offers_of_referral, referral_of_offer
from db.queries.referrals import lock_referral, referral_by_id
from db.referral_rows import HistoryRow, OfferRow
from db.states import (
    AuditAction,
    AuditObject,
    DeclineReason,
    RoleInReferral,
)


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One call of somebody, in one transaction."""

    services: ReferralServices
    conn: Connection
    caller: Caller
    author: Author

    @property
    def clinics(self) -> tuple[UUID, ...]:
        return self.caller.clinics

    def who(self, role: RoleInReferral) -> Who:
        return Who(role=role, actor=self.caller.actor)


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody does, and how the two trails tell of it."""

    event: Event
    action: AuditAction
    detail: Detail | None = None
    reason: DeclineReason | None = None
    also: Callable[[Case], None] | None = None
    """What else becomes of the referral, once it is sure that the step is possible."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A referral as it is now, for whom it is shown to."""

    case: Case
    viewer: Viewer
    rows: list[HistoryRow]
    lines: list[Said]
    offer: Offer | None = None


async def by_referrer(act: Act, referral_id: UUID, expected: Expected, doing: Doing) -> Shown:
    """Raises NoSuchReferral, NotPossibleNow, PreconditionFailed."""
    await ask_as(act.conn, principal=act.caller.principal)
    case = await locked(act.services, act.conn, referral_id)
    if case is None or case.referrer != act.caller.principal:
        raise NoSuchReferral
    viewer = Viewer(sight=Sight.ALL)
    await _done(act, case, viewer, expected, doing, RoleInReferral.REFERRER)
    shown = await _shown(act, case, viewer)
    await _recorded(act, case, doing)
    return shown


async def by_owner(act: Act, referral_id: UUID, expected: Expected, doing: Doing) -> Shown:
    """Raises NoSuchReferral, NotPossibleNow, PreconditionFailed."""
    await ask_as(act.conn, clinics=act.clinics)
    case = await locked(act.services, act.conn, referral_id)
    if case is None or case.referral.owner not in act.clinics:
        raise NoSuchReferral
    viewer = Viewer(sight=Sight.OWNED, clinic_id=case.referral.owner)
    await _done(act, case, viewer, expected, doing, RoleInReferral.CLINIC)
    if case.referral.owner != viewer.clinic_id:
        # Given back: the patient is not this clinic's any more.
        viewer = Viewer(sight=Sight.OFFERED, clinic_id=viewer.clinic_id)
    shown = await _shown(act, case, viewer)
    await _recorded(act, case, doing)
    return shown


async def by_offer(act: Act, offer_id: UUID, expected: Expected, doing: Doing) -> Shown:
    """Raises NoSuchOffer, NotPossibleNow, NoCapacity, PreconditionFailed."""
    await ask_as(act.conn, clinics=act.clinics)
    # The policies show a clinic its own offers. The lock on the referral behind one is the
    # worker's: a clinic that is asked may not lock what is not its own.
    referral_id = await referral_of_offer(act.conn, offer_id)
    if referral_id is None:
        raise NoSuchOffer
    await act.conn.become_worker()
    case = await locked_by_worker(act.services, act.conn, referral_id)
    offer = None if case is None else _offer_in(case, offer_id)
    if case is None or offer is None or offer.clinic_id not in act.clinics:
        raise NoSuchOffer
    viewer = viewer_of_offer(case.referral, offer, case.now) or Viewer(
        sight=Sight.OFFERED, clinic_id=offer.clinic_id
    )
    await _done(act, case, viewer, expected, doing, RoleInReferral.CLINIC, offer)
    shown = await _shown(act, case, viewer, offer_id)
    await _recorded(act, case, doing, offer_id)
    return shown


async def look(act: Act, referral_id: UUID, action: AuditAction) -> Shown:
    """A referral as its referrer or a clinic that it concerns sees it. Raises NoSuchReferral."""
    await ask_as(act.conn, principal=act.caller.principal, clinics=act.clinics)
    row = await referral_by_id(act.conn, referral_id)
    if row is None:
        raise NoSuchReferral
    offers = await offers_of_referral(act.conn, referral_id)
    case = Case.stored(act.services, act.conn, row, offers)
    viewer = viewer_of(
        case.referral,
        case.referrer,
        case.now,
        principal=act.caller.principal,
        clinics=act.clinics,
    )
    if viewer is None:
        raise NoSuchReferral
    shown = await _shown(act, case, viewer)
    await _read(act, action, AuditObject.REFERRAL, referral_id)
    return shown


async def look_at_history(act: Act, referral_id: UUID) -> tuple[Shown, bool]:
    """Also whether the chain of its lines verifies. Raises NoSuchReferral."""
    shown = await look(act, referral_id, AuditAction.HISTORY_READ)
    case = shown.case
    verified = verifies(act.services.keyring, shown.rows, case.history_hash, case.stored_version)
    return shown, verified


async def look_at_offer(act: Act, offer_id: UUID) -> Shown | OfferRow:
    """The row alone once the offer is over: the policies hide the referral behind it then.

    Raises NoSuchOffer.
    """
    await ask_as(act.conn, clinics=act.clinics)
    row = await offer_by_id(act.conn, offer_id, act.clinics)
    if row is None:
        raise NoSuchOffer
    await _read(act, AuditAction.OFFER_READ, AuditObject.OFFER, offer_id, [row.referral_id])
    referral = await referral_by_id(act.conn, row.referral_id)
    if referral is None:
        # Read after the referral: it may have been open a moment ago.
        return await offer_by_id(act.conn, offer_id, act.clinics) or row
    offers = await offers_of_referral(act.conn, row.referral_id)
    case = Case.stored(act.services, act.conn, referral, offers)
    return await _shown(act, case, Viewer(sight=Sight.OFFERED, clinic_id=row.clinic_id), offer_id)


async def locked_by_worker(
    services: ReferralServices, conn: Connection, referral_id: UUID
) -> Case | None:
    row = await lock_referral(conn, referral_id)
    if row is None:
        return None
    return Case.stored(services, conn, row, await offers_of_referral(conn, referral_id))


async def _done(
    act: Act,
    case: Case,
    viewer: Viewer,
    expected: Expected,
    doing: Doing,
    role: RoleInReferral,
    offer: Offer | None = None,
) -> None:
    """Whether it is possible at all comes before which version was read: who is too late is told
    so, rather than to read again and find out."""
    state, possible = case.referral.state, actions(case.referral, viewer, case.now)
    version = case.stored_version if offer is None else offer.version
    try:
        case.advance(doing.event, act.who(role), doing.detail)
    except NotPossible as refused:
        raise NotPossibleNow(refused.why, state, possible) from None
    if expected.tags is not None and etag(version) not in expected.tags:
        raise PreconditionFailed(
            "It is not the version named in If-Match any more. Read it and try again."
        )
    if doing.also is not None:
        doing.also(case)
    await route(case)
    try:
        await save(case)
    except NoPlaceLeft:
        raise NoCapacity(state, [each for each in possible if each != "accept"]) from None


async def _recorded(act: Act, case: Case, doing: Doing, offer_id: UUID | None = None) -> None:
    await act.services.auditor.record(
        act.conn,
        author=act.author,
        action=doing.action,
        kind=AuditObject.REFERRAL if offer_id is None else AuditObject.OFFER,
        object_id=offer_id or case.id,
        related=[] if offer_id is None else [case.id],
        outcome=Outcome(
            version=case.stored_version,
            state=case.referral.state,
            reason=doing.reason,
            history_hash=case.history_hash.hex(),
        ),
    )


async def _read(
    act: Act, action: AuditAction, kind: AuditObject, object_id: UUID, related: Sequence[UUID] = ()
) -> None:
    await act.services.auditor.record(
        act.conn,
        author=act.author,
        action=action,
        kind=kind,
        object_id=object_id,
        related=related,
    )


async def _shown(act: Act, case: Case, viewer: Viewer, offer_id: UUID | None = None) -> Shown:
    # Read after the referral: there may be a step already that the referral read knows nothing of.
    rows = (await history_of_referral(act.conn, case.id))[: case.stored_version]
    return Shown(
        case=case,
        viewer=viewer,
        rows=rows,
        lines=[said_in(case, row) for row in rows],
        offer=None if offer_id is None else _offer_in(case, offer_id),
    )


def said_in(case: Case, row: HistoryRow) -> Said:
    detail = None
    if row.sealed is not None and not case.is_erased:
        place = details.place_of(row.referral_id, row.version)
        opened = case.key.open(details.TABLE, details.COLUMN, place, row.sealed)
        detail = details.decoded(opened)
    return Said(
        version=row.version,
        at=row.at,
        event=row.event,
        role=row.role,
        actor=row.actor,
        from_state=row.from_state,
        to_state=row.to_state,
        offer_id=row.offer_id,
        clinic_id=row.clinic_id,
        clinic_name=row.clinic_name,
        reason=row.reason,
        detail=detail,
    )


def _offer_in(case: Case, offer_id: UUID) -> Offer | None:
    return next((offer for offer in case.referral.offers if offer.id == offer_id), None)


def etag(version: int) -> str:
    return f'"{version}"'
