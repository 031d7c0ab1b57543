"""What in the database still needs a key of the keyring, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from api.keyring import Purpose
from api.keyring_file import KeyEntry
from api.referrals.fingerprints import tag_of
from db.pool import Pool
from db.queries.keyring_use import read_key_use, read_patient_key_use

KeyUses: TypeAlias = Mapping[Purpose, str]
"""For each purpose that the key is needed for: by what, and until when or what to do."""


async def look_for_uses(database: Pool, key: KeyEntry) -> KeyUses:
    """The pool is to have the rights of the owner of the tables. Raises DatabaseError."""
    async with database.transaction(isolation="repeatable_read", readonly=True) as conn:
        own = await read_key_use(conn, key.id)
        await conn.become_worker()
        # A key that was never the active one made no links.
        of_patients = await read_patient_key_use(conn, key.id, tag_of(key.id), key.replaced_at)
    found: dict[Purpose, str] = {}
    if of_patients.sealed_keys:
        found[Purpose.SEALING] = (
            f"{of_patients.sealed_keys} referrals are sealed with it: run `clinicway keyring "
            "rewrap`"
        )
    if of_patients.webhooks:
        found[Purpose.WEBHOOK] = (
            f"{of_patients.webhooks} webhooks sign with a secret sealed with it: run `clinicway "
            "keyring rewrap`"
        )
    if own.api_keys:
        found[Purpose.API_KEY] = f"{own.api_keys} API keys were made with it: rotate or revoke them"
    if of_patients.fingerprints:
        found[Purpose.FINGERPRINT] = (
            f"{of_patients.fingerprints} open referrals are known by it, so that none is sent "
            "twice: until they are closed"
        )
    if of_patients.links:
        found[Purpose.TRACKING] = (
            f"{of_patients.links} open referrals may have given their patients a link made with "
            "it: until they are closed"
        )
    if of_patients.history:
        found[Purpose.HISTORY] = "the history of referrals is checked with it, for good"
    if own.audit:
        found[Purpose.AUDIT] = "the audit trail is checked with it, for good"
    return found
