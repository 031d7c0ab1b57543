"""What the jobs of the queue do. Each looks at the rows that it is about and does what is due
there: a job that comes twice, or too late, finds nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from uuid import UUID

import structlog

from api.clock import Clock
from api.logs import described
from api.notices.sending import NoticeSender
from api.partners.webhooks.sending import Sender
from db.errors import DatabaseUnavailable, TransactionConflict
from db.queue import DELIVER, FULL, NOTIFY, WAKE, Entrypoint

AT_ONCE: Final = 4
"""Referrals that one process works on side by side."""
PRESSED_SECONDS: Final = 10.0
"""For so long deadlines may hold up the notices."""
_CONFLICTS: Final = 3
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 300.0

_log = structlog.get_logger("api.referrals.jobs.jobs")

Handler = Callable[[UUID | None], Awaitable[None]]


class Striker:
    """Does what is due with a referral; one that fails waits longer each time before it is tried
    again, so that it does not keep the others from their turn."""

    def __init__(self, strike: Callable[[UUID], Awaitable[None]], clock: Clock) -> None:
        """`strike` does in one transaction whatever is due with that referral, or nothing."""
        self._strike = strike
        self._monotonic = clock.monotonic
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._failed: dict[UUID, tuple[float, float]] = {}
        self._pressed_since: float | None = None
        self.struck = 0
        self.failures = 0

    async def strike(self, referral_id: UUID) -> bool:
        """Whether all that was due is done. Raises DatabaseUnavailable."""
        async with self._turns:
            for _ in range(_CONFLICTS):
                try:
                    await self._strike(referral_id)
                except TransactionConflict:
                    continue
                except DatabaseUnavailable:
                    raise
                except Exception as error:
                    self.failures += 1
                    pause = self._wait(referral_id)
                    _log.error(
                        "referral not worked on",
                        referral=str(referral_id),
                        pause=pause,
                        **described(error),
                    )
                    return False
                self.struck += 1
                return True
            return False

    def waiting(self) -> list[UUID]:
        """Those that failed and whose pause is not over."""
        now = self._monotonic()
        # A pause that is long over was the last one: it went well, or somebody else did it.
        self._failed = {
            each: (until, pause)
            for each, (until, pause) in self._failed.items()
            if until + pause + _FIRST_PAUSE > now
        }
        return [each for each, (until, _) in self._failed.items() if until > now]

    def press(self, pressed: bool) -> None:
        """Whether more is due than can be taken at once."""
        if not pressed:
            self._pressed_since = None
        elif self._pressed_since is None:
            self._pressed_since = self._monotonic()

    def is_pressed(self) -> bool:
        """Whether what can wait for some seconds should: a deadline is acted on before the mails
        about others are sent. Not for ever: those must go out, too."""
        since = self._pressed_since
        return since is not None and self._monotonic() - since < PRESSED_SECONDS

    def put_off(self, referrals: Iterable[UUID]) -> None:
        """They were worked on and are due as before."""
        for each in referrals:
            self._wait(each)

    def _wait(self, referral_id: UUID) -> float:
        _, before = self._failed.get(referral_id, (0.0, _FIRST_PAUSE / 2))
        pause = min(2 * before, _LONGEST_PAUSE)
        self._failed[referral_id] = (self._monotonic() + pause, pause)
        return pause


def handlers(
    striker: Striker,
    notices: NoticeSender,
    webhooks: Sender,
    clinic_full: Callable[[UUID], Awaitable[None]],
) -> Mapping[Entrypoint, Handler]:
    """By entry point of the queue. What fails in one of them is logged there; what was not done is
    found by the sweeper."""

    async def wake(referral_id: UUID | None) -> None:
        if referral_id is not None:
            await striker.strike(referral_id)

    async def notify(referral_id: UUID | None) -> None:
        # While a batch is being sent, the sweeper comes at once for what is due after it.
        if not striker.is_pressed() and not notices.is_busy():
            await notices.send_due(referral_id)

    async def deliver(_: UUID | None) -> None:
        await webhooks.send_due()

    async def full(clinic_id: UUID | None) -> None:
        if clinic_id is not None:
            await clinic_full(clinic_id)

    return {
        WAKE: _told(WAKE, wake),
        NOTIFY: _told(NOTIFY, notify),
        DELIVER: _told(DELIVER, deliver),
        FULL: _told(FULL, full),
    }


def _told(name: Entrypoint, handler: Handler) -> Handler:
    async def told(payload: UUID | None) -> None:
        try:
            await handler(payload)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            _log.error("job failed", job=name, **described(error))
            raise

    return told
