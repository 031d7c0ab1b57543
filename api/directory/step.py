"""One write of the directory: one transaction, one holder of the lock, then sight of it here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from api.clock import Clock
from db.connection import Connection
from db.pool import Pool
from db.queries.changes import lock_directory

SIGHT_SECONDS: Final = 2.0
"""How long an answer waits for this process's index. The write is committed either way."""


class Follower(Protocol):
    """What keeps this process's index in step with the log."""

    async def wait_for(self, seq: int) -> object:
        """Return once the index has applied the change of that number."""
        ...


class Services(Protocol):
    """The part of the application's state that a write needs."""

    @property
    def database(self) -> Pool: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def follower(self) -> Follower: ...


class Step:
    """A write under way. Everything in it happens at one moment, `now`, by one `actor`."""

    __slots__ = ("actor", "clock", "conn", "newest", "now")

    def __init__(self, conn: Connection, clock: Clock, actor: str) -> None:
        self.conn = conn
        self.clock = clock
        self.now: datetime = clock.now()
        self.actor = actor
        self.newest: int | None = None
        """The number of the last change this step wrote; None while it has written none."""

    def new_id(self) -> UUID:
        return self.clock.new_id()


@asynccontextmanager
async def locked_step(database: Pool, clock: Clock, actor: str) -> AsyncGenerator[Step]:
    """A step that nobody waits to see: imports, and jobs. Commits at the end.

    `actor` is what the history says of who did it, such as `key:01ab`, `import:samhsa`.
    Raises `DatabaseUnavailable` when the lock is not free within the pool's lock timeout.
    """
    async with database.transaction() as conn:
        # Before anything is read: what is read under the lock stays true until the commit.
        await lock_directory(conn)
        yield Step(conn, clock, actor)


@asynccontextmanager
async def directory_write(state: Services, actor: str) -> AsyncGenerator[Step]:
    """A step whose answer is not sent before this process's index holds what it wrote."""
    async with locked_step(state.database, state.clock, actor) as step:
        yield step
    if step.newest is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SIGHT_SECONDS):
                await state.follower.wait_for(step.newest)
