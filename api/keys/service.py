"""Making, listing, ending and replacing API keys. Nothing here commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from api.clock import Clock
from api.keyring import Keyring, Purpose
from api.keys.errors import KeyAlreadyRotated, KeyEnded, NoSuchKey
from api.keys.schemas import KeyState, state_of
from api.keys.tokens import Token, new_token, secret_hash
from db.connection import Connection
from db.queries.keys import (
    insert_key,
    key_by_id,
    keys_still_working,
    lock_key,
    page_of_keys,
    retire_key,
    revoke_key,
)
from db.rows import ApiKeyRow


class KeyMaker:
    """What it takes to make a key: the deployment's name, its keyring, time and randomness."""

    def __init__(
        self,
        environment: str,
        keyring: Keyring,
        clock: Clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.environment = environment
        self.keyring = keyring
        self.clock = clock
        self.entropy = entropy

    async def create(
        self,
        conn: Connection,
        *,
        name: str,
        scopes: Sequence[str],
        created_by: str,
        expires_at: datetime | None = None,
        email: str | None = None,
        principal: str | None = None,
    ) -> tuple[ApiKeyRow, Token]:
        """A new key; the token holds its secret, which is stored nowhere.

        `principal` is that of the key which it replaces; without it the key begins a line.
        """
        token = new_token(self.environment, self.clock.new_id(), self.entropy)
        keyring_id, key = self.keyring.active(Purpose.API_KEY)
        row = await insert_key(
            conn,
            key_id=token.key_id,
            name=name,
            scopes=sorted(set(scopes)),
            secret_hash=secret_hash(token.secret, key),
            keyring_id=keyring_id,
            created_at=self.clock.now(),
            created_by=created_by,
            expires_at=expires_at,
            principal=principal or token.key_id,
            email=email,
        )
        return row, token

    async def rotate(
        self, conn: Connection, key_id: str, *, overlap: timedelta, created_by: str
    ) -> tuple[ApiKeyRow, Token]:
        """A new key of the same name and scopes; the old one goes on working for `overlap`.

        It has the principal of the old one, so that what that one sent stays in sight. A key that
        was made to last 90 days gets a successor that lasts 90 days. Raises NoSuchKey, KeyEnded,
        KeyAlreadyRotated.
        """
        old = await lock_key(conn, key_id)
        if old is None:
            raise NoSuchKey
        now = self.clock.now()
        match state_of(old, now):
            case KeyState.REVOKED | KeyState.EXPIRED:
                raise KeyEnded
            case KeyState.ROTATED:
                assert old.replaced_by is not None
                raise KeyAlreadyRotated(old.replaced_by)
            case KeyState.ACTIVE:
                pass
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        new, token = await self.create(
            conn,
            name=old.name,
            scopes=old.scopes,
            created_by=created_by,
            expires_at=None if lifetime is None else now + lifetime,
            email=old.email,
            principal=old.principal,
        )
        await retire_key(conn, old.id, replaced_by=new.id, until=now + overlap)
        return new, token


async def read_key(conn: Connection, key_id: str) -> ApiKeyRow:
    """Raises NoSuchKey."""
    row = await key_by_id(conn, key_id)
    if row is None:
        raise NoSuchKey
    return row


async def revoke(conn: Connection, key_id: str, now: datetime) -> ApiKeyRow:
    """End a key now. Doing so again changes nothing. Raises NoSuchKey."""
    row = await revoke_key(conn, key_id, now)
    if row is None:
        raise NoSuchKey
    return row


async def still_working(conn: Connection, key_id: str, now: datetime) -> list[ApiKeyRow]:
    """What a key has replaced, or was replaced by, and what works on for its overlap after a
    rotation: ending the key does not end those."""
    return await keys_still_working(conn, key_id, now)


async def list_keys(
    conn: Connection, *, now: datetime, ended: bool, before: str | None, limit: int
) -> tuple[list[ApiKeyRow], str | None]:
    """Up to `limit` keys, newest first, and the id to go on from when there are more."""
    found = await page_of_keys(conn, before=before, ended=ended, now=now, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None
