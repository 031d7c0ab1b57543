"""What the workers look for by themselves. The queue is faster, but this is what everything that
has to happen can rely on: it asks the domain tables what is due by the database's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from api.clock import Clock
from api.notices.sending import NoticeSender
from api.partners.webhooks.sending import Sender
from api.referrals.idempotency import AT_ONCE as ANSWERS_AT_ONCE
from api.referrals.idempotency import forget_old
from api.referrals.jobs.jobs import Striker
from db.pool import Pool
from db.queries.changes import changes_after
from db.queries.sweeps import (
    backlog,
    begin_duty,
    claim_due_referrals,
    clinics_with_referrals,
    forget_finished_jobs,
    move_reader,
    still_due,
    take_reader,
)
from db.rows import ChangeRow
from db.states import ChangeKind
from db.work_rows import BacklogRow

DUE_EVERY: Final = 0.25
"""Seconds between two looks; a deadline is acted on within five."""
LOG_EVERY: Final = 0.5
BACKLOG_EVERY: Final = 5.0
FORGET_EVERY: Final = 60.0
ERASE_EVERY: Final = 60.0
CLAIMED: Final = 64
"""Referrals that a process takes at once; another process takes the next ones meanwhile."""
_AMONG: Final = 512
_CHANGES: Final = 200
_BITE: Final = 1000

_log = structlog.get_logger("api.referrals.jobs.sweeper")


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be looked after. `work` says whether there is more to do at once."""

    name: str
    every: float
    """Seconds between two looks, when there was no more to do."""
    work: Callable[[], Awaitable[bool]]


class Sweeper:
    """The duties that are about rows. `database` is a pool with the worker's rights."""

    def __init__(
        self,
        database: Pool,
        clock: Clock,
        *,
        striker: Striker,
        notices: NoticeSender,
        webhooks: Sender,
        clinic_changed: Callable[[ChangeRow], Awaitable[None]],
        erase_expired: Callable[[], Awaitable[int]],
        measure: Callable[[], Awaitable[int]],
        measure_every: float,
    ) -> None:
        """`clinic_changed` does what a change of the directory means to referrals; it may be given
        a change twice. `erase_expired` and `measure` say how many they did."""
        self._database = database
        self._clock = clock
        self._striker = striker
        self._notices = notices
        self._webhooks = webhooks
        self._clinic_changed = clinic_changed
        self._erase_expired = erase_expired
        self._measure = measure
        self._measure_every = measure_every
        self.backlog: BacklogRow | None = None
        """As it was when it was last asked for."""

    def duties(self) -> list[Duty]:
        return [
            Duty(name="deadlines", every=DUE_EVERY, work=self.deadlines),
            Duty(name="notices", every=DUE_EVERY, work=self.notices),
            Duty(name="webhooks", every=DUE_EVERY, work=self.webhooks),
            Duty(name="directory", every=LOG_EVERY, work=self.directory),
            Duty(name="backlog", every=BACKLOG_EVERY, work=self.look_at_backlog),
            self._now_and_then("forgetting", FORGET_EVERY, self.forget),
            self._now_and_then("retention", ERASE_EVERY, self.erase),
            self._now_and_then("responsiveness", self._measure_every, self.measure),
        ]

    async def deadlines(self) -> bool:
        """The claim is a transaction that stays open while the referrals are worked on in others:
        whatever happens to this process, they are free again at once."""
        waiting = self._striker.waiting()
        async with self._database.transaction() as conn:
            claimed = await claim_due_referrals(conn, waiting, limit=CLAIMED, among=_AMONG)
            self._striker.press(len(claimed) == CLAIMED)
            if not claimed:
                return False
            outcomes = await asyncio.gather(
                *(self._striker.strike(each) for each in claimed), return_exceptions=True
            )
            # Nothing came of those: they must not be the longest due, and the first, every time.
            self._striker.put_off(await still_due(conn, claimed))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(claimed) == CLAIMED

    async def notices(self) -> bool:
        return not self._striker.is_pressed() and await self._notices.send_due() > 0

    async def webhooks(self) -> bool:
        return await self._webhooks.send_due() > 0

    async def directory(self) -> bool:
        """What the log says since it was last read here. The reader's row is held meanwhile, and
        moved on when everything is done that the changes mean."""
        async with self._database.transaction() as conn:
            seq = await take_reader(conn)
            if seq is None:
                return False
            changes = await changes_after(conn, seq, _CHANGES)
            if not changes:
                return False
            clinics = list({each.clinic_id for each in changes})
            newest = {
                each.clinic_id: each.change_seq
                for each in await clinics_with_referrals(conn, clinics)
            }
            for change in changes:
                if _still_matters(change, newest.get(change.clinic_id)):
                    await self._clinic_changed(change)
            await move_reader(conn, changes[-1].seq)
        return len(changes) == _CHANGES

    async def look_at_backlog(self) -> bool:
        async with self._database.transaction(readonly=True) as conn:
            self.backlog = await backlog(conn)
        return False

    async def forget(self) -> bool:
        """Answers kept for Idempotency-Keys, and the logs of the queue and of the webhooks."""
        async with self._database.transaction() as conn:
            answers = await forget_old(conn, self._clock.now())
            jobs = await forget_finished_jobs(conn, _BITE)
        deliveries = await self._webhooks.forget_old()
        return answers == ANSWERS_AT_ONCE or _BITE in (jobs, deliveries)

    async def erase(self) -> bool:
        erased = await self._erase_expired()
        if erased:
            _log.info("referrals erased after their retention", referrals=erased)
        return erased > 0

    async def measure(self) -> bool:
        changed = await self._measure()
        if changed:
            _log.info("responsiveness measured", clinics=changed)
        return False

    def _now_and_then(self, name: str, every: float, work: Callable[[], Awaitable[bool]]) -> Duty:
        """A duty of all processes together: each asks often, and one does it."""

        async def if_it_is_time() -> bool:
            async with self._database.transaction() as conn:
                if not await begin_duty(conn, name, every):
                    return False
            while await work():
                pass
            return False

        return Duty(name=name, every=min(every, FORGET_EVERY), work=if_it_is_time)


def _still_matters(change: ChangeRow, newest: int | None) -> bool:
    """Whether the clinic has referrals (`newest` is the number of its last change then), and is
    still as the change says: one that has opened again since is not closed."""
    if newest is None:
        return False
    return change.kind is not ChangeKind.UPSERT or change.seq == newest
