"""API keys over HTTP, for those who hold one with the scope `admin`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter
from litestar.types import ControllerRouterHandler

from api.audit.service import Auditor, Author, Outcome
from api.auth import Authenticator, Caller, needs
from api.clock import Clock
from api.errors import FieldError, InvalidBody
from api.etags import etag_of
from api.keyring import Keyring
from api.keys.errors import NoSuchKey
from api.keys.schemas import Key, KeyPage, KeysQuery, KeyWrite, NewKey
from api.keys.service import KeyMaker, list_keys, read_key, revoke
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.search.cursor import Position, read_cursor, write_cursor
from api.settings import Settings
from db.pool import Pool
from db.states import AuditAction, AuditObject

ADMIN: Final = "admin"
_KEY_ID = re.compile(r"[0-9a-f]{32}")
KeyId = Annotated[
    str,
    PathParameter(
        description="Id of the key: the part between its last two `_`",
        examples=[Example(value="0193a1b2c3d47e5f8a6b7c8d9e0f1a2b")],
    ),
]


_EXAMPLE: Final = {
    "id": "0193a1b2c3d47e5f8a6b7c8d9e0f1a2b",
    "name": "Booking desk, Phoenix",
    "scopes": ["referrals:write"],
    "email": "desk@hospital.example",
    "state": "active",
    "created_at": "2026-11-22T16:00:00Z",
    "created_by": "command line",
    "last_used_at": None,
    "expires_at": None,
    "revoked_at": None,
    "replaced_by": None,
}
_NEW_EXAMPLE: Final = {
    **_EXAMPLE,
    "key": "cw_live_0193a1b2c3d47e5f8a6b7c8d9e0f1a2b_abcdefghijklmnopqrstuvwxyz234567",
}


class _Services:
    """What app.state holds for these routes, with its types."""

    def __init__(self, state: State) -> None:
        self.settings: Settings = state.settings
        self.clock: Clock = state.clock
        self.database: Pool = state.database
        self.keyring: Keyring = state.keyring
        self.authenticator: Authenticator = state.authenticator
        self.auditor: Auditor = state.auditor

    def maker(self) -> KeyMaker:
        return KeyMaker(self.settings.environment, self.keyring, self.clock)


@post(
    "/v1/keys",
    operation_id="createKey",
    summary="Make an API key; its secret is shown this once",
    tags=["Keys"],
    guards=[needs(ADMIN)],
    security=NEEDS_KEY,
    opt=documented(
        body_example={
            "name": "Booking desk, Phoenix",
            "scopes": ["referrals:write"],
            "email": "desk@hospital.example",
        },
        response_headers=["Location", "ETag"],
    ),
    responses=answers(NewKey, example=_NEW_EXAMPLE, status=201, description="Made") | problems(503),
)
async def create_key(
    data: Annotated[KeyWrite, Body(description="What the key is for and what it may do")],
    request: Request[Any, Any, State],
    caller: NamedDependency[Caller],
    state: State,
) -> Response[NewKey]:
    services = _Services(state)
    now = services.clock.now()
    if data.expires_at is not None and data.expires_at <= now:
        message = "must lie in the future"
        raise InvalidBody(
            f"The field 'expires_at' {message}.",
            errors=[FieldError(pointer="/expires_at", message=message)],
        )
    async with services.database.transaction() as conn:
        row, token = await services.maker().create(
            conn,
            name=data.name,
            scopes=data.scopes,
            created_by=caller.actor,
            expires_at=data.expires_at,
            email=data.email,
        )
        await services.auditor.record(
            conn,
            author=Author.of(request, caller),
            action=AuditAction.KEY_CREATED,
            kind=AuditObject.KEY,
            object_id=row.id,
        )
    return _shown_once(NewKey.with_secret(row, now, token.text()))


@get(
    "/v1/keys",
    operation_id="listKeys",
    summary="List the API keys, newest first",
    tags=["Keys"],
    guards=[needs(ADMIN)],
    security=NEEDS_KEY,
    opt=documented(query=KeysQuery),
    responses=answers(KeyPage, example={"items": [_EXAMPLE], "next": None}) | problems(503),
)
async def list_all(request: Request[Any, Any, State], state: State) -> KeyPage:
    query = read_query(request, KeysQuery)
    services = _Services(state)
    keys, question = services.keyring, _question(query)
    before = None
    if query.cursor is not None:
        before = read_cursor(keys, question, None, query.cursor).id.hex
    now = services.clock.now()
    async with services.database.acquire() as conn:
        rows, last = await list_keys(
            conn, now=now, ended=query.ended, before=before, limit=query.limit
        )
    following = (
        None if last is None else write_cursor(keys, question, None, Position("", UUID(last)))
    )
    return KeyPage(items=[Key.from_row(row, now) for row in rows], next=following)


@get(
    "/v1/keys/{key_id:str}",
    operation_id="readKey",
    summary="Read one API key, without its secret",
    tags=["Keys"],
    guards=[needs(ADMIN)],
    security=NEEDS_KEY,
    opt=documented(response_headers=["ETag"]),
    responses=answers(Key, example=_EXAMPLE) | problems(404, 503),
)
async def read_one(key_id: KeyId, state: State) -> Response[Key]:
    services = _Services(state)
    async with services.database.acquire() as conn:
        row = await read_key(conn, _checked(key_id))
    key = Key.from_row(row, services.clock.now())
    return Response(key, headers={"ETag": etag_of(key)})


@delete(
    "/v1/keys/{key_id:str}",
    operation_id="revokeKey",
    summary="Revoke an API key; it stops everywhere within 30 seconds",
    tags=["Keys"],
    guards=[needs(ADMIN)],
    security=NEEDS_KEY,
    responses=problems(404, 503),
)
async def revoke_one(
    key_id: KeyId,
    request: Request[Any, Any, State],
    caller: NamedDependency[Caller],
    state: State,
) -> None:
    services = _Services(state)
    async with services.database.transaction() as conn:
        row = await revoke(conn, _checked(key_id), services.clock.now())
        await services.auditor.record(
            conn,
            author=Author.of(request, caller),
            action=AuditAction.KEY_REVOKED,
            kind=AuditObject.KEY,
            object_id=row.id,
        )
    # After the commit: a look-up in between would bring the old row back.
    services.authenticator.forget(row.id)


@post(
    "/v1/keys/{key_id:str}/rotate",
    operation_id="rotateKey",
    summary="Replace an API key; the old one goes on working for a while",
    description=(
        "The new key has the same name and scopes, and its secret is shown this once. The old key "
        "works for another CLINICWAY_KEY_OVERLAP_HOURS (24, unless the operator chose otherwise), "
        "or until it would have expired anyway; its `expires_at` says when. Revoke it to end it "
        "sooner."
    ),
    tags=["Keys"],
    guards=[needs(ADMIN)],
    security=NEEDS_KEY,
    opt=documented(response_headers=["Location", "ETag"]),
    responses=answers(NewKey, example=_NEW_EXAMPLE, status=201, description="Made")
    | problems(404, 409, 503),
)
async def rotate_one(
    key_id: KeyId,
    request: Request[Any, Any, State],
    caller: NamedDependency[Caller],
    state: State,
) -> Response[NewKey]:
    services = _Services(state)
    checked = _checked(key_id)
    async with services.database.transaction() as conn:
        row, token = await services.maker().rotate(
            conn,
            checked,
            overlap=timedelta(hours=services.settings.key_overlap_hours),
            created_by=caller.actor,
        )
        await services.auditor.record(
            conn,
            author=Author.of(request, caller),
            action=AuditAction.KEY_ROTATED,
            kind=AuditObject.KEY,
            object_id=checked,
            related=[row.id],
            outcome=Outcome(replaced_by=row.id),
        )
    services.authenticator.forget(checked)
    return _shown_once(NewKey.with_secret(row, services.clock.now(), token.text()))


def _checked(key_id: str) -> str:
    """What cannot be an id is nobody's id, and need not reach the database."""
    if not _KEY_ID.fullmatch(key_id):
        raise NoSuchKey
    return key_id


def _question(query: KeysQuery) -> bytes:
    """What a cursor belongs to."""
    return hashlib.blake2b(f"keys:{query.ended}".encode(), digest_size=16).digest()


def _shown_once(key: NewKey) -> Response[NewKey]:
    return Response(
        key,
        status_code=201,
        headers={
            "Location": f"/v1/keys/{key.id}",
            # That of the key as it is read from now on.
            "ETag": etag_of(msgspec.convert(key, Key, from_attributes=True)),
            "Cache-Control": "no-store",
        },
    )


handlers: Sequence[ControllerRouterHandler] = [
    create_key,
    list_all,
    read_one,
    revoke_one,
    rotate_one,
]
