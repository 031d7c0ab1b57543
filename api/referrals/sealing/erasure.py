"""Erasing what a referral says of its patient, for good.

The data key is destroyed: what it sealed (the document, what was said at each step, the answer
kept for an Idempotency-Key) stays where it is and cannot be read by anybody. So do the plain
columns, which name no patient, and both chains still verify. The fingerprints go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.audit.service import COMMAND_LINE as COMMAND_LINE_AUTHOR
from api.audit.service import SERVICE as SERVICE_AUTHOR
from api.audit.service import Author, Outcome
from api.durations import Period
from api.referrals.errors import NoSuchReferral
from api.referrals.lifecycle.events import Cancelled, Step
from api.referrals.lifecycle.steps import REFERRER
from api.referrals.saving import CLOSED, save
from api.referrals.step import SERVICE, Case, Line, ReferralServices, Who, locked
from db.connection import Connection
from db.queries.erasure import forget_fingerprints, page_to_erase
from db.queries.sealed_keys import erase_sealed_key
from db.states import AuditAction, AuditObject, ReferralEvent, RoleInReferral

BATCH: Final = 50
"""Referrals that are looked for at once; each is erased in a transaction of its own."""


class StillOpen(Exception):
    """A referral is erased once it is closed: whoever carries it on needs to know the patient."""


class Eraser(msgspec.Struct, frozen=True, kw_only=True):
    """Who erases, for the history and for the audit trail."""

    who: Who
    author: Author


BY_COMMAND: Final = Eraser(
    who=Who(role=RoleInReferral.SERVICE, actor=COMMAND_LINE_AUTHOR.actor),
    author=COMMAND_LINE_AUTHOR,
)
BY_RETENTION: Final = Eraser(who=SERVICE, author=SERVICE_AUTHOR)


async def erase_referral(
    services: ReferralServices,
    conn: Connection,
    referral_id: UUID,
    eraser: Eraser,
    *,
    force: bool = False,
) -> bool:
    """False when it was erased before. With `force`, an open referral is cancelled first.

    The referrer is told. To be the only thing in its transaction. Raises NoSuchReferral, StillOpen.
    """
    await conn.become_worker()
    case = await locked(services, conn, referral_id)
    if case is None:
        raise NoSuchReferral
    if case.is_erased:
        return False
    if case.referral.state not in CLOSED:
        if not force:
            raise StillOpen
        case.advance(Cancelled(), eraser.who)
    _note(case, eraser.who)
    # Saved while the patient can still be asked for: whoever is to be told of the cancellation
    # depends on what was agreed to.
    await save(case)
    await erase_sealed_key(conn, referral_id, case.now)
    await forget_fingerprints(conn, referral_id)
    await services.auditor.record(
        conn,
        author=eraser.author,
        action=AuditAction.REFERRAL_ERASED,
        kind=AuditObject.REFERRAL,
        object_id=referral_id,
        outcome=Outcome(
            version=case.referral.version,
            state=case.referral.state,
            history_hash=case.history_hash.hex(),
        ),
    )
    return True


async def erase_expired(services: ReferralServices, retention: Period | None) -> int:
    """Erases referrals that were closed longer ago than that, a batch of them; how many. For the
    sweeper, which asks again until there are none. Without a retention, nothing is erased."""
    if retention is None:
        return 0
    before = retention.before(services.clock.now())
    erased = 0
    for referral_id in await _closed_before(services, before):
        async with services.database.transaction() as conn:
            erased += await erase_referral(services, conn, referral_id, BY_RETENTION)
    return erased


async def _closed_before(services: ReferralServices, before: datetime) -> list[UUID]:
    async with services.database.transaction() as conn:
        await conn.become_worker()
        return await page_to_erase(conn, before, BATCH)


def _note(case: Case, who: Who) -> None:
    """The step itself. It changes no state, so the machine has no part in it."""
    after = msgspec.structs.replace(case.referral, version=case.referral.version + 1)
    step = Step(referral=after, event=ReferralEvent.ERASED, effects=(REFERRER,))
    case.lines.append(Line(step=step, before=case.referral.state, who=who, detail=None))
    case.referral = after
