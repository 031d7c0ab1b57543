"""A session that stays: it holds on to what it has locked, or hears what is told to everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Thread
from types import TracebackType
from typing import Any

from db.connection import Connection
from db.pool import connect
from tests.conftest import PATIENT


class Holder:
    """A connection on a loop of its own, closed with the `with` block."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="holder", daemon=True)

    def __enter__(self) -> Holder:
        self._thread.start()
        self._driver = self._run(connect(self._dsn, PATIENT, application="tests"))
        # It does nothing for long.
        self._run(self._driver.execute("set idle_in_transaction_session_timeout to 0"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._driver.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, *statements: str) -> None:
        """Do this in a transaction that stays open."""

        async def begun() -> None:
            connection = Connection(self._driver)
            await connection.execute("begin")
            for statement in statements:
                await connection.execute(statement)

        self._run(begun())

    def listen(self, channel: str) -> list[str]:
        """The payloads of its notifications, growing as they come."""
        heard: list[str] = []
        self._run(Connection(self._driver).listen(channel, heard.append))
        return heard

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)
