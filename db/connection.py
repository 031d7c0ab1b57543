"""A connection as the rest of the service sees it: typed, and failing only with `db.errors`.

The driver passes json and jsonb as text in both directions unless told otherwise. That is what we
want: documents are encoded and decoded by msgspec on our side, once.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import asyncpg
import msgspec

from db.errors import translated
from db.roles import WORKER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

    from asyncpg.pool import PoolConnectionProxy

    DriverConnection: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    )

T = TypeVar("T")
Isolation: TypeAlias = Literal["read_committed", "repeatable_read", "serializable"]


class Connection:
    """One connection, in the hands of one task at a time.

    Every method raises only subclasses of `db.errors.DatabaseError`.
    """

    __slots__ = ("_driver",)

    def __init__(self, driver: DriverConnection) -> None:
        self._driver = driver

    def is_lost(self) -> bool:
        try:
            return self._driver.is_closed()
        except asyncpg.InterfaceError:
            # The pool takes a broken connection back while it is still in our hands.
            return True

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        with translated(self.is_lost):
            return await self._driver.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        with translated(self.is_lost):
            return await self._driver.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> object:
        with translated(self.is_lost):
            return await self._driver.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object, timeout: float | None = None) -> int:  # noqa: ASYNC109 (the driver's own limit, which also cancels the statement)
        """Run one statement (several, when there are no arguments); how many rows it touched."""
        with translated(self.is_lost):
            status = await self._driver.execute(sql, *args, timeout=timeout)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row; all of them or none."""
        with translated(self.is_lost):
            await self._driver.executemany(sql, rows)

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> None:
        with translated(self.is_lost):
            await self._driver.copy_records_to_table(table, records=records, columns=columns)

    async def become_worker(self) -> None:
        """Do the rest of this transaction as `db.roles.WORKER`, or of the savepoint if it fails.

        For what follows from a step that row-level security has let through. The connection goes
        back to the pool with the role that the pool gave it.
        """
        assert self._driver.is_in_transaction(), "outside a transaction this would change nothing"
        await self.execute("select set_config('role', $1, true)", WORKER)

    async def listen(self, channel: str, on_payload: Callable[[str], None]) -> None:
        """Call back with the payload of every notification, for as long as the connection lives."""

        def hand_on(_driver: object, _pid: int, _channel: str, payload: object) -> None:
            on_payload(str(payload))

        with translated(self.is_lost):
            await self._driver.add_listener(channel, hand_on)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read_committed", readonly: bool = False
    ) -> AsyncGenerator[None]:
        """Commit at the end, roll back on an exception. Inside another one: a savepoint."""
        driver = self._driver
        # Inside another transaction the driver refuses options that differ from the outer ones.
        block = (
            driver.transaction()
            if driver.is_in_transaction()
            else driver.transaction(isolation=isolation, readonly=readonly)
        )
        with translated(self.is_lost):
            await block.start()
        try:
            yield
        except BaseException:
            # A rollback that fails has been done by the server already: the connection is gone.
            # What broke the transaction is what the caller must hear of.
            if not self.is_lost():
                with translated(self.is_lost):
                    await block.rollback()
            raise
        with translated(self.is_lost):
            await block.commit()

    async def stream(
        self, sql: str, *args: object, prefetch: int = 500
    ) -> AsyncIterator[asyncpg.Record]:
        """Row by row, `prefetch` at a time, inside a transaction: for answers of any length."""
        with translated(self.is_lost):
            cursor = self._driver.cursor(sql, *args, prefetch=prefetch)
            async for record in cursor:
                yield record


def converted(record: asyncpg.Record, row: type[T]) -> T:
    """A record as the row Struct whose fields are the record's columns."""
    # The driver's Record is not a Mapping, which is why a dict is made of it.
    columns: dict[str, Any] = dict(record)
    return msgspec.convert(columns, row)


async def rows(conn: Connection, row: type[T], sql: str, *args: object) -> list[T]:
    return [converted(record, row) for record in await conn.fetch(sql, *args)]


async def row_or_none(conn: Connection, row: type[T], sql: str, *args: object) -> T | None:
    record = await conn.fetchrow(sql, *args)
    return None if record is None else converted(record, row)


async def one_row(conn: Connection, row: type[T], sql: str, *args: object) -> T:
    """The only row of a statement that always gives one (`returning`, an aggregate)."""
    record = await conn.fetchrow(sql, *args)
    assert record is not None, "the statement gave no row"
    return converted(record, row)


async def value(conn: Connection, kind: type[T], sql: str, *args: object) -> T:
    """The only column of the only row, checked to be of that type (`int | None` is one, too)."""
    return msgspec.convert(await conn.fetchval(sql, *args), kind)


async def values(conn: Connection, kind: type[T], sql: str, *args: object) -> list[T]:
    """The only column of every row."""
    return msgspec.convert([record[0] for record in await conn.fetch(sql, *args)], list[kind])


async def stream_rows(
    conn: Connection, row: type[T], sql: str, *args: object, prefetch: int = 500
) -> AsyncIterator[T]:
    async for record in conn.stream(sql, *args, prefetch=prefetch):
        yield converted(record, row)
