"""After a rotation of the keyring: every data key wrapped anew, so that only backups need the old
key of the keyring.

In small transactions and without making anybody wait: what somebody holds is left for the next
round. It can be stopped at any moment and begun again; what is done stays done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec

from api.keyring import Keyring, Purpose, UnknownKey
from api.referrals.sealing.sealing import Sealer, SealError
from db.pool import Pool
from db.queries.sealed_keys import count_to_rewrap, page_to_rewrap, replace_wrapped

BATCH: Final = 200
"""Data keys in one transaction: a few hundredths of a second."""
ROUNDS: Final = 5
PAUSE_SECONDS: Final = 0.5
"""Between two rounds, for those who held a row in the first."""

Report = Callable[[int, int], None]
"""Is told after each batch how many were done of how many."""


class Rewrapped(msgspec.Struct, frozen=True, kw_only=True):
    done: int
    left: int
    """Held by somebody else all the time: the next run does them."""
    unreadable: list[UUID]
    """Referrals whose data key the keyring does not open. They are left as they are."""


async def rewrap_data_keys(
    database: Pool, keyring: Keyring, sealer: Sealer, report: Report, *, batch: int = BATCH
) -> Rewrapped:
    """Every data key that is not wrapped by the active key of the keyring. Raises DatabaseError."""
    active, _ = keyring.active(Purpose.SEALING)
    total = left = await _left(database, active)
    done = 0
    unreadable: set[UUID] = set()
    for round_number in range(ROUNDS):
        if left <= 0:
            break
        if round_number > 0:
            await asyncio.sleep(PAUSE_SECONDS)
        after: UUID | None = None
        while True:
            count, broken, after = await _batch(database, active, sealer, after, batch)
            done += count
            unreadable |= broken
            if after is None:
                break
            report(done, max(total, done + len(unreadable)))
        left = await _left(database, active) - len(unreadable)
    return Rewrapped(done=done, left=max(left, 0), unreadable=sorted(unreadable))


async def _left(database: Pool, active: str) -> int:
    async with database.transaction() as conn:
        await conn.become_worker()
        return await count_to_rewrap(conn, active)


async def _batch(
    database: Pool, active: str, sealer: Sealer, after: UUID | None, size: int
) -> tuple[int, set[UUID], UUID | None]:
    """How many were done, which could not be read, and where to go on; None at the end."""
    ids, new, old = list[UUID](), list[bytes](), list[bytes]()
    unreadable = set[UUID]()
    async with database.transaction() as conn:
        await conn.become_worker()
        page = await page_to_rewrap(conn, active, after, size)
        for row in page:
            assert row.wrapped is not None, "the statement leaves out what was erased"
            try:
                wrapped = sealer.rewrapped(row, active)
            except (SealError, UnknownKey):
                unreadable.add(row.referral_id)
                continue
            ids.append(row.referral_id)
            new.append(wrapped)
            old.append(row.wrapped)
        done = await replace_wrapped(conn, active, ids, new, old)
    return done, unreadable, page[-1].referral_id if page else None
