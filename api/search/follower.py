"""Keeps this process's index in step with the log of the directory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, assert_never

import structlog

from api.directory.catalogue import Catalogue
from api.logs import described
from api.search.index import SearchIndex
from db.errors import DatabaseError
from db.listen import Listener
from db.pool import Pool
from db.queries.catalogue import catalogue_entries
from db.queries.changes import changes_after, live_profiles, newest_change, redirects
from db.roles import SERVICE
from db.rows import ChangeRow
from db.states import ChangeKind

CHANNEL: Final = "directory_change"
BATCH: Final = 500
"""Profiles or changes taken in at once: the event loop is held for about 20 ms."""
WORDS_AT_ONCE: Final = 200
RETRY_SECONDS: Final = 0.5
FAULT_SECONDS: Final = 5.0
"""Between two attempts to load a directory that cannot be read: each takes all there is anew."""


class Follower:
    """Loads the index once, then applies every change, in order, each exactly once.

    A notification only wakes it, and so does a clock in case one is lost; what it applies is what
    stands in the log after the version that it is at.
    """

    def __init__(
        self,
        database: Pool,
        dsn: str,
        catalogue: Catalogue,
        poll_seconds: float,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._moved_on = asyncio.Condition()
        self._newest: ChangeRow | None = None
        self._listener = Listener(
            dsn,
            CHANNEL,
            on_payload=lambda _: self._wake.set(),
            on_connected=self._wake.set,
            role=SERVICE,
        )
        self.index = SearchIndex(catalogue.ancestors)
        self.loaded = asyncio.Event()
        """Set once the index holds the directory; it stays so when the database goes away."""
        self.first_try = asyncio.Event()
        """Set once loading has succeeded or failed for the first time."""
        self.in_touch = False
        """Whether the log could be read when it was last asked."""

    async def run(self) -> None:
        """Never returns; to be cancelled. Outlives every failure of the database."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listener.run())
            tasks.create_task(self._follow())
            tasks.create_task(self._read_words())

    async def wait_for(self, seq: int) -> None:
        """Returns once the index has applied that change; wakes the follower to fetch it."""
        self._wake.set()
        async with self._moved_on:
            await self._moved_on.wait_for(lambda: self.index.version >= seq)

    async def _follow(self) -> None:
        log = structlog.get_logger("api.search.follower")
        sound = False
        while True:
            self._wake.clear()
            try:
                if not sound:
                    await self.load()
                    sound = True
                await self.catch_up()
                self.in_touch = True
            except DatabaseError as error:
                if self.in_touch or not self.loaded.is_set():
                    log.warning(
                        "log out of reach", sqlstate=error.sqlstate, version=self.index.version
                    )
                await self._pause(RETRY_SECONDS)
            except Exception as error:
                # A fault of ours. If it ended this task, searches would be answered from an ever
                # older directory and nobody would know; and half a change may have been applied.
                log.error(  # noqa: TRY400 (a traceback's text can carry what was written)
                    "log not followed", version=self.index.version, **described(error)
                )
                sound = False
                await self._pause(FAULT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()

    async def _pause(self, seconds: float) -> None:
        self.in_touch = False
        self.first_try.set()
        await asyncio.sleep(seconds)

    async def _read_words(self) -> None:
        """Reads the words of what was written lately, a few milliseconds at a time."""
        while True:
            more = self.loaded.is_set() and self.index.read_words(WORDS_AT_ONCE)
            await asyncio.sleep(0.01 if more else self._poll_seconds)

    async def load(self) -> None:
        """Builds catalogue and index anew, from one snapshot of the database."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True) as conn:
            self._catalogue.fill(await catalogue_entries(conn))
            index = SearchIndex(self._catalogue.ancestors)
            version = await newest_change(conn)
            newest = await changes_after(conn, version - 1, 1)
            batch = await live_profiles(conn, None, BATCH)
            while batch:
                # The database looks for the next ones while these are taken in.
                following = asyncio.create_task(live_profiles(conn, batch[-1].clinic_id, BATCH))
                try:
                    await asyncio.sleep(0)
                    index.load([row.profile.encode() for row in batch])
                finally:
                    # Whatever happens, the connection is not left with a question under way.
                    batch = await following
            for row in await redirects(conn):
                index.redirect(row.clinic_id, row.slug, row.merged_into)
        index.finish_loading(version)
        self._newest = newest[0] if newest else None
        await self._publish(index)
        self.loaded.set()
        self.first_try.set()

    async def catch_up(self) -> None:
        """Applies all that the log has beyond the index's version."""
        while True:
            version = self.index.version
            async with self._database.acquire() as conn:
                changes = await changes_after(conn, version - 1, BATCH + 1)
            # A database that was restored, or whose replica took over, may have lost the end of
            # the log and given its numbers to other changes: what is here is not true then.
            if version > 0 and (not changes or changes.pop(0) != self._newest):
                await self.load()
                return
            for change in changes:
                apply(self.index, change)
            if changes:
                self._newest = changes[-1]
                await self._publish(self.index)
            if len(changes) < BATCH:
                return

    async def _publish(self, index: SearchIndex) -> None:
        self.index = index
        async with self._moved_on:
            self._moved_on.notify_all()


def apply(index: SearchIndex, change: ChangeRow) -> None:
    """Moves the index on by one row of the log."""
    match change.kind:
        case ChangeKind.UPSERT:
            assert change.profile is not None, "the log's check holds this"
            index.upsert(change.seq, change.profile.encode())
        case ChangeKind.DELETE:
            index.delete(change.seq, change.clinic_id)
        case ChangeKind.MERGE:
            assert change.merged_into is not None, "the log's check holds this"
            index.merge(change.seq, change.clinic_id, change.merged_into)
        case _:
            assert_never(change.kind)
