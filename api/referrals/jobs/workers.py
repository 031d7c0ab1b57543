"""The workers of one process: the queue and the sweeper side by side, until they are told to stop.

They outlive every failure of the database, and of single jobs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.logs import described
from api.notices.sending import NoticeSender
from api.referrals.jobs.jobs import Striker
from api.referrals.jobs.sweeper import Duty, Sweeper
from db.errors import DatabaseError, DatabaseUnavailable
from db.queue import Entrypoint
from db.queue_runner import QueueRunner

AWAY_SECONDS: Final = 0.5
"""Between two attempts while the database is away."""
FAULT_SECONDS: Final = 5.0
"""After a fault of ours, which the next attempt most likely meets again."""
REPORT_SECONDS: Final = 60.0

_log = structlog.get_logger("api.referrals.jobs.workers")


class Reach:
    """Says that the database is out of reach once, and once that it is back."""

    def __init__(self) -> None:
        self.lost = False

    def away(self, error: DatabaseError) -> None:
        if not self.lost:
            self.lost = True
            _log.warning("database out of reach", sqlstate=error.sqlstate)

    def there(self) -> None:
        if self.lost:
            self.lost = False
            _log.info("database back")


class Workers:
    """`run` works until `stop` is called; both by the same event loop."""

    def __init__(
        self,
        dsn: str,
        *,
        sweeper: Sweeper,
        striker: Striker,
        notices: NoticeSender,
        handlers: Mapping[Entrypoint, Callable[[UUID | None], Awaitable[None]]],
    ) -> None:
        self._runner = QueueRunner(dsn, handlers)
        self._sweeper = sweeper
        self._striker = striker
        self._notices = notices
        self._stop = asyncio.Event()
        self._reach = Reach()
        self._running: asyncio.Task[None] | None = None
        self._sweeps: Counter[str] = Counter()

    def start(self, ready: asyncio.Event, *, report: bool = False) -> None:
        """Begin when `ready` is set (the directory is loaded); with `report`, a line a minute says
        that all is well."""
        self._running = asyncio.create_task(self._run(ready, report=report))

    async def stop(self, patience: float) -> None:
        """Take nothing new, let what is under way end for that many seconds, then cut it off."""
        if self._running is None:
            return
        self._stop.set()
        done, _ = await asyncio.wait({self._running}, timeout=patience)
        if not done:
            _log.warning("work cut off")
            self._runner.cut()
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self, ready: asyncio.Event, *, report: bool) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stopping.cancel()
        if self._stop.is_set():
            return
        duties = self._sweeper.duties()
        if report:
            _log.info("at work", duties=[duty.name for duty in duties])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_jobs())
            for duty in duties:
                tasks.create_task(self._perform(duty))
            if report:
                tasks.create_task(self._report())

    async def _take_jobs(self) -> None:
        while not self._stop.is_set():
            try:
                await self._runner.run(self._stop, self._reach.there)
            except DatabaseUnavailable as error:
                self._reach.away(error)
                await self._pause(AWAY_SECONDS)
            except Exception as error:
                _log.error("queue not read", **described(error))
                await self._pause(FAULT_SECONDS)

    async def _perform(self, duty: Duty) -> None:
        while not self._stop.is_set():
            try:
                more = await duty.work()
            except DatabaseUnavailable as error:
                self._reach.away(error)
                await self._pause(max(duty.every, AWAY_SECONDS))
            except Exception as error:
                _log.error("duty not done", duty=duty.name, **described(error))
                await self._pause(max(duty.every, FAULT_SECONDS))
            else:
                self._reach.there()
                self._sweeps[duty.name] += 1
                await self._pause(0 if more else duty.every)

    async def _report(self) -> None:
        while not self._stop.is_set():
            await self._pause(REPORT_SECONDS)
            backlog = self._sweeper.backlog
            _log.info(
                "working",
                reachable=not self._reach.lost,
                referrals=self._striker.struck,
                failures=self._striker.failures,
                notices=self._notices.outcomes.total(),
                lag_seconds=None if backlog is None else round(backlog.referral_lag, 3),
            )

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    def metrics(self) -> Collector:
        return _WorkMetrics(self._sweeper, self._striker, self._notices, self._sweeps)


class _WorkMetrics(Collector):
    """Counts of this process; the gauges are of the whole database, as it was a moment ago."""

    def __init__(
        self, sweeper: Sweeper, striker: Striker, notices: NoticeSender, sweeps: Counter[str]
    ) -> None:
        self._sweeper = sweeper
        self._striker = striker
        self._notices = notices
        self._sweeps = sweeps

    def collect(self) -> Iterator[Metric]:
        yield from self._backlog()
        yield CounterMetricFamily(
            "clinicway_referrals_struck", "Referrals worked on", value=self._striker.struck
        )
        yield CounterMetricFamily(
            "clinicway_referral_failures", "Attempts that failed", value=self._striker.failures
        )
        notices = CounterMetricFamily(
            "clinicway_notices", "Attempts to send a notice", labels=["audience", "outcome"]
        )
        for (audience, outcome), count in sorted(self._notices.outcomes.items()):
            notices.add_metric([audience, outcome], count)
        yield notices
        yield CounterMetricFamily(
            "clinicway_notices_given_up", "Notices given up", value=self._notices.given_up
        )
        sweeps = CounterMetricFamily("clinicway_sweeps", "Looks at a duty", labels=["duty"])
        for name, count in sorted(self._sweeps.items()):
            sweeps.add_metric([name], count)
        yield sweeps

    def _backlog(self) -> Sequence[Metric]:
        backlog = self._sweeper.backlog
        if backlog is None:
            return []
        return [
            GaugeMetricFamily(
                "clinicway_due_lag_seconds",
                "How long the oldest referral that is due has been waiting",
                value=backlog.referral_lag,
            ),
            GaugeMetricFamily(
                "clinicway_notice_lag_seconds",
                "How long the oldest notice that is due has been waiting",
                value=backlog.notice_lag,
            ),
            GaugeMetricFamily(
                "clinicway_queue_waiting", "Jobs that nobody has taken", value=backlog.queued
            ),
            GaugeMetricFamily(
                "clinicway_queue_taken", "Jobs that are being done", value=backlog.taken
            ),
        ]
