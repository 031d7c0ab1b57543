"""The secret keys of a deployment: one file, from which a key for each purpose is derived."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from api.clock import Clock

KEY_BYTES = 32
_CONTEXT = b"clinicway/1/"


class KeyringError(Exception):
    """The keyring cannot be used; the message says what a person has to do."""


class UnknownKey(KeyringError):
    """Something was made with a key that this keyring does not hold."""


class Purpose(StrEnum):
    """What a key is for. Each gets a key of its own, so that none can be used for another."""

    API_KEY = "api-key"
    CURSOR = "cursor"
    SEALING = "sealing"
    FINGERPRINT = "fingerprint"
    HISTORY = "history"
    AUDIT = "audit"
    TRACKING = "tracking"
    IDEMPOTENCY = "idempotency"


class _Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    created_at: Annotated[datetime, Meta(tz=True)]
    secret: str
    """32 random bytes in URL-safe base64."""


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. More than one key means that the keys were rotated: new work uses `active`, the
    others stay for what was made with them."""

    version: int
    active: str
    keys: list[_Key]


class Keyring:
    """Keys by id and purpose. 32 bytes each, derived by HKDF-SHA-256 (RFC 5869)."""

    def __init__(self, active: str, secrets_by_id: dict[str, bytes], newest: datetime) -> None:
        self.newest = newest
        """When the youngest key was made."""
        self._active = active
        self._derived = {
            (key_id, purpose): _derive(secret, purpose)
            for key_id, secret in secrets_by_id.items()
            for purpose in Purpose
        }

    @classmethod
    def load_or_create(
        cls, path: Path, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> Keyring:
        """The keyring of that file, which is made when there is none.

        Safe from several processes at once: all of them end up with the same keys. Raises
        KeyringError for a file that others may read, that is damaged or cannot be made.
        """
        try:
            if not path.exists():
                _create(path, clock, entropy)
            return cls.load(path)
        except OSError as error:
            raise KeyringError(
                f"The keyring {path} cannot be read or made ({error.strerror}). Give this user "
                "the right to, or name another file with CLINICWAY_KEYRING."
            ) from error

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """The keyring of that file. Raises KeyringError, or OSError when it cannot be read."""
        with path.open("rb") as file:
            _refuse_shared(path, os.fstat(file.fileno()))
            content = file.read()
        damaged = f"The keyring {path} is damaged: restore it from a backup. "
        try:
            document = msgspec.json.decode(content, type=_Document)
            found = {key.id: base64.urlsafe_b64decode(key.secret) for key in document.keys}
        except (ValueError, RecursionError):
            raise KeyringError(damaged + "It is not the JSON that Clinicway wrote.") from None
        if document.version != 1:
            raise KeyringError(f"The keyring {path} was written by a newer version of Clinicway.")
        if document.active not in found:
            raise KeyringError(damaged + "The active key is not in it.")
        if any(len(secret) != KEY_BYTES for secret in found.values()):
            raise KeyringError(damaged + f"A key is not {KEY_BYTES} bytes long.")
        return cls(document.active, found, max(key.created_at for key in document.keys))

    def active(self, purpose: Purpose) -> tuple[str, bytes]:
        """The key to make something new with, and its id to store beside it."""
        return self._active, self._derived[self._active, purpose]

    def get(self, key_id: str, purpose: Purpose) -> bytes:
        """The key that something was made with. Raises UnknownKey."""
        try:
            return self._derived[key_id, purpose]
        except KeyError:
            raise UnknownKey(
                "The keyring does not hold a key that the database refers to: it belongs to "
                "another deployment, or an older copy of it was restored."
            ) from None


def _derive(secret: bytes, purpose: Purpose) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_CONTEXT + purpose.encode()
    ).derive(secret)


def _create(path: Path, clock: Clock, entropy: Callable[[int], bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The end of a UUIDv7 is random: short, and different in every deployment.
    key_id = clock.new_id().hex[-12:]
    document = _Document(
        version=1,
        active=key_id,
        keys=[
            _Key(
                id=key_id,
                created_at=clock.now(),
                secret=base64.urlsafe_b64encode(entropy(KEY_BYTES)).decode(),
            )
        ],
    )
    # mkstemp makes the file 0600. Linking it into place either makes the whole file or, when
    # another process was faster, leaves that one's alone: no process ever sees half a keyring.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _flush_folder(path.parent)
    finally:
        Path(draft).unlink()


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_shared(path: Path, status: os.stat_result) -> None:
    """As PostgreSQL treats its private key: ours and 0600, or root's and 0640, which is what an
    orchestrator mounts."""
    ours = status.st_uid == os.geteuid()
    forbidden = 0o077 if ours else 0o027
    if stat.S_IMODE(status.st_mode) & forbidden:
        raise KeyringError(
            f"Other users of this machine may read the keyring {path}. Whoever read it can forge "
            f"API keys and cursors. Make it private with: chmod 600 {path}"
        )
    if not ours and status.st_uid != 0:
        raise KeyringError(
            f"The keyring {path} belongs to another user. Give it to the user that runs "
            f"Clinicway with: chown {os.geteuid()} {path}"
        )
