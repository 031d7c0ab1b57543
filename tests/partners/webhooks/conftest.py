"""Webhooks on a database of the test's own, under the role of a request, with a real receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from api.auth import Caller
from api.clock import SystemClock
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.partners.webhooks.events import EventType, ReferralData
from api.partners.webhooks.posting import Poster
from api.partners.webhooks.queueing import queue_event
from api.partners.webhooks.schemas import WebhookWrite
from api.partners.webhooks.sending import Sender
from api.partners.webhooks.service import Webhooks
from api.partners.webhooks.signing import shown
from db.asking import ask_as
from db.connection import Connection, value
from db.pool import Pool
from db.queries.webhooks import page_of_deliveries
from db.roles import SERVICE
from db.states import ReferralState
from db.webhook_rows import DeliveryRow
from tests.partners.webhooks.receiver import Receiver, receiving

AT = datetime(2026, 11, 22, 16, tzinfo=UTC)


class World:
    """Keys, webhooks and events, made as the service makes them."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self.pool = pool
        self.keyring = keyring
        self.clock = SystemClock()
        self.webhooks = Webhooks(keyring, self.clock, allow_private=True)
        self.maker = KeyMaker("live", keyring, self.clock)

    async def caller(self, *scopes: str) -> Caller:
        """Whoever holds a new key."""
        async with self.pool.transaction() as conn:
            row, _ = await self.maker.create(conn, name="t", scopes=scopes, created_by="test")
        return Caller(key_id=row.id, scopes=frozenset(row.scopes), principal=row.principal)

    async def webhook(
        self, caller: Caller, url: str, events: list[EventType] | None = None
    ) -> tuple[UUID, str]:
        """The id of a new webhook, and its secret as the receiver gets it."""
        async with self.pool.transaction() as conn:
            await ask_as(conn, principal=caller.principal)
            written = WebhookWrite(url=url, events=events)
            row, secret = await self.webhooks.create(conn, caller, written)
        return row.id, shown(secret)

    async def happens(
        self,
        *,
        principal: str | None = None,
        clinic: UUID | None = None,
        everybody: bool = False,
        event_type: EventType = EventType.REFERRAL_OFFERED,
        source: UUID | None = None,
    ) -> int:
        """Something happens to a referral; how many webhooks are to hear of it."""
        async with self.pool.transaction() as conn:
            await conn.become_worker()
            return await self.queue(
                conn,
                principal=principal,
                clinic=clinic,
                everybody=everybody,
                event_type=event_type,
                source=source,
            )

    async def queue(
        self,
        conn: Connection,
        *,
        principal: str | None = None,
        clinic: UUID | None = None,
        everybody: bool = False,
        event_type: EventType = EventType.REFERRAL_OFFERED,
        source: UUID | None = None,
    ) -> int:
        """The same in a transaction that goes on, as the worker."""
        data = ReferralData(
            referral=self.clock.new_id(),
            offer=None,
            clinic=clinic,
            state=ReferralState.OFFERED,
            version=2,
        )
        return await queue_event(
            conn,
            event_type=event_type,
            data=data,
            at=AT,
            new_id=self.clock.new_id,
            principal=principal,
            clinic=clinic,
            everybody=everybody,
            source=source,
        )

    def sender(self, poster: Poster) -> Sender:
        return Sender(
            database=self.pool,
            keyring=self.keyring,
            clock=self.clock,
            poster=poster,
            chance=lambda: 0.5,
        )

    async def deliveries(self, webhook: UUID) -> Sequence[DeliveryRow]:
        """All of a webhook's, newest first."""
        async with self.pool.transaction() as conn:
            await conn.become_worker()
            return await page_of_deliveries(conn, webhook, state=None, before=None, limit=1000)

    async def delivery(self, webhook: UUID) -> DeliveryRow:
        """The only one."""
        (row,) = await self.deliveries(webhook)
        return row

    async def do(self, sql: str, *args: object) -> None:
        """As the worker."""
        async with self.pool.transaction() as conn:
            await conn.become_worker()
            await conn.execute(sql, *args)

    async def find(self, sql: str, *args: object) -> object:
        """One value, as the worker."""
        async with self.pool.transaction() as conn:
            await conn.become_worker()
            return await value(conn, object, sql, *args)

    async def time_passes(self) -> None:
        """As long as it takes for everything that is put off to come due."""
        await self.do(
            "update webhook_delivery set next_attempt_at = now() - interval '1 second' "
            "where state = 'pending'"
        )
        await self.do("update webhook_subscription set quiet_until = null")


@pytest.fixture
async def world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    pool = Pool(dsn, size=5, role=SERVICE)
    await pool.open()
    yield World(pool, Keyring.load_or_create(tmp_path / "keyring.json", SystemClock()))
    await pool.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sender(world: World) -> AsyncIterator[Sender]:
    async with Poster(allow_private=True) as poster:
        yield world.sender(poster)
