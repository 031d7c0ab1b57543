"""API keys over HTTP, for those who hold one with the scope `admin`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import State
from litestar.params import Body, Parameter
from litestar.types import ControllerRouterHandler

from api.auth import SECURITY, Authenticator, Caller, needs
from api.clock import Clock
from api.errors import FieldError, InvalidBody, InvalidParameter
from api.keyring import Keyring
from api.keys.errors import NoSuchKey
from api.keys.schemas import Key, KeyPage, KeyWrite, NewKey
from api.keys.service import KeyMaker, list_keys, read_key, revoke
from api.settings import Settings
from db.pool import Pool

ADMIN: Final = "admin"
_KEY_ID = re.compile(r"[0-9a-f]{32}")
KeyId = Annotated[str, Parameter(description="Id of the key: the part between its last two `_`")]


class _Services:
    """What app.state holds for these routes, with its types."""

    def __init__(self, state: State) -> None:
        self.settings: Settings = state.settings
        self.clock: Clock = state.clock
        self.database: Pool = state.database
        self.keyring: Keyring = state.keyring
        self.authenticator: Authenticator = state.authenticator

    def maker(self) -> KeyMaker:
        return KeyMaker(self.settings.environment, self.keyring, self.clock)


@post(
    "/v1/keys",
    operation_id="createKey",
    summary="Make an API key; its secret is shown this once",
    tags=["keys"],
    guards=[needs(ADMIN)],
    security=SECURITY,
)
async def create_key(
    data: Annotated[KeyWrite, Body(description="What the key is for and what it may do")],
    caller: Caller,
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
        )
    return _shown_once(NewKey.with_secret(row, now, token.text()))


@get(
    "/v1/keys",
    operation_id="listKeys",
    summary="List the API keys, newest first",
    tags=["keys"],
    guards=[needs(ADMIN)],
    security=SECURITY,
)
async def list_all(
    state: State,
    ended: Annotated[
        bool, Parameter(description="Whether to list revoked and expired keys, too")
    ] = False,
    limit: Annotated[int, Parameter(ge=1, le=100, description="Keys on a page")] = 50,
    cursor: Annotated[str | None, Parameter(description="`next` of the page before")] = None,
) -> KeyPage:
    services = _Services(state)
    if cursor is not None and not _KEY_ID.fullmatch(cursor):
        raise InvalidParameter.named("cursor", "take it from `next` of the page before")
    now = services.clock.now()
    async with services.database.acquire() as conn:
        rows, following = await list_keys(conn, now=now, ended=ended, before=cursor, limit=limit)
    return KeyPage(items=[Key.from_row(row, now) for row in rows], next=following)


@get(
    "/v1/keys/{key_id:str}",
    operation_id="readKey",
    summary="Read one API key, without its secret",
    tags=["keys"],
    guards=[needs(ADMIN)],
    security=SECURITY,
)
async def read_one(key_id: KeyId, state: State) -> Response[Key]:
    services = _Services(state)
    async with services.database.acquire() as conn:
        row = await read_key(conn, _checked(key_id))
    key = Key.from_row(row, services.clock.now())
    return Response(key, headers={"ETag": _etag(key)})


@delete(
    "/v1/keys/{key_id:str}",
    operation_id="revokeKey",
    summary="Revoke an API key; it stops everywhere within 30 seconds",
    tags=["keys"],
    guards=[needs(ADMIN)],
    security=SECURITY,
)
async def revoke_one(key_id: KeyId, state: State) -> None:
    services = _Services(state)
    async with services.database.transaction() as conn:
        row = await revoke(conn, _checked(key_id), services.clock.now())
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
    tags=["keys"],
    guards=[needs(ADMIN)],
    security=SECURITY,
)
async def rotate_one(key_id: KeyId, caller: Caller, state: State) -> Response[NewKey]:
    services = _Services(state)
    checked = _checked(key_id)
    async with services.database.transaction() as conn:
        row, token = await services.maker().rotate(
            conn,
            checked,
            overlap=timedelta(hours=services.settings.key_overlap_hours),
            created_by=caller.actor,
        )
    services.authenticator.forget(checked)
    return _shown_once(NewKey.with_secret(row, services.clock.now(), token.text()))


def _checked(key_id: str) -> str:
    """What cannot be an id is nobody's id, and need not reach the database."""
    if not _KEY_ID.fullmatch(key_id):
        raise NoSuchKey
    return key_id


def _shown_once(key: NewKey) -> Response[NewKey]:
    return Response(
        key,
        status_code=201,
        headers={
            "Location": f"/v1/keys/{key.id}",
            "Cache-Control": "no-store",
        },
    )


def _etag(key: Key) -> str:
    return f'"{hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:32]}"'


handlers: Sequence[ControllerRouterHandler] = [
    create_key,
    list_all,
    read_one,
    revoke_one,
    rotate_one,
]
