"""What pgqueuer's generator says is missing from the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.tm import TaskManager

from db.queue import QUEUE

if TYPE_CHECKING:
    from typing import Self

    from pgqueuer.ports.driver import NotifyCallback

    from db.connection import Connection


async def statements_to_install(conn: Connection) -> list[str]:
    """In order, each to be run by itself; none when the tables are as this release wants them.

    Raises `pgqueuer.domain.errors.SchemaDriftError` for tables that are somebody else's.
    """
    queries = Queries(_Reading(conn), qbe=QueryBuilderEnvironment(QUEUE))
    return list((await queries.plan_upgrade()).statements)


class _Reading:
    """The part of pgqueuer's driver that looking at a schema needs, on a connection of ours."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._shutdown = asyncio.Event()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return [dict(record) for record in await self._conn.fetch(query, *args)]

    async def execute(self, query: str, *args: object) -> str:
        raise NotImplementedError

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        raise NotImplementedError

    async def notify(self, channel: str, payload: str) -> None:
        raise NotImplementedError

    @property
    def shutdown(self) -> asyncio.Event:
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...
