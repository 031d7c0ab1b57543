"""An audit trail on a real database, and somebody who can write to every table of it."""

from __future__ import annotations

from pathlib import Path

from api.audit.chain import Anchor, Fault
from api.audit.service import Auditor, Author
from api.audit.verifying import Report, verify
from api.keyring import Keyring
from db.connection import Connection
from db.pool import Pool
from db.states import AuditAction, AuditObject
from tests.conftest import execute
from tests.keys.clocks import HandClock

DESK = Author(actor="key:desk", principal="desk", request_id="r1")


class Trail:
    def __init__(self, dsn: str, service: Pool, keyring_path: Path) -> None:
        self.dsn = dsn
        self.service = service
        self.clock = HandClock()
        self.keyring_path = keyring_path
        self.keyring = Keyring.load_or_create(keyring_path, self.clock)
        self.auditor = Auditor(self.keyring, self.clock)

    async def add(self, object_id: str, times: int = 1, *, as_worker: bool = False) -> None:
        for _ in range(times):
            self.clock.pass_time(1)
            async with self.service.transaction() as conn:
                if as_worker:
                    await conn.become_worker()
                await self.record(conn, object_id)

    async def record(self, conn: Connection, object_id: str) -> None:
        await self.auditor.record(
            conn,
            author=DESK,
            action=AuditAction.REFERRAL_READ,
            kind=AuditObject.REFERRAL,
            object_id=object_id,
        )

    async def report(
        self, *, recent: int | None = None, anchors: dict[int, Anchor] | None = None
    ) -> Report:
        async with self.service.transaction(isolation="repeatable_read", readonly=True) as conn:
            return await verify(conn, self.auditor.key_by_id, recent=recent, anchors=anchors)

    async def faults(self, *, recent: int | None = None) -> list[tuple[Fault, int, int]]:
        found = (await self.report(recent=recent)).findings
        return [(finding.fault, finding.first, finding.last) for finding in found]

    async def tamper(self, *statements: str) -> None:
        """As a superuser of the database, who has no keyring."""
        await execute(self.dsn, *statements)
