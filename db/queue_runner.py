"""Taking jobs off the queue, with pgqueuer's own manager on a connection of its own.

At least once: a worker that is killed leaves its jobs behind, and another one takes them when
their heartbeat has stopped. What a job means is settled by the rows that it is about.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import FailingListenerError

from db.connection import Connection
from db.errors import DatabaseUnavailable, translated
from db.pool import Limits, connect
from db.queue import QUEUE
from db.roles import WORKER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pgqueuer.domain.models import Job as TakenJob

    from db.queue import Entrypoint

POLL: Final = timedelta(seconds=0.2)
HEARTBEAT: Final = timedelta(seconds=12)
"""Without one for so long, a job is another worker's."""
BATCH: Final = 25
MOST: Final = 100
"""Jobs that one worker has taken and not finished."""
NEVER: Final = timedelta(0)
_LIMITS: Final = Limits(acquire=2.0, statement=5.0)


class JobFailed(Exception):
    """A job did not succeed. What is known of it was logged where it happened: the queue keeps the
    text and the traceback of what it is given, so it is given this."""


class QueueRunner:
    """Hands jobs to their handlers until it is told to stop. One task runs it at a time."""

    def __init__(
        self, dsn: str, handlers: Mapping[Entrypoint, Callable[[UUID | None], Awaitable[None]]]
    ) -> None:
        """A handler logs what goes wrong in it, and then raises whatever it likes."""
        self._dsn = dsn
        self._handlers = handlers
        self._under_way: set[asyncio.Task[object]] = set()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Returns when `stop` is set and what was under way is done; `on_ready` is called when the
        queue can be read.

        Raises DatabaseUnavailable when the connection is lost, when the jobs under way are done:
        those are done again by whoever takes them next.
        """
        driver = await connect(self._dsn, _LIMITS, application="clinicway queue", role=WORKER)
        try:
            with translated(Connection(driver).is_lost):
                await self._manage(AsyncpgDriver(driver), stop, on_ready)
        except FailingListenerError:
            raise DatabaseUnavailable("The queue's connection hears nothing any more") from None
        finally:
            driver.terminate()

    def cut(self) -> None:
        """End the handlers that are under way where they stand."""
        for task in self._under_way:
            task.cancel()

    async def _manage(
        self, driver: AsyncpgDriver, stop: asyncio.Event, on_ready: Callable[[], None]
    ) -> None:
        manager = QueueManager(
            Queries(
                driver,
                qbe=QueryBuilderEnvironment(QUEUE),
                qbq=QueryQueueBuilder(QUEUE),
                qbs=QuerySchedulerBuilder(QUEUE),
            ),
            channel=QUEUE.channel,
        )
        for name, handler in self._handlers.items():
            manager.entrypoint(name, accepts_context=False)(self._guarded(handler))
        await manager.verify_structure()
        on_ready()

        async def pass_on() -> None:
            await stop.wait()
            manager.shutdown.set()

        passing_on = asyncio.create_task(pass_on())
        try:
            await manager.run(
                dequeue_timeout=POLL,
                batch_size=BATCH,
                max_concurrent_tasks=MOST,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=HEARTBEAT,
                # Nobody reads the statistics: /metrics has its own.
                log_aggregation_interval=NEVER,
            )
        finally:
            passing_on.cancel()
            with suppress(asyncio.CancelledError):
                await passing_on

    def _guarded(
        self, handler: Callable[[UUID | None], Awaitable[None]]
    ) -> Callable[[TakenJob], Awaitable[None]]:
        async def guarded(job: TakenJob) -> None:
            task = asyncio.current_task()
            assert task is not None, "a coroutine runs in a task"
            self._under_way.add(task)
            try:
                failed = not await _succeeds(handler, job.payload)
            finally:
                self._under_way.discard(task)
            # Out here, so that nothing of the failure hangs on it.
            if failed:
                raise JobFailed

        return guarded


async def _succeeds(
    handler: Callable[[UUID | None], Awaitable[None]], payload: bytes | None
) -> bool:
    try:
        await handler(None if payload is None else UUID(payload.decode()))
    except Exception:
        return False
    return True
