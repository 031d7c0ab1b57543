"""The pool of connections, and one transaction a request.

The pool opens no connection before one is asked for, so that a process starts, and goes on, while
the database is down.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from db.connection import Connection
from db.errors import DRIVER_ERRORS, DatabaseError, connecting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from db.connection import Isolation

READ_ONLY_SERVER = "25006"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long anything may take, in seconds. What takes longer is given up, not waited for."""

    acquire: float = 1.0
    """A connection from the pool, whether it must be made or waited for."""
    statement: float = 5.0
    lock: float = 2.0
    idle_in_transaction: float = 15.0

    def server_settings(self, application: str, role: str | None) -> dict[str, str]:
        settings = {
            "application_name": application,
            "timezone": "UTC",
            "statement_timeout": _milliseconds(self.statement),
            "lock_timeout": _milliseconds(self.lock),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction),
        }
        if role is not None:
            # Given with the connection, it is also what a reset of the session goes back to.
            settings["role"] = role
        return settings


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def connect(
    dsn: str, limits: Limits, *, application: str, role: str | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside the pool, to the primary when the address names several hosts.

    With a `role` (of `db.roles`) it has that role's rights in place of the login's. Raises
    `DatabaseUnavailable`, after `limits.acquire` seconds at most.
    """
    with connecting(role):
        return await asyncpg.connect(
            dsn,
            timeout=limits.acquire,
            # The server's own limit comes first. This one is for a server that has stopped
            # answering, or a network that swallows packets.
            command_timeout=limits.statement + 1.0,
            server_settings=limits.server_settings(application, role),
            target_session_attrs=SessionAttribute.primary,
        )


class Pool:
    """Connections to one database. Made by the composition root, closed by it.

    With a `role` (of `db.roles`) every connection has that role's rights in place of the login's.
    """

    def __init__(
        self,
        dsn: str,
        *,
        size: int = 10,
        limits: Limits | None = None,
        application: str = "clinicway",
        role: str | None = None,
    ) -> None:
        self._dsn = dsn
        self._size = size
        self._limits = limits or Limits()
        self._application = application
        self._role = role
        self._driver: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Make the pool ready on the running event loop; connects to nothing yet."""
        if self._driver is not None:
            return
        limits = self._limits
        self._driver = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._size,
            timeout=limits.acquire,
            command_timeout=limits.statement + 1.0,
            server_settings=limits.server_settings(self._application, self._role),
            target_session_attrs=SessionAttribute.primary,
        )

    async def close(self, *, patience: float = 5.0) -> None:
        """Let what is running end for that many seconds, then cut it off."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        try:
            async with asyncio.timeout(patience):
                await driver.close()
        except DRIVER_ERRORS:
            # Out of patience, or the server is gone and the farewell cannot be said.
            driver.terminate()

    @asynccontextmanager
    async def acquire(self, *, patience: float | None = None) -> AsyncGenerator[Connection]:
        """A connection outside any transaction, or `DatabaseUnavailable` within `patience`.

        `patience` is in seconds; left out, it is the pool's own limit.
        """
        if self._driver is None:
            await self.open()
        driver = self._driver
        assert driver is not None, "the pool was closed while a connection was asked for"
        with connecting(self._role):
            held = await driver.acquire(
                timeout=self._limits.acquire if patience is None else patience
            )
        connection = Connection(held)
        try:
            yield connection
        except DatabaseError as error:
            if error.sqlstate == READ_ONLY_SERVER:
                # The server was demoted under us: every connection to it must be made anew.
                await driver.expire_connections()
            raise
        finally:
            # A failed release has closed the connection already. What was committed stays so,
            # and the caller must not be told otherwise.
            with suppress(*DRIVER_ERRORS):
                await driver.release(held)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation = "read_committed",
        readonly: bool = False,
        patience: float | None = None,
    ) -> AsyncGenerator[Connection]:
        """One request or job: committed at the end, rolled back on any exception.

        Raises `DatabaseUnavailable` when no connection can be had or it is lost underway.
        """
        async with (
            self.acquire(patience=patience) as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
        ):
            yield connection
