"""Who is calling: API keys in the Authorization header."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import SecurityScheme

from api.clock import Clock
from api.errors import Forbidden, Unauthenticated
from api.keyring import Keyring, Purpose, UnknownKey
from api.keys.tokens import Token, parse_token, same_secret
from api.rates.gate import Arrival
from db.errors import DatabaseError
from db.pool import Pool
from db.queries.keys import key_by_id, note_key_use
from db.rows import ApiKeyRow

CACHE_SECONDS: Final = 20.0
"""How long a key is taken to be what it was. A revoked key works in other processes for as long:
the contract says 30 s, and a slow look-up needs its part of that."""
CACHED_KEYS: Final = 10_000
CLINIC_SCOPE: Final = "clinic:"
RECOGNIZED_SECONDS: Final = 600.0
"""How long a key that was good is counted as itself before it is looked up anew."""
NOTE_SECONDS: Final = 60.0
"""How often the last use of a key is written down, at most."""

SECURITY_SCHEMES: Final = {
    # Named by `NEEDS_KEY` of api/operations.py.
    "apiKey": SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="cw_<environment>_<id>_<secret>",
        description=(
            "An API key, made with `clinicway keys create` or `POST /v1/keys`. Each operation "
            "names the scope that the key needs."
        ),
    )
}

_log = structlog.get_logger()

Connected: TypeAlias = ASGIConnection[Any, Any, Any, Any]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A request's API key, found to be good."""

    key_id: str
    scopes: frozenset[str]
    principal: str
    """Who it is, whichever key of the line is used: the id of the line's first."""

    @property
    def clinics(self) -> tuple[UUID, ...]:
        """The clinics that this key speaks for, by its scopes `clinic:<id>`."""
        return tuple(
            UUID(scope.removeprefix(CLINIC_SCOPE))
            for scope in sorted(self.scopes)
            if scope.startswith(CLINIC_SCOPE)
        )

    @property
    def actor(self) -> str:
        """How histories name this caller."""
        return f"key:{self.key_id}"

    def has(self, scope: str) -> bool:
        return scope in self.scopes

    def require(self, scope: str) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(f"This needs a key with the scope {scope}.")

    def may_edit(self, clinic_id: UUID) -> bool:
        """Whether this key may change that clinic's profile."""
        return "directory:write" in self.scopes or f"{CLINIC_SCOPE}{clinic_id}" in self.scopes

    def require_edit(self, clinic_id: UUID) -> None:
        """Raises Forbidden."""
        if not self.may_edit(clinic_id):
            raise Forbidden(
                "This needs a key with the scope directory:write, or clinic:<id> of this clinic."
            )


class _Known(msgspec.Struct, frozen=True):
    row: ApiKeyRow
    read_at: float


class Authenticator:
    """Tells good keys from bad ones; one of it for each application, in `app.state`."""

    def __init__(self, *, database: Pool, keyring: Keyring, clock: Clock, environment: str) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._environment = environment
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, header: str | None) -> Caller:
        """The caller that an Authorization header names.

        Raises Unauthenticated, or `DatabaseUnavailable` when the key cannot be looked up: nobody
        is told that a key is bad because the database is down.
        """
        token = self._token(header)
        row = await self._row(token.key_id)
        now = self._clock.now()
        if row is None or not self._is_good(token, row, now):
            raise _refused("This API key is not known here, was revoked or has expired.")
        self._note(row.id, now)
        return Caller(key_id=row.id, scopes=frozenset(row.scopes), principal=row.principal)

    def recognized(self, header: str) -> str | None:
        """The principal of a key that was good when it was last looked up here. Asks the database
        nothing, so it lets nobody in: it says only whose requests these are likely to be."""
        try:
            token = self._token(header)
        except Unauthenticated:
            return None
        known = self._known.get(token.key_id)
        if known is None or self._clock.monotonic() - known.read_at >= RECOGNIZED_SECONDS:
            return None
        good = self._is_good(token, known.row, self._clock.now())
        return known.row.principal if good else None

    def forget(self, key_id: str) -> None:
        """Look the key up anew when it next comes: it was just changed by this process."""
        self._known.pop(key_id, None)

    async def aclose(self) -> None:
        """Let what is being written down be written, for a second."""
        if self._notes:
            _, late = await asyncio.wait(self._notes, timeout=1.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _token(self, header: str | None) -> Token:
        if header is None:
            raise Unauthenticated(
                "Send an API key as 'Authorization: Bearer cw_…'.",
                headers={"WWW-Authenticate": 'Bearer realm="clinicway"'},
            )
        scheme, _, text = header.partition(" ")
        token = parse_token(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise _refused("The Authorization header does not hold an API key: 'Bearer cw_…'.")
        if token.environment != self._environment:
            raise _refused("This API key was made for another deployment.")
        return token

    async def _row(self, key_id: str) -> ApiKeyRow | None:
        asked_at = self._clock.monotonic()
        known = self._known.get(key_id)
        if known is not None and asked_at - known.read_at < CACHE_SECONDS:
            return known.row
        async with self._database.acquire() as conn:
            row = await key_by_id(conn, key_id)
        # An id that does not exist is not kept: made-up ones would push the real ones out.
        self._known.pop(key_id, None)
        if row is not None:
            # The age counts from before the question, so that the answer is never older.
            self._known[key_id] = _Known(row, asked_at)
            if len(self._known) > CACHED_KEYS:
                self._known.popitem(last=False)
        return row

    def _is_good(self, token: Token, row: ApiKeyRow, now: datetime) -> bool:
        try:
            key = self._keyring.get(row.keyring_id, Purpose.API_KEY)
        except UnknownKey:
            _log.warning("api key made with another keyring", key_id=row.id)
            return False
        ended = row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now)
        return same_secret(token.secret, key, row.secret_hash) and not ended

    def _note(self, key_id: str, now: datetime) -> None:
        moment = self._clock.monotonic()
        if moment - self._noted.get(key_id, -NOTE_SECONDS) < NOTE_SECONDS:
            return
        if len(self._noted) >= CACHED_KEYS:
            # Forgetting costs a statement that changes nothing, once for each key.
            self._noted.clear()
        self._noted[key_id] = moment
        task = asyncio.create_task(self._write_note(key_id, now))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write_note(self, key_id: str, now: datetime) -> None:
        try:
            async with self._database.acquire() as conn:
                await note_key_use(conn, key_id, now)
        except DatabaseError as error:
            # Only a convenience for whoever tidies up keys; the next use writes it again.
            self._noted.pop(key_id, None)
            _log.warning("last use of a key not noted", sqlstate=error.sqlstate)


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="clinicway", error="invalid_token"'},
    )


async def caller(request: Connected) -> Caller:
    """Litestar dependency: the caller of a request that needs a key.

    Raises Unauthenticated (401), `TooManyRequests` (429), or `DatabaseUnavailable` (503).
    """
    # Not `request.state`, which is a deep copy: what is put there is gone again.
    state = request.scope["state"]
    known: Caller | None = state.get("caller")
    if known is None:
        authenticator: Authenticator = request.app.state.authenticator
        header = request.headers.get("authorization")
        arrival: Arrival | None = state.get("arrival")
        try:
            known = await authenticator.authenticate(header)
        except Unauthenticated:
            if arrival is not None and header is not None:
                arrival.failed()
            raise
        if arrival is not None:
            arrival.accepted(known.principal)
        state["caller"] = known
    return known


def needs(scope: str) -> Callable[[Connected, BaseRouteHandler], Awaitable[None]]:
    """Litestar guard: only keys with that scope. It runs before the body is read, so that a caller
    without the right learns nothing of what a right body would be, and costs us nothing."""

    async def guard(connection: Connected, _handler: BaseRouteHandler) -> None:
        (await caller(connection)).require(scope)

    return guard
