"""A referral in the hands of one transaction: locked, advanced, and saved by `saving`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from api.audit.service import Auditor
from api.clock import Clock
from api.directory.catalogue import Catalogue
from api.keyring import Keyring
from api.referrals import document as documents
from api.referrals.details import Detail
from api.referrals.document import Document
from api.referrals.errors import PatientErased
from api.referrals.lifecycle.clocks import Clocks, Offer
from api.referrals.lifecycle.events import Event, Referral, Step
from api.referrals.lifecycle.lifecycle import advance, create
from api.referrals.sealing.sealing import Sealer, SealErased, SealingKey
from api.search.follower import Follower
from api.search.places import Places
from db.connection import Connection
from db.pool import Pool
from db.queries.offers import offers_of_referral
from db.queries.referrals import lock_referral
from db.referral_rows import OfferRow, ReferralRow
from db.sealing_rows import SealedKeyRow
from db.states import ReferralMode, ReferralState, RoleInReferral, Urgency


class ReferralServices(msgspec.Struct, frozen=True, kw_only=True):
    """What the room works with: one for each application or worker."""

    database: Pool
    clock: Clock
    keyring: Keyring
    sealer: Sealer
    auditor: Auditor
    follower: Follower
    catalogue: Catalogue
    places: Places
    clocks: Clocks
    link_base: str
    """What the path of a tracking link is put behind."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """As whom somebody acts, and how the history names them."""

    role: RoleInReferral
    actor: str


SERVICE = Who(role=RoleInReferral.SERVICE, actor="service")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One step, with what the history says of it beyond the machine."""

    step: Step
    before: ReferralState | None
    who: Who
    detail: Detail | None


class Case:
    """One referral from what is stored of it to what is to be stored.

    `now` is the moment of the transaction by the database's clock: everything in it happens then.
    """

    def __init__(
        self,
        services: ReferralServices,
        conn: Connection,
        referral: Referral,
        *,
        now: datetime,
        referrer: str,
        created_at: datetime,
    ) -> None:
        self.services = services
        self.conn = conn
        self.referral = referral
        self.now = now
        self.referrer = referrer
        self.created_at = created_at
        self.updated_at = created_at
        self.due_at: datetime | None = None
        self.closed_at: datetime | None = None
        self.history_hash = b""
        self.capacity_week: date | None = None
        self.filled: UUID | None = None
        """The clinic whose last place of the week a step has taken."""
        self.stored_version = 0
        self.stored_owner: UUID | None = None
        self.stored_offers: dict[UUID, Offer] = {}
        self.names: dict[UUID, str] = {}
        """Of clinics, by id."""
        self.lines: list[Line] = []
        self.resealed = False
        self._key_row: SealedKeyRow | None = None
        self._key: SealingKey | None = None
        self._sealed = b""
        self._document: Document | None = None

    @classmethod
    def stored(
        cls,
        services: ReferralServices,
        conn: Connection,
        row: ReferralRow,
        offers: Sequence[OfferRow],
    ) -> Case:
        made = cls(
            services,
            conn,
            referral_of(row, offers),
            now=row.now,
            referrer=row.referrer,
            created_at=row.created_at,
        )
        made.updated_at = row.updated_at
        made.due_at = row.due_at
        made.closed_at = row.closed_at
        made.history_hash = row.history_hash
        made.capacity_week = row.capacity_week
        made.stored_version = row.version
        made.stored_owner = row.owner_clinic_id
        made.stored_offers = {offer.id: offer for offer in made.referral.offers}
        made.names = {offer.clinic_id: offer.clinic_name for offer in offers}
        if row.owner_clinic_id is not None and row.owner_name is not None:
            made.names[row.owner_clinic_id] = row.owner_name
        made._key_row = SealedKeyRow(
            referral_id=row.id,
            keyring_id=row.keyring_id,
            wrapped=row.wrapped,
            erased_at=row.erased_at,
        )
        made._sealed = row.sealed
        return made

    @classmethod
    def new(
        cls,
        services: ReferralServices,
        conn: Connection,
        *,
        now: datetime,
        referrer: str,
        document: Document,
        urgency: Urgency,
        mode: ReferralMode,
        needs_confirmation: bool,
        who: Who,
    ) -> Case:
        """A referral that is being sent: its first step is made."""
        referral_id = services.clock.new_id()
        # At half time, as a clinic would be.
        span = services.clocks.decision(urgency)
        remind_at = now + span / 2 if needs_confirmation else None
        first = create(referral_id, urgency, mode, remind_at=remind_at)
        made = cls(services, conn, first.referral, now=now, referrer=referrer, created_at=now)
        made._key, made._key_row = services.sealer.new_key(referral_id)
        made.reseal(document)
        made.lines.append(Line(step=first, before=None, who=who, detail=None))
        return made

    @property
    def id(self) -> UUID:
        return self.referral.id

    @property
    def is_erased(self) -> bool:
        return self.key_row.wrapped is None

    @property
    def key_row(self) -> SealedKeyRow:
        assert self._key_row is not None, "every referral has its key's row"
        return self._key_row

    @property
    def key(self) -> SealingKey:
        """Raises PatientErased."""
        if self._key is None:
            try:
                self._key = self.services.sealer.open_key(self.key_row)
            except SealErased:
                raise PatientErased from None
        return self._key

    @property
    def document(self) -> Document:
        """Raises PatientErased."""
        if self._document is None:
            opened = self.key.open(documents.TABLE, documents.COLUMN, self.id, self._sealed)
            self._document = documents.decoded(opened)
        return self._document

    @property
    def sealed(self) -> bytes:
        return self._sealed

    def reseal(self, document: Document) -> None:
        """Keep another document from now on."""
        self._document = document
        self._sealed = self.key.seal(
            documents.TABLE, documents.COLUMN, self.id, documents.encoded(document)
        )
        self.resealed = True

    def advance(self, event: Event, who: Who, detail: Detail | None = None) -> Step:
        """Raises NotPossible, and changes nothing then."""
        before = self.referral.state
        made = advance(self.referral, event, self.now, self.services.clocks)
        self.referral = made.referral
        self.lines.append(Line(step=made, before=before, who=who, detail=detail))
        return made


async def locked(services: ReferralServices, conn: Connection, referral_id: UUID) -> Case | None:
    """The referral, if whoever asks may act on it; what follows is done as the worker.

    None when there is no such row in sight. The offers are read once the lock is had.
    """
    row = await lock_referral(conn, referral_id)
    if row is None:
        return None
    await conn.become_worker()
    return Case.stored(services, conn, row, await offers_of_referral(conn, referral_id))


def referral_of(row: ReferralRow, offers: Sequence[OfferRow]) -> Referral:
    return Referral(
        id=row.id,
        version=row.version,
        state=row.state,
        urgency=row.urgency,
        mode=row.mode,
        owner=row.owner_clinic_id,
        offers=tuple(offer_of(offer) for offer in offers),
        asked_by=row.asked_by,
        answer_by=row.answer_by,
        visit_booked=row.visit_booked,
        retry_at=row.retry_at,
        routed_since=row.routed_since,
    )


def offer_of(row: OfferRow) -> Offer:
    return Offer(
        id=row.id,
        clinic_id=row.clinic_id,
        state=row.state,
        version=row.version,
        opened_at=row.opened_at,
        due_at=row.due_at,
        remind_at=row.remind_at,
        reminded_at=row.reminded_at,
        remaining=row.remaining,
        questions=row.questions,
        first_answer_at=row.first_answer_at,
        decided_at=row.decided_at,
        decline_reason=row.decline_reason,
    )
