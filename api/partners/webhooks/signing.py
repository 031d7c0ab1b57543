"""The secret that a webhook's messages are signed with: shown once, kept sealed, used here."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from standardwebhooks import Webhook

from api.keyring import Keyring, Purpose, UnknownKey

SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12
CURRENT: Final = "secret"
PREVIOUS: Final = "previous_secret"


class SecretUnreadable(Exception):
    """A secret cannot be unsealed: made with another keyring, damaged, or of another row."""


class SecretBox:
    """Makes, seals and opens signing secrets.

    AES-256-GCM, bound to table, column and row: a secret moved elsewhere cannot be opened there.
    """

    def __init__(
        self, keyring: Keyring, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._keyring = keyring
        self._entropy = entropy

    def new_secret(self) -> bytes:
        return self._entropy(SECRET_BYTES)

    def seal(self, webhook: UUID, column: str, secret: bytes) -> tuple[str, bytes]:
        """The id of the keyring's key, and the sealed secret, to be stored beside each other."""
        keyring_id, key = self._keyring.active(Purpose.WEBHOOK)
        nonce = self._entropy(_NONCE_BYTES)
        return keyring_id, nonce + AESGCM(key).encrypt(nonce, secret, _place(webhook, column))

    def open(self, webhook: UUID, column: str, keyring_id: str, sealed: bytes) -> bytes:
        """Raises SecretUnreadable."""
        try:
            key = self._keyring.get(keyring_id, Purpose.WEBHOOK)
            nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(key).decrypt(nonce, text, _place(webhook, column))
        except (UnknownKey, InvalidTag, ValueError):
            raise SecretUnreadable from None


def _place(webhook: UUID, column: str) -> bytes:
    return f"webhook_subscription|{column}|{webhook}".encode()


def shown(secret: bytes) -> str:
    """A secret as its receiver gets it, and as the libraries of Standard Webhooks take it."""
    return "whsec_" + base64.b64encode(secret).decode()


def signed_headers(
    delivery: UUID, at: datetime, body: str, signing: Sequence[bytes]
) -> dict[str, str]:
    """The headers of one attempt; a signature by each of the secrets, the newest first."""
    # The library reads the clock's digits as UTC, whatever zone they are of.
    moment = at.astimezone(UTC)
    return {
        "webhook-id": str(delivery),
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(
            Webhook(secret).sign(str(delivery), moment, body) for secret in signing
        ),
    }
