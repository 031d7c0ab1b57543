"""Referrals in the database that say one thing, for what concerns their sealing alone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from api.keyring import Keyring
from api.referrals.sealing.sealing import Sealer
from db.connection import Connection, one_row
from db.pool import Pool
from db.sealing_rows import SealedKeyRow
from tests.keys.clocks import HandClock

INSERT = """
insert into referral
    (id, version, state, urgency, mode, referrer, fingerprints, sealed, history_hash, created_at,
     updated_at, closed_at)
values ($1, 1, $2::referral_state, 'routine', 'sequential', 'someone', $3, $4, '', now(), now(),
    case when $2 in ('completed', 'cancelled') then now() end)
"""
READ = "select referral_id, keyring_id, wrapped, erased_at from sealed_key where referral_id = $1"
KEY = "insert into sealed_key (referral_id, keyring_id, wrapped) values ($1, $2, $3)"


async def send(
    pool: Pool,
    keyring: Keyring,
    content: bytes,
    *,
    state: str = "matching",
    fingerprints: Sequence[bytes] = (),
) -> UUID:
    """The pool is to have the rights of the owner."""
    referral = HandClock().new_id()
    key, row = Sealer(keyring).new_key(referral)
    sealed = key.seal("referral", "sealed", referral, content)
    async with pool.transaction() as conn:
        await conn.become_worker()
        await conn.execute(INSERT, referral, state, list(fingerprints), sealed)
        await conn.execute(KEY, referral, row.keyring_id, row.wrapped)
    return referral


async def key_row(pool: Pool, referral: UUID) -> SealedKeyRow:
    async with pool.transaction() as conn:
        await conn.become_worker()
        return await _key_row(conn, referral)


async def _key_row(conn: Connection, referral: UUID) -> SealedKeyRow:
    return await one_row(conn, SealedKeyRow, READ, referral)


async def read(pool: Pool, keyring: Keyring, referral: UUID) -> bytes:
    """What it says. Raises what the sealing raises."""
    async with pool.transaction() as conn:
        await conn.become_worker()
        row = await _key_row(conn, referral)
        sealed = await conn.fetchval("select sealed from referral where id = $1", referral)
    assert isinstance(sealed, bytes)
    return Sealer(keyring).open_key(row).open("referral", "sealed", referral, sealed)
