"""The processes tell each other through the database what they have counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from api.clock import Clock
from api.rates.counts import WINDOW_SECONDS, Limit, Report
from db.errors import DatabaseError, DatabaseUnavailable
from db.pool import Pool
from db.queries.rates import delete_old_windows, exchange_counts

EVERY_SECONDS: Final = 0.25
SHORTEST_SECONDS: Final = 0.02
"""Between two exchanges when somebody is so fast that the others must know at once."""
_PATIENCE_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 4.0
_KEPT: Final = timedelta(seconds=2 * WINDOW_SECONDS)
_SWEEP_AFTER: Final = timedelta(seconds=3 * WINDOW_SECONDS)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_log = structlog.get_logger("api.rates")


class Sharing:
    """One for each process. While the database is away every process goes by its own count."""

    def __init__(self, limits: Sequence[Limit], database: Pool, clock: Clock) -> None:
        self._limits = limits
        self._database = database
        self._clock = clock
        # What others have left behind is tidied up at the first opportunity.
        self._sweep_at = clock.now()
        self._told_at = datetime.min.replace(tzinfo=UTC)
        self._hurry = asyncio.Event()
        for limit in limits:
            limit.on_hurry = self._hurry.set

    async def run(self) -> None:
        """Never returns; to be cancelled. Outlives every failure of the database."""
        pause = EVERY_SECONDS
        while True:
            try:
                await self.exchange()
            except DatabaseUnavailable:
                # Readiness and metrics say so already; here nothing is lost by it.
                pause = min(2 * pause, _LONGEST_PAUSE)
                await asyncio.sleep(pause)
            except DatabaseError as error:
                _log.warning("rate limits are not shared", sqlstate=error.sqlstate)
                await asyncio.sleep(_LONGEST_PAUSE)
            else:
                pause = EVERY_SECONDS
                await asyncio.sleep(SHORTEST_SECONDS)
                await self._next_news()

    async def _next_news(self) -> None:
        """Wait until it is time again, or until somebody is too fast for that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS - SHORTEST_SECONDS):
                await self._hurry.wait()
        self._hurry.clear()

    async def exchange(self) -> None:
        """Tell what is new and hear what the others have counted of the same names. Asks the
        database nothing when nothing is new. Raises DatabaseError; what was to be told then stays
        to be told, at worst for a second time: a limit may come early and never late."""
        at = self._clock.monotonic()
        for limit in self._limits:
            limit.turn(at)
        reports = [report for limit in self._limits for report in limit.reports()]
        try:
            if reports:
                await self._tell(reports)
        except BaseException:
            for report in reports:
                report.bucket.limit.not_heard(report)
            raise
        await self._sweep()

    async def _tell(self, reports: Sequence[Report]) -> None:
        by_name = {each.bucket.limit.hidden(each.bucket): each for each in reports}
        async with self._database.acquire(patience=_PATIENCE_SECONDS) as conn:
            heard = await exchange_counts(
                conn,
                opened=[_moment(each.bucket.opened) for each in by_name.values()],
                buckets=list(by_name),
                news=[each.news for each in by_name.values()],
            )
        for row in heard:
            report = by_name[row.bucket]
            report.bucket.limit.heard(report, row.count)
        self._told_at = self._clock.now()
        self._sweep_at = min(self._sweep_at, self._told_at + _SWEEP_AFTER)

    async def _sweep(self) -> None:
        now = self._clock.now()
        if now < self._sweep_at:
            return
        async with self._database.acquire(patience=_PATIENCE_SECONDS) as conn:
            await delete_old_windows(conn, now - _KEPT)
        left_some = self._told_at > now - _SWEEP_AFTER
        self._sweep_at = now + _SWEEP_AFTER if left_some else _NEVER


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
