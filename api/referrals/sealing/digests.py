"""What is kept of an Idempotency-Key and of the request that came with it: keyed hashes.

The key behind them stays the same when the keyring is rotated (`api.keyring.PINNED`).
"""

from __future__ import annotations

import hmac

import msgspec

from api.keyring import Keyring, Purpose


def key_digest(keyring: Keyring, principal: str, idempotency_key: str) -> bytes:
    """32 bytes. A sender's own: the same text from another principal is another key."""
    return _digest(keyring, ("key", principal, idempotency_key))


def request_digest(keyring: Keyring, operation: str, body: object) -> bytes:
    """32 bytes, equal for two bodies that say the same: neither the order of members nor blanks
    count, and a Struct's field that was left out is its default."""
    return _digest(keyring, ("request", operation, body))


def same_digest(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


def _digest(keyring: Keyring, content: tuple[object, ...]) -> bytes:
    _, key = keyring.active(Purpose.IDEMPOTENCY)
    return hmac.digest(key, msgspec.json.encode(content, order="deterministic"), "sha256")
