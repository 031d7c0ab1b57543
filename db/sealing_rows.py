"""What the statements of db/sql/sealed_keys.sql and db/sql/keyring_use.sql give back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class SealedKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A referral's data key, sealed with a key of the keyring; null once it was erased."""

    referral_id: UUID
    keyring_id: str
    wrapped: bytes | None
    erased_at: datetime | None

    def __repr__(self) -> str:
        return f"SealedKeyRow({self.referral_id})"
