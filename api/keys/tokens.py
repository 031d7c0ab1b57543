"""The text of an API key: `cw_<environment>_<id>_<secret>`. Pure."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from uuid import UUID

import msgspec

SECRET_BYTES = 20
"""160 bits of randomness: far beyond guessing, and 32 characters without padding."""

_TEXT = re.compile(r"cw_([a-z0-9]{1,12})_([0-9a-f]{32})_([a-z2-7]{32})")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    environment: str
    key_id: str
    secret: str

    def text(self) -> str:
        return f"cw_{self.environment}_{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.key_id})"


def new_token(environment: str, key_id: UUID, entropy: Callable[[int], bytes]) -> Token:
    # Base32 has no character that a shell, a URL or a double click would stop at.
    secret = base64.b32encode(entropy(SECRET_BYTES)).decode().lower()
    return Token(environment=environment, key_id=key_id.hex, secret=secret)


def parse_token(text: str) -> Token | None:
    """The parts of an API key, or None for any other text."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    return Token(environment=match[1], key_id=match[2], secret=match[3])


def secret_hash(secret: str, key: bytes) -> bytes:
    """HMAC-SHA-256: what is stored of a secret. Without the keyring it cannot even be guessed at.

    A slow password hash would add nothing: the secret is random, not chosen by a person.
    """
    return hmac.digest(key, secret.encode(), "sha256")


def same_secret(secret: str, key: bytes, stored: bytes) -> bool:
    return hmac.compare_digest(secret_hash(secret, key), stored)
