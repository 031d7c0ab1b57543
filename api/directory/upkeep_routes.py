"""What an operator looks at to keep the directory true: duplicates, stale profiles, histories."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from api.auth import needs
from api.directory.access import (
    VERSION_HEADER,
    WRITE,
    ClinicId,
    DirectoryServices,
    clinic_id_of,
    may_edit,
)
from api.directory.duplicates import likely_duplicates, position
from api.directory.examples import DUPLICATES, HISTORY, STALE
from api.directory.history import history
from api.directory.upkeep_schemas import (
    DuplicatePage,
    DuplicatesQuery,
    HistoryPage,
    HistoryQuery,
    StaleClinic,
    StalePage,
    StaleQuery,
)
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.search.cursor import Position, read_cursor, write_cursor
from db.queries.changes import newest_change
from db.queries.clinics import sites, stale_clinics

_TAGS: Final = ["Directory upkeep"]
_NEVER: Final = ""

PlainRequest = Request[Any, Any, State]


@get(
    "/v1/duplicates",
    operation_id="listDuplicates",
    summary="Pairs of clinics that are likely one, with the reasons",
    description="The likeliest first. A phone number, registration or website that two addresses "
    "share counts for little: chains and doctors have several sites.",
    tags=_TAGS,
    guards=[needs(WRITE)],
    security=NEEDS_KEY,
    opt=documented(query=DuplicatesQuery, response_headers=[VERSION_HEADER]),
    responses=answers(DuplicatePage, example=DUPLICATES) | problems(503),
)
async def list_duplicates(request: PlainRequest, state: State) -> Response[DuplicatePage]:
    query = read_query(request, DuplicatesQuery)
    services = DirectoryServices(state)
    keys, question = services.keyring, _question("duplicates", query.min_score)
    after = None if query.cursor is None else read_cursor(keys, question, None, query.cursor)
    async with services.database.transaction(isolation="repeatable_read", readonly=True) as conn:
        version = await newest_change(conn)
        rows = await sites(conn)
    # Half a second for ten thousand clinics: not on the loop that answers searches.
    pairs = await asyncio.to_thread(likely_duplicates, rows, query.min_score)
    total = len(pairs)
    if after is not None:
        score, _, first = str(after.rank).partition(":")
        last = (-int(score), first, str(after.id))
        pairs = [pair for pair in pairs if position(pair) > last]
    page = pairs[: query.limit]
    following = None
    if len(pairs) > query.limit:
        first, second = page[-1].clinics
        rank = f"{page[-1].score}:{first.id}"
        following = write_cursor(keys, question, None, Position(rank, second.id))
    return Response(
        DuplicatePage(items=page, total=total, next=following),
        headers={VERSION_HEADER: str(version)},
    )


@get(
    "/v1/stale",
    operation_id="listStale",
    summary="Profiles that nobody has verified lately",
    description="Those never verified first, then the longest ago. CLINICWAY_STALE_DAYS says how "
    "long a verification holds.",
    tags=_TAGS,
    guards=[needs(WRITE)],
    security=NEEDS_KEY,
    opt=documented(query=StaleQuery, response_headers=[VERSION_HEADER]),
    responses=answers(StalePage, example=STALE) | problems(503),
)
async def list_stale(request: PlainRequest, state: State) -> Response[StalePage]:
    query = read_query(request, StaleQuery)
    services = DirectoryServices(state)
    keys, question = services.keyring, _question("stale")
    limit = services.clock.now() - timedelta(days=services.settings.stale_days)
    verified_at, last_id = None, None
    if query.cursor is not None:
        after = read_cursor(keys, question, None, query.cursor)
        last_id = after.id
        verified_at = None if after.rank == _NEVER else datetime.fromisoformat(str(after.rank))
    async with services.database.transaction(isolation="repeatable_read", readonly=True) as conn:
        version = await newest_change(conn)
        rows = await stale_clinics(conn, limit, verified_at, last_id, query.limit + 1)
    page = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        moment = page[-1].verified_at
        rank = _NEVER if moment is None else moment.astimezone(UTC).isoformat()
        following = write_cursor(keys, question, None, Position(rank, page[-1].id))
    return Response(
        StalePage(items=[StaleClinic.from_row(row, limit) for row in page], next=following),
        headers={VERSION_HEADER: str(version)},
    )


@get(
    "/v1/clinics/{key:str}/history",
    operation_id="readClinicHistory",
    summary="What was changed in a clinic's profile, when and by whom",
    description="Newest first. Deleted and merged clinics keep their history.",
    tags=_TAGS,
    guards=[may_edit],
    security=NEEDS_KEY,
    opt=documented(query=HistoryQuery, response_headers=[VERSION_HEADER]),
    responses=answers(HistoryPage, example=HISTORY) | problems(404, 503),
)
async def read_history(key: ClinicId, request: PlainRequest, state: State) -> Response[HistoryPage]:
    query = read_query(request, HistoryQuery)
    services = DirectoryServices(state)
    clinic_id = clinic_id_of(key)
    keys, question = services.keyring, _question("history", clinic_id)
    below = None
    if query.cursor is not None:
        below = int(read_cursor(keys, question, None, query.cursor).rank)
    async with services.database.transaction(isolation="repeatable_read", readonly=True) as conn:
        version = await newest_change(conn)
        entries, seq = await history(conn, clinic_id, below, query.limit)
    following = (
        None if seq is None else write_cursor(keys, question, None, Position(str(seq), clinic_id))
    )
    return Response(
        HistoryPage(items=entries, next=following), headers={VERSION_HEADER: str(version)}
    )


def _question(*parts: str | int | UUID) -> bytes:
    """What a cursor belongs to."""
    return blake2b(":".join(map(str, parts)).encode(), digest_size=16).digest()


handlers: Sequence[ControllerRouterHandler] = [list_duplicates, list_stale, read_history]
