"""Sealing what is said of a patient: AES-256-GCM with a data key of its own for each referral.

A sealed value is one byte for the form, a nonce of 12 random bytes, the ciphertext, and a tag of
16 bytes. The tag also covers the form and where the value belongs: table, column and row. A data
key is stored in the same form, sealed with a key of the keyring and bound to its referral.

Random nonces of 96 bits are safe for 2**32 values under one key (NIST SP 800-38D, 8.3): that many
steps of one referral, or that many referrals between two rotations of the keyring.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.keyring import Keyring, Purpose
from db.sealing_rows import SealedKeyRow

FORM: Final = b"\x01"
DATA_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = len(FORM) + NONCE_BYTES + TAG_BYTES
"""How many bytes longer a sealed value is than what is in it."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class SealError(Exception):
    """Something sealed cannot be read. The text never holds a part of it."""


class SealBroken(SealError):
    """It was changed, or belongs to another row, column, table or key."""


class SealErased(SealError):
    """The data key was destroyed, so that nobody reads it any more."""


class SealingKey:
    """The data key of one referral, to seal and open what belongs to it."""

    __slots__ = ("_cipher", "_entropy", "referral_id")

    def __init__(self, referral_id: UUID, key: bytes, entropy: Callable[[int], bytes]) -> None:
        self.referral_id = referral_id
        self._cipher = AESGCM(key)
        self._entropy = entropy

    def seal(self, table: str, column: str, row_id: UUID | str, content: bytes) -> bytes:
        """What to store in that column of that row. Twice the same content gives two values.

        A row whose key has several columns is named by all of them: `"<referral id>/<version>"`.
        """
        return _sealed(self._cipher, self._entropy, _place(table, column, row_id), content)

    def open(self, table: str, column: str, row_id: UUID | str, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        return _opened(self._cipher, _place(table, column, row_id), sealed)

    def __repr__(self) -> str:
        return f"SealingKey({self.referral_id})"


class Sealer:
    """Makes, opens and rewraps data keys."""

    def __init__(
        self, keyring: Keyring, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._keyring = keyring
        self._entropy = entropy

    def new_key(self, referral_id: UUID) -> tuple[SealingKey, SealedKeyRow]:
        """A data key that no other referral has, and the row to store it as."""
        key = self._entropy(DATA_KEY_BYTES)
        keyring_id, wrapping = self._keyring.active(Purpose.SEALING)
        wrapped = self._wrapped(referral_id, wrapping, key)
        row = SealedKeyRow(
            referral_id=referral_id, keyring_id=keyring_id, wrapped=wrapped, erased_at=None
        )
        return SealingKey(referral_id, key, self._entropy), row

    def open_key(self, row: SealedKeyRow) -> SealingKey:
        """Raises SealErased, SealBroken, and UnknownKey when the keyring lacks the key."""
        return SealingKey(row.referral_id, self._unwrapped(row), self._entropy)

    def rewrapped(self, row: SealedKeyRow, keyring_id: str) -> bytes:
        """The same data key under that key of the keyring. Raises SealErased, SealBroken,
        UnknownKey."""
        wrapping = self._keyring.get(keyring_id, Purpose.SEALING)
        return self._wrapped(row.referral_id, wrapping, self._unwrapped(row))

    def _wrapped(self, referral_id: UUID, wrapping: bytes, key: bytes) -> bytes:
        place = _place("sealed_key", "wrapped", referral_id)
        return _sealed(AESGCM(wrapping), self._entropy, place, key)

    def _unwrapped(self, row: SealedKeyRow) -> bytes:
        if row.wrapped is None:
            raise SealErased("What this referral said of its patient was erased.")
        wrapping = self._keyring.get(row.keyring_id, Purpose.SEALING)
        place = _place("sealed_key", "wrapped", row.referral_id)
        key = _opened(AESGCM(wrapping), place, row.wrapped)
        if len(key) != DATA_KEY_BYTES:
            raise SealBroken("A sealed key is not one.")
        return key


def _place(table: str, column: str, row_id: UUID | str) -> bytes:
    """Where a value belongs, written so that no two places are written the same."""
    assert _NAME.fullmatch(table), "a table has a name in snake_case"
    assert _NAME.fullmatch(column), "a column has a name in snake_case"
    return f"{table}|{column}|{row_id}".encode()


def _sealed(cipher: AESGCM, entropy: Callable[[int], bytes], place: bytes, content: bytes) -> bytes:
    nonce = entropy(NONCE_BYTES)
    return FORM + nonce + cipher.encrypt(nonce, content, FORM + place)


def _opened(cipher: AESGCM, place: bytes, sealed: bytes) -> bytes:
    if len(sealed) < OVERHEAD or sealed[:1] != FORM:
        raise SealBroken("A sealed value is damaged, or was written by a newer version.")
    nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, rest, FORM + place)
    except InvalidTag:
        raise SealBroken("A sealed value was changed, or belongs elsewhere.") from None
