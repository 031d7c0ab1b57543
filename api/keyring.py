"""The secret keys of a deployment: one file, from which a key for each purpose is derived.

What becomes of each purpose when the keys are rotated stands in docs/keyring.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.clock import Clock
from api.keyring_file import (
    KEY_BYTES,
    VERSION,
    Document,
    KeyEntry,
    KeyringError,
    Stamp,
    bytes_of,
    create_document,
    read_document,
    text_of,
)

CHECK_SECONDS: Final = 2.0
"""How old a process's keys may be. A rotation waits for longer between making a key known and
using it."""
PINNED_ID: Final = "pinned"
_CONTEXT = b"clinicway/1/"

_log = structlog.get_logger()


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
    WEBHOOK = "webhook"
    RATES = "rates"


PINNED: Final = frozenset({Purpose.IDEMPOTENCY})
"""Not rotated. For a second or two processes differ in which key is the active one; an
Idempotency-Key that had two hashes in that time could make two referrals."""


class Keyring:
    """Keys by id and purpose. 32 bytes each, derived by HKDF-SHA-256 (RFC 5869).

    Follows its file: a key that is added, made the active one or removed is so here, too, within
    `CHECK_SECONDS`, and at once when something names a key that is not known. A file that cannot
    be read in the meantime changes nothing.
    """

    def __init__(
        self, document: Document, *, source: tuple[Path, Clock, Stamp] | None = None
    ) -> None:
        """Without a source the keys stay as they are."""
        self._take(document)
        self._source = source
        self._looked_at = 0.0 if source is None else source[1].monotonic()
        self._failing = False

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
                create_document(path, _first(clock, entropy))
            return cls.load(path, clock)
        except OSError as error:
            raise KeyringError(
                f"The keyring {path} cannot be read or made ({error.strerror}). Give this user "
                "the right to, or name another file with CLINICWAY_KEYRING."
            ) from error

    @classmethod
    def load(cls, path: Path, clock: Clock) -> Keyring:
        """The keyring of that file. Raises KeyringError, or OSError when it cannot be read."""
        document, stamp = read_document(path)
        return cls(document, source=(path, clock, stamp))

    @property
    def newest(self) -> datetime:
        """When the youngest key was made."""
        return self._newest

    def active(self, purpose: Purpose) -> tuple[str, bytes]:
        """The key to make something new with, and its id to store beside it."""
        self._look(at_once=False)
        key_id = PINNED_ID if purpose in PINNED else self._active
        return key_id, self._derived[purpose][key_id]

    def get(self, key_id: str, purpose: Purpose) -> bytes:
        """The key that something was made with. Raises UnknownKey."""
        found = self._derived[purpose].get(key_id)
        if found is None:
            self._look(at_once=True)
            found = self._derived[purpose].get(key_id)
        if found is None:
            raise UnknownKey(
                "The keyring does not hold a key that the database refers to: it belongs to "
                "another deployment, or an older copy of it was restored."
            )
        return found

    def every(self, purpose: Purpose) -> Mapping[str, bytes]:
        """All the keys that something may have been made with, by id, the active one first: to
        look for what has no key's id beside it."""
        self._look(at_once=False)
        return self._derived[purpose]

    def look(self) -> None:
        """Take the file as it is now."""
        self._look(at_once=True)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._derived[Purpose.CURSOR])})"

    def _take(self, document: Document) -> None:
        derived: dict[Purpose, dict[str, bytes]] = {purpose: {} for purpose in Purpose}
        newest_first = document.keys[::-1]
        # A stable sort: the active one comes first, the others stay newest first.
        for key in sorted(newest_first, key=lambda key: key.id != document.active):
            for purpose in Purpose:
                if purpose not in PINNED and (found := derived_key(key, purpose)) is not None:
                    derived[purpose][key.id] = found
        for purpose in PINNED:
            derived[purpose] = {PINNED_ID: pinned_key(document, purpose)}
        self._active = document.active
        self._newest = max(key.created_at for key in document.keys)
        self._derived = derived

    def _look(self, *, at_once: bool) -> None:
        if self._source is None:
            return
        path, clock, stamp = self._source
        now = clock.monotonic()
        if not at_once and now - self._looked_at < CHECK_SECONDS:
            return
        self._looked_at = now
        try:
            if Stamp.of(path.stat()) == stamp:
                return
            document, stamp = read_document(path)
        except (KeyringError, OSError) as error:
            if not self._failing:
                _log.warning("keyring not read anew", error=type(error).__name__)
            self._failing = True
            return
        self._take(document)
        self._source = (path, clock, stamp)
        self._failing = False
        _log.info("keyring read anew", active=document.active, keys=len(document.keys))


def new_entry(clock: Clock, entropy: Callable[[int], bytes]) -> KeyEntry:
    # The end of a UUIDv7 is random: short, and different in every deployment.
    return KeyEntry(
        id=clock.new_id().hex[-12:], created_at=clock.now(), secret=text_of(entropy(KEY_BYTES))
    )


def derived_key(key: KeyEntry, purpose: Purpose) -> bytes | None:
    """None when that part of the key was given up."""
    if key.secret is not None:
        return _derive(bytes_of(key.secret), purpose)
    kept = key.derived.get(purpose)
    return None if kept is None else bytes_of(kept)


def pinned_key(document: Document, purpose: Purpose) -> bytes:
    kept = document.pinned.get(purpose)
    if kept is not None:
        return bytes_of(kept)
    # Never rotated so far: the first rotation writes it down.
    found = derived_key(document.keys[0], purpose)
    assert found is not None, "a key gives up its secret after a rotation only"
    return found


def _first(clock: Clock, entropy: Callable[[int], bytes]) -> Document:
    entry = new_entry(clock, entropy)
    return Document(version=VERSION, active=entry.id, keys=[entry])


def _derive(secret: bytes, purpose: Purpose) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_CONTEXT + purpose.encode()
    ).derive(secret)
