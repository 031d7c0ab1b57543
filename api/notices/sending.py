"""Sending the notices that are due: a batch is claimed in one transaction, sent outside of any, and
what came of it written down by one statement.

A notice that was claimed and of which nothing more is heard (the process died, or stood still) is
claimed again when the lease has run out, and sent under the same id: at least once. Whoever wakes
up late writes down nothing, because a newer attempt has begun.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from email.utils import format_datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from api.clock import Clock
from api.logs import described
from api.notices.mail import (
    FINAL,
    SECONDS,
    Letterhead,
    Mailer,
    NotSent,
    Outcome,
    composed,
)
from api.notices.texts import TEXTS
from api.partners.webhooks.events import EventType, ReferralData
from api.partners.webhooks.queueing import queue_event
from api.referrals.sealing.sealing import Sealer
from db.errors import DatabaseError
from db.pool import Pool
from db.queries.notices import claim_notices, note_attempts, notice_contexts
from db.sealing_rows import SealedKeyRow
from db.states import Audience
from db.work_rows import NoticeContextRow, NoticeRow

AT_ONCE: Final = 8
"""Notices that are claimed, and sent, side by side: each that is claimed is being sent."""
LEASE_SECONDS: Final = 60.0
"""How long an attempt may take before the notice is taken for not sent."""
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
DELAYS: Final = (
    10.0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR,
    24 * _HOUR,
)  # fmt: skip
"""Seconds from an attempt that failed to the next. After the last one, more than two days in all,
the notice is given up."""

_log = structlog.get_logger("api.notices")


class _Person(msgspec.Struct, frozen=True):
    email: str | None = None


class _Consent(msgspec.Struct, frozen=True):
    notify: bool = False


class _Addresses(msgspec.Struct, frozen=True):
    """All that is read of the sealed document here."""

    patient: _Person = _Person()
    referrer: _Person | None = None
    consent: _Consent = _Consent()


_addresses = msgspec.json.Decoder(_Addresses).decode


class NoticeServices(msgspec.Struct, frozen=True, kw_only=True):
    """What sending needs. `database` is a pool with the worker's rights."""

    database: Pool
    clock: Clock
    sealer: Sealer
    mailer: Mailer
    letterhead: Letterhead
    link_base: str
    tracking_link: Callable[[UUID], str]


class NoticeSender:
    """Sends notices. Any number of them may work on one database."""

    def __init__(self, services: NoticeServices, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._services = services
        self._lease_seconds = lease_seconds
        # One batch at a time in a process, whoever asks for it: the pool belongs to others, too.
        self._batch = asyncio.Lock()
        self.outcomes: Counter[tuple[Audience, Outcome]] = Counter()
        """Attempts since the process began."""
        self.given_up = 0

    def is_busy(self) -> bool:
        return self._batch.locked()

    async def send_due(self, referral_id: UUID | None = None) -> int:
        """One attempt for each of up to `AT_ONCE` notices that are due, those of one referral if
        it is named; how many there were. Raises DatabaseError when nothing could be claimed."""
        async with self._batch:
            begun = self._services.clock.monotonic()
            async with self._services.database.transaction() as conn:
                claimed = await claim_notices(
                    conn,
                    limit=AT_ONCE,
                    lease_seconds=self._lease_seconds,
                    referral_id=referral_id,
                )
                if not claimed:
                    return 0
                contexts = {
                    context.id: context
                    for context in await notice_contexts(conn, [each.id for each in claimed])
                }
            tried = await asyncio.gather(
                *(self._send(notice, contexts[notice.id], begun) for notice in claimed)
            )
            await self._note(
                [
                    (notice, outcome)
                    for notice, outcome in zip(claimed, tried, strict=True)
                    if outcome is not None
                ]
            )
            return len(claimed)

    async def _send(
        self, notice: NoticeRow, context: NoticeContextRow, begun: float
    ) -> Outcome | None:
        """None when it was not tried."""
        log = _log.bind(notice=str(notice.id), attempt=notice.attempts)
        try:
            if context.has_webhooks:
                await self._tell_webhooks(notice, context)
            if self._services.clock.monotonic() - begun > self._lease_seconds - SECONDS:
                # This process stood still for so long that another one may be sending it.
                return None
            outcome = await self._mail(notice, context)
        except DatabaseError as error:
            log.warning("notice not prepared", sqlstate=error.sqlstate)
            return None
        except Exception as error:
            log.error("notice not sent", **described(error))  # noqa: TRY400 (no texts of errors)
            outcome = Outcome.FAULT
        self.outcomes[notice.audience, outcome] += 1
        if outcome not in (Outcome.SENT, Outcome.NO_ADDRESS):
            log.info("notice not sent", outcome=str(outcome))
        return outcome

    async def _tell_webhooks(self, notice: NoticeRow, context: NoticeContextRow) -> None:
        """Its event is queued for the webhooks of whom it is for, once."""
        if notice.audience is Audience.PATIENT:
            return
        async with self._services.database.transaction() as conn:
            await queue_event(
                conn,
                event_type=EventType(f"referral.{notice.event}"),
                data=ReferralData(
                    referral=notice.referral_id,
                    offer=notice.offer_id or context.step_offer_id,
                    clinic=notice.clinic_id or context.step_clinic_id,
                    state=context.state,
                    version=notice.version,
                ),
                at=notice.at,
                new_id=self._services.clock.new_id,
                principal=notice.principal,
                clinic=notice.clinic_id,
                source=notice.id,
            )

    async def _mail(self, notice: NoticeRow, context: NoticeContextRow) -> Outcome:
        address = context.email or self._sealed_address(notice, context)
        if address is None:
            return Outcome.NO_ADDRESS
        try:
            message = composed(
                self._services.letterhead,
                notice.id,
                format_datetime(notice.at),
                address,
                TEXTS[notice.event, notice.audience],
                notice.audience,
                self._link(notice),
            )
            await self._services.mailer.send(message)
        except NotSent as failure:
            return failure.outcome
        return Outcome.SENT

    def _sealed_address(self, notice: NoticeRow, context: NoticeContextRow) -> str | None:
        """Where the referral itself says that its referrer or its patient is reached."""
        if context.sealed is None or context.keyring_id is None or context.wrapped is None:
            return None
        row = SealedKeyRow(
            referral_id=notice.referral_id,
            keyring_id=context.keyring_id,
            wrapped=context.wrapped,
            erased_at=None,
        )
        key = self._services.sealer.open_key(row)
        said = _addresses(key.open("referral", "sealed", notice.referral_id, context.sealed))
        if notice.audience is Audience.PATIENT:
            return said.patient.email if said.consent.notify else None
        return None if said.referrer is None else said.referrer.email

    def _link(self, notice: NoticeRow) -> str:
        base = self._services.link_base
        match notice.audience:
            case Audience.PATIENT:
                return self._services.tracking_link(notice.referral_id)
            case Audience.CLINIC if notice.offer_id is not None:
                return f"{base}/v1/offers/{notice.offer_id}"
            case Audience.CLINIC | Audience.REFERRER:
                return f"{base}/v1/referrals/{notice.referral_id}"

    async def _note(self, tried: Sequence[tuple[NoticeRow, Outcome]]) -> None:
        if not tried:
            return
        pauses = [_pause(notice, outcome) for notice, outcome in tried]
        try:
            async with self._services.database.acquire() as conn:
                noted = await note_attempts(
                    conn,
                    [notice.id for notice, _ in tried],
                    [notice.attempts for notice, _ in tried],
                    [outcome for _, outcome in tried],
                    pauses,
                )
        except DatabaseError as error:
            _log.warning("outcomes of notices not noted", sqlstate=error.sqlstate)
            return
        kept = frozenset(noted)
        for (notice, outcome), pause in zip(tried, pauses, strict=True):
            if notice.id not in kept:
                _log.warning("outcome of a notice came too late", notice=str(notice.id))
            elif pause is None and outcome not in (Outcome.SENT, Outcome.NO_ADDRESS):
                self.given_up += 1


def _pause(notice: NoticeRow, outcome: Outcome) -> float | None:
    """Seconds until it is tried again; None when it is not."""
    if outcome is Outcome.SENT or outcome in FINAL or notice.attempts > len(DELAYS):
        return None
    return DELAYS[notice.attempts - 1]
