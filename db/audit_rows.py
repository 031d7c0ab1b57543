"""Rows of the audit trail."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from db.states import AuditAction, AuditObject


class AuditLaneRow(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one of the chains: how many entries it has, and the mac of the last."""

    lane: int
    entries: int
    last_mac: bytes
    keyring_id: str
    mac: bytes


class AuditEntryRow(msgspec.Struct, frozen=True, kw_only=True):
    lane: int
    number: int
    id: UUID
    at: datetime
    actor: str
    principal: str | None
    action: AuditAction
    object_kind: AuditObject
    object_id: str | None
    related: list[str]
    request_id: str | None
    outcome: str
    """JSON text."""
    resumed: bool
    keyring_id: str
    mac: bytes


class AuditPageRow(AuditEntryRow, frozen=True, kw_only=True):
    """An entry with what it takes to verify it alone."""

    previous_mac: bytes | None
    """Null for the first of a lane, and when the one before is missing."""
