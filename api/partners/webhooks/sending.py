"""Sending what is due: claimed in one transaction, sent outside any, written down in another.

A message that was claimed and of which nothing more is heard (the process died, or stood still) is
claimed again when the lease has run out, and sent under the same id: at least once. Whoever wakes
up late writes down nothing, because a newer attempt has begun.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog
from structlog.typing import FilteringBoundLogger

from api.clock import Clock
from api.keyring import Keyring
from api.logs import described
from api.partners.webhooks.posting import SECONDS, Answer, Poster
from api.partners.webhooks.schedule import REST, delay_after, pause_asked_for
from api.partners.webhooks.signing import (
    CURRENT,
    PREVIOUS,
    SecretBox,
    SecretUnreadable,
    signed_headers,
)
from db.connection import Connection
from db.errors import DatabaseError
from db.pool import Pool
from db.queries.webhooks import (
    claim_due,
    disable_subscription,
    end_pending,
    forget_deliveries,
    hush_subscription,
    lock_subscription,
    mark_dead,
    mark_delivered,
    put_off,
)
from db.states import DeliveryFault, DisabledReason
from db.webhook_rows import ClaimedRow

LEASE_SECONDS: Final = 60.0
"""How long an attempt may take, the wait for the database in the end included, before the message
is taken for not sent."""
AT_ONCE: Final = 50
PER_WEBHOOK: Final = 5
KEEP_SECONDS: Final = 30 * 24 * 3600.0
"""How long the log of deliveries reaches back."""
_BITE: Final = 1000
_PATIENCE: Final = 10.0
_WRITERS: Final = 2
_MOST_FAILING: Final = 10_000
_ASK_FOR_TIME: Final = frozenset({429, 503})
# Nothing that a later attempt could change: no further one is made.
_FINAL: Final = frozenset(
    {DeliveryFault.GONE, DeliveryFault.WEBHOOK_DISABLED, DeliveryFault.KEY_ENDED}
)

_log = structlog.get_logger()


def _chance() -> float:
    return secrets.randbelow(1000) / 1000


class Sender:
    """Sends messages to webhooks. Any number of them may work on one database."""

    def __init__(
        self,
        *,
        database: Pool,
        keyring: Keyring,
        clock: Clock,
        poster: Poster,
        lease_seconds: float = LEASE_SECONDS,
        chance: Callable[[], float] = _chance,
    ) -> None:
        """`poster` is entered by whoever made it; `chance` gives numbers from 0 to 1."""
        self._database = database
        self._box = SecretBox(keyring)
        self._clock = clock
        self._poster = poster
        self._lease_seconds = lease_seconds
        self._chance = chance
        # The pool belongs to others, too.
        self._writing = asyncio.Semaphore(_WRITERS)
        self._failing: dict[UUID, None] = {}

    async def send_due(self, limit: int = AT_ONCE) -> int:
        """Make one attempt for each of up to `limit` messages that are due; how many there were.

        Less than `limit` does not mean that nothing else is due: of one webhook, only a few are
        sent at once. Zero means that nothing is due now. Raises DatabaseUnavailable when nothing
        could be claimed; an outcome that cannot be written down is logged, and the message is
        sent again.
        """
        claimed_at = self._clock.monotonic()
        async with self._database.transaction() as conn:
            await conn.become_worker()
            claimed = await claim_due(
                conn,
                limit=limit,
                per_subscription=PER_WEBHOOK,
                lease_seconds=self._lease_seconds,
            )
        await asyncio.gather(*(self._deliver(row, claimed_at) for row in claimed))
        return len(claimed)

    async def forget_old(self) -> int:
        """Delete what ended longer ago than the log reaches back, a bite of it; how many rows."""
        async with self._database.transaction() as conn:
            await conn.become_worker()
            return await forget_deliveries(conn, older_than_seconds=KEEP_SECONDS, limit=_BITE)

    async def _deliver(self, row: ClaimedRow, claimed_at: float) -> None:
        if self._clock.monotonic() - claimed_at > self._lease_seconds - SECONDS:
            # This process stood still for so long that another may be sending the message.
            return
        log = _log.bind(
            delivery=str(row.id), webhook=str(row.subscription_id), attempt=row.attempts
        )
        try:
            answer = await self._attempt(row)
        except Exception as error:
            # Whatever nobody thought of is this message's own failure: the others go on, and this
            # one follows its schedule to the end.
            log.error("attempt of a webhook broke", **described(error))  # noqa: TRY400 (texts may hold what was sent)
            answer = Answer(fault=DeliveryFault.NOT_REACHED)
        self._tell(row, answer, log)
        try:
            async with (
                self._writing,
                self._database.transaction(patience=_PATIENCE) as conn,
            ):
                await conn.become_worker()
                noted = await self._note(conn, row, answer)
        except DatabaseError as error:
            log.warning("outcome of a webhook not noted", sqlstate=error.sqlstate)
        except Exception as error:
            # Its lease runs out; the others have an outcome of their own.
            log.error("outcome of a webhook not noted", **described(error))  # noqa: TRY400 (texts may hold what was sent)
        else:
            if not noted:
                log.warning("outcome of a webhook came too late")

    def _tell(self, row: ClaimedRow, answer: Answer, log: FilteringBoundLogger) -> None:
        """A line when a webhook starts to fail and when it works again; a receiver that is away
        for a day would fill the log otherwise. Each process tells what it has seen."""
        webhook = row.subscription_id
        if answer.fault is None:
            if webhook in self._failing:
                del self._failing[webhook]
                log.info("webhook works again")
            return
        log.debug("webhook not delivered", fault=str(answer.fault), status=answer.status)
        if webhook not in self._failing:
            log.info("webhook fails", fault=str(answer.fault), status=answer.status)
            self._failing[webhook] = None
            if len(self._failing) > _MOST_FAILING:
                # The oldest: it may have been deleted long ago.
                del self._failing[next(iter(self._failing))]

    async def _attempt(self, row: ClaimedRow) -> Answer:
        if row.disabled:
            return Answer(fault=DeliveryFault.WEBHOOK_DISABLED)
        if not row.key_lives:
            return Answer(fault=DeliveryFault.KEY_ENDED)
        try:
            signing = [
                self._box.open(row.subscription_id, CURRENT, row.secret_keyring_id, row.secret)
            ]
            if row.previous_secret is not None and row.previous_keyring_id is not None:
                signing.append(
                    self._box.open(
                        row.subscription_id, PREVIOUS, row.previous_keyring_id, row.previous_secret
                    )
                )
        except SecretUnreadable:
            return Answer(fault=DeliveryFault.SECRET_UNREADABLE)
        headers = signed_headers(row.id, self._clock.now(), row.payload, signing)
        return await self._poster.post(row.url, headers, row.payload)

    async def _note(self, conn: Connection, row: ClaimedRow, answer: Answer) -> int:
        """Write down what came of an attempt; 0 if another one has begun since."""
        fault, status = answer.fault, answer.status
        if fault is None:
            assert status is not None, "a message is taken by an answer"
            return await mark_delivered(conn, row.id, row.attempts, status=status)
        # The webhook first, then its message: whoever deletes a webhook comes in this order, too.
        await lock_subscription(conn, row.subscription_id)
        delay = None if fault in _FINAL else delay_after(row.tries, self._chance())
        pause = self._pause(answer)
        if delay is None:
            noted = await mark_dead(conn, row.id, row.attempts, status=status, fault=fault)
        else:
            noted = await put_off(
                conn,
                row.id,
                row.attempts,
                seconds=max(delay, pause or 0.0),
                status=status,
                fault=fault,
            )
        if noted and fault is DeliveryFault.GONE:
            await disable_subscription(conn, row.subscription_id, DisabledReason.GONE)
            await end_pending(conn, row.subscription_id)
        elif noted and pause is not None:
            await hush_subscription(conn, row.subscription_id, pause)
        elif noted and status is None and delay is not None:
            await hush_subscription(conn, row.subscription_id, min(delay, REST))
        return noted

    def _pause(self, answer: Answer) -> float | None:
        if answer.status not in _ASK_FOR_TIME:
            return None
        return pause_asked_for(answer.retry_after, self._clock.now())
