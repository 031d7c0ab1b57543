"""What in the database still needs a key of the keyring, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from api.keyring import Purpose
from api.keyring_file import KeyEntry
from api.referrals.sealing.fingerprints import tag_of
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
            f"data keys of referrals sealed with it: {of_patients.sealed_keys} (run `clinicway "
            "keyring rewrap`)"
        )
    if of_patients.webhooks:
        found[Purpose.WEBHOOK] = (
            f"webhooks whose secret is sealed with it: {of_patients.webhooks} (run `clinicway "
            "keyring rewrap`)"
        )
    if own.api_keys:
        found[Purpose.API_KEY] = f"API keys made with it: {own.api_keys} (rotate or revoke them)"
    if of_patients.fingerprints:
        found[Purpose.FINGERPRINT] = (
            "open referrals whose patients are known again by it: "
            f"{of_patients.fingerprints} (until they are closed)"
        )
    if of_patients.links:
        found[Purpose.TRACKING] = (
            "open referrals whose patients may have a link made with it: "
            f"{of_patients.links} (until they are closed)"
        )
    if of_patients.history:
        found[Purpose.HISTORY] = "the history of referrals, whose chains are checked with it"
    if own.audit:
        found[Purpose.AUDIT] = "the audit trail, whose chains are checked with it"
    return found
