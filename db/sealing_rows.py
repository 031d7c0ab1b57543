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


class KeyUseRow(msgspec.Struct, frozen=True, kw_only=True):
    """What needs a key of the keyring: API keys that work, links of the audit trail."""

    api_keys: int
    audit: bool


class PatientKeyUseRow(msgspec.Struct, frozen=True, kw_only=True):
    """What needs a key of the keyring, of what belongs to referrals and webhooks."""

    sealed_keys: int
    webhooks: int
    fingerprints: int
    links: int
    history: bool


class WebhookSecretsRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's signing secrets, each sealed with the key of the keyring named beside it."""

    id: UUID
    secret: bytes
    secret_keyring_id: str
    previous_secret: bytes | None
    previous_keyring_id: str | None

    def __repr__(self) -> str:
        return f"WebhookSecretsRow({self.id})"
