"""Writing the audit trail, and reading it. Nothing here commits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.audit.chain import LANES, NO_MAC, entry_mac, is_genuine, is_our_lane, lane_mac, lane_of
from api.auth import Caller, Connected
from api.clock import Clock
from api.keyring import Keyring, Purpose, UnknownKey
from db.audit_rows import AuditEntryRow, AuditLaneRow, AuditPageRow
from db.connection import Connection
from db.queries.audit import (
    append_entry,
    lock_lane,
    open_lanes,
    page_of_entries,
    page_of_entries_about,
)
from db.states import AuditAction, AuditObject

_NAME: Final = re.compile(r"[a-z][a-z_]{0,39}")


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, as the trail names them."""

    actor: str
    """`key:<id>`, `command line` or `service`."""
    principal: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, request: Connected, caller: Caller) -> Author:
        return cls(
            actor=caller.actor,
            principal=caller.principal,
            request_id=str(request.scope["state"]["request_id"]),
        )


COMMAND_LINE: Final = Author(actor="command line")
SERVICE: Final = Author(actor="service")
"""What the service does by itself, such as erasing what is past its retention."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a request. There is no member for words: nothing a person wrote goes here."""

    version: int | None = None
    """Of the object, afterwards."""
    state: str | None = None
    """Of the object, afterwards: a name of a closed set."""
    reason: str | None = None
    """A coded one: a name of a closed set."""
    history_hash: str | None = None
    """Of the history entry that the step wrote, in hexadecimal."""
    replaced_by: str | None = None
    """The id of the new key."""


NOTHING_MORE: Final = Outcome()


class Auditor:
    """Appends to the trail, in the caller's own transaction: both happen, or neither."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    async def record(
        self,
        conn: Connection,
        *,
        author: Author,
        action: AuditAction,
        kind: AuditObject,
        object_id: UUID | str | None,
        related: Sequence[UUID | str] = (),
        outcome: Outcome = NOTHING_MORE,
    ) -> None:
        """One entry for a request that reads or changes a patient's data or a key.

        Last in its transaction and once: it holds one of 16 locks until the commit, and two at a
        time could wait for each other in a circle. A list has no `object_id`; the ids that were
        on it are `related`, as is an offer's referral. Two statements; as either role.
        """
        assert all(_NAME.fullmatch(n) for n in (outcome.state, outcome.reason) if n is not None)
        # By the caller, all requests of a busy one without an object would wait for each other.
        subject = str(object_id or author.request_id or author.actor)
        end, resumed = await self._end_of(conn, lane_of(subject))
        keyring_id, key = self._keyring.active(Purpose.AUDIT)
        entry = AuditEntryRow(
            lane=end.lane,
            number=end.entries + 1,
            id=self._clock.new_id(),
            at=self._clock.now(),
            actor=author.actor,
            principal=author.principal,
            action=action,
            object_kind=kind,
            object_id=None if object_id is None else str(object_id),
            related=[str(each) for each in related],
            request_id=author.request_id,
            outcome=msgspec.json.encode(outcome).decode(),
            resumed=resumed,
            keyring_id=keyring_id,
            mac=NO_MAC,
        )
        entry = msgspec.structs.replace(entry, mac=entry_mac(key, end.last_mac, entry))
        moved = lane_mac(key, keyring_id, entry.lane, entry.number, entry.mac)
        assert await append_entry(conn, entry, moved) == 1

    async def _end_of(self, conn: Connection, lane: int) -> tuple[AuditLaneRow, bool]:
        """The end of a lane, locked, and whether it is other than we left it.

        A lane that somebody has cut short would verify again once we had signed its new end. So
        the next entry says what was found, for good.
        """
        end = await lock_lane(conn, lane)
        if end is not None:
            key = self.key_by_id(end.keyring_id)
            return end, key is None or not is_our_lane(end, key)
        made = await self._open_lanes(conn)
        end = await lock_lane(conn, lane)
        assert end is not None, "the lane was opened just now"
        # They are made all at once: by us, by another process, or some of them were removed.
        return end, made not in (0, LANES)

    async def _open_lanes(self, conn: Connection) -> int:
        keyring_id, key = self._keyring.active(Purpose.AUDIT)
        numbers = list(range(LANES))
        macs = [lane_mac(key, keyring_id, lane, 0, NO_MAC) for lane in numbers]
        return await open_lanes(conn, numbers, keyring_id, macs)

    def key_by_id(self, keyring_id: str) -> bytes | None:
        try:
            return self._keyring.get(keyring_id, Purpose.AUDIT)
        except UnknownKey:
            return None

    def is_intact(self, row: AuditPageRow) -> bool:
        """Whether an entry is what was written, and stands where it was."""
        previous = NO_MAC if row.number == 1 else row.previous_mac
        key = self.key_by_id(row.keyring_id)
        return (
            previous is not None
            and key is not None
            and not row.resumed
            and is_genuine(row, previous, key)
        )


async def list_entries(
    conn: Connection,
    *,
    object_id: str | None,
    actor: str | None,
    since: datetime | None,
    before: UUID | None,
    limit: int,
) -> tuple[list[AuditPageRow], UUID | None]:
    """Up to `limit` entries, newest first, and the id to go on from when there are more."""
    actors = None if actor is None else [actor, f"key:{actor}"]
    if object_id is None:
        found = await page_of_entries(
            conn, actors=actors, since=since, before=before, limit=limit + 1
        )
    else:
        found = await page_of_entries_about(
            conn, object_id, actors=actors, since=since, before=before, limit=limit + 1
        )
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None
