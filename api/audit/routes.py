"""The audit trail over HTTP, for those who hold a key with the scope `admin`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, get
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from api.audit.schemas import AuditEntry, AuditPage, AuditQuery, AuditVerification
from api.audit.service import Auditor, list_entries
from api.audit.verifying import RECENT, verify
from api.auth import needs
from api.keyring import Keyring
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.search.cursor import Position, read_cursor, write_cursor
from db.pool import Pool

_log = structlog.get_logger()

_ENTRY: Final[dict[str, object]] = {
    "id": "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
    "at": "2026-11-22T16:00:00Z",
    "actor": "key:0193a1b2c3d47e5f8a6b7c8d9e0f1a2b",
    "principal": "0193a1b2c3d47e5f8a6b7c8d9e0f1a2b",
    "action": "referral_read",
    "object": {"kind": "referral", "id": "019ab3c0-5f00-7000-8000-000000000001"},
    "related": [],
    "request_id": "0193a1b2-c3d4-7e5f-8a6b-000000000000",
    "outcome": {
        "version": 2,
        "state": "offered",
        "reason": None,
        "history_hash": None,
        "replaced_by": None,
    },
    "lane": 7,
    "number": 1,
    "intact": True,
}
_EXAMPLE: Final[dict[str, object]] = {
    "items": [_ENTRY],
    "next": None,
    "verified": {
        "intact": True,
        "complete": True,
        "entries": 1,
        "looked_at": 1,
        "faults": [],
        "lanes": [
            {
                "lane": 7,
                "entries": 1,
                "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            }
        ],
    },
}


@get(
    "/v1/audit",
    operation_id="listAudit",
    summary="The audit trail, newest first, and whether its chains verify",
    description=(
        "One entry for each request that read or changed a patient's data or a key, without a "
        "word about the patient. Changes of the directory are in the histories of its clinics. "
        f"Every answer verifies the newest {RECENT} entries of each of the 16 chains and every "
        "entry that it shows; `clinicway audit verify` goes over all of them. Keep `lanes` "
        "elsewhere from time to time: they prove that the trail was not replaced as a whole."
    ),
    tags=["Audit"],
    guards=[needs("admin")],
    security=NEEDS_KEY,
    opt=documented(query=AuditQuery),
    responses=answers(AuditPage, example=_EXAMPLE) | problems(503),
)
async def list_audit(request: Request[Any, Any, State], state: State) -> AuditPage:
    query = read_query(request, AuditQuery)
    keyring: Keyring = state.keyring
    auditor: Auditor = state.auditor
    database: Pool = state.database
    question, before = _question(query), None
    if query.cursor is not None:
        before = read_cursor(keyring, question, None, query.cursor).id
    async with database.transaction(isolation="repeatable_read", readonly=True) as conn:
        rows, last = await list_entries(
            conn,
            object_id=query.object,
            actor=query.actor,
            since=query.since,
            before=before,
            limit=query.limit,
        )
        report = await verify(conn, auditor.key_by_id, recent=RECENT)
    if report.findings:
        _log.error("the audit trail does not verify", faults=len(report.findings))
    return AuditPage(
        items=[AuditEntry.from_row(row, intact=auditor.is_intact(row)) for row in rows],
        next=None if last is None else write_cursor(keyring, question, None, Position("", last)),
        verified=AuditVerification.from_report(report),
    )


def _question(query: AuditQuery) -> bytes:
    """What a cursor belongs to."""
    asked = msgspec.json.encode(("audit", query.object, query.actor, query.since))
    return hashlib.blake2b(asked, digest_size=16).digest()


handlers: Sequence[ControllerRouterHandler] = [list_audit]
