"""LISTEN on a connection of its own that is made anew whenever it is lost.

A notification is a hint, never the truth: what is sent while the connection is down is lost. That
is why the caller hears of every (re)connect as well, and then asks for what it may have missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from db.connection import Connection
from db.errors import DatabaseError
from db.pool import Limits, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
# A connection that a firewall has dropped looks alive. This is how often it is asked.
CHECK_EVERY = 10.0


class Listener:
    """Hands on the payloads of one channel until its task is cancelled.

    `on_payload` and `on_connected` are called on the event loop and must not block; setting an
    `asyncio.Event` is the usual thing. `on_lost`, when given, tells that hints have stopped.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        *,
        on_payload: Callable[[str], None],
        on_connected: Callable[[], None],
        on_lost: Callable[[], None] | None = None,
        check_every: float = CHECK_EVERY,
        role: str | None = None,
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._on_payload = on_payload
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._check_every = check_every
        self._role = role
        # The connection idles in no transaction and runs only the check, so it needs few limits.
        self._limits = Limits(acquire=2.0, statement=2.0)

    async def run(self) -> None:
        """Never returns. Reconnects after 0.1 s, doubling up to 5 s while the database is down."""
        delay = FIRST_DELAY
        while True:
            try:
                driver = await connect(
                    self._dsn, self._limits, application="clinicway listener", role=self._role
                )
            except DatabaseError:
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)
                continue
            delay = FIRST_DELAY
            try:
                await self._listen(driver)
            except DatabaseError:
                pass
            finally:
                driver.terminate()
                if self._on_lost is not None:
                    self._on_lost()
            await asyncio.sleep(delay)

    async def _listen(self, driver: asyncpg.Connection[asyncpg.Record]) -> None:
        """Returns, or raises `DatabaseError`, when the connection is gone."""
        gone = asyncio.Event()
        driver.add_termination_listener(lambda _: gone.set())
        connection = Connection(driver)
        await connection.listen(self._channel, self._on_payload)
        # After LISTEN has taken effect, so that nothing falls between the question and the hints.
        self._on_connected()
        while not gone.is_set():
            try:
                await asyncio.wait_for(gone.wait(), self._check_every)
            except TimeoutError:
                await connection.execute("select 1")
