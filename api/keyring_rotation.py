"""Changes of the keyring's file: a key made known, made the active one, reduced, removed.

Each is one replacement of the file, done by one process at a time. None of them looks into the
database: who calls `reduce` or `remove` has seen to it that nothing needs what goes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from api.clock import Clock
from api.keyring import PINNED, Purpose, derived_key, new_entry, pinned_key
from api.keyring_file import (
    Document,
    KeyEntry,
    KeyringError,
    held_for_change,
    replace_document,
    text_of,
)

SETTLE: Final = timedelta(minutes=1)
"""How long a key must have been replaced before it is reduced or removed: what was begun with it
is in the database by then."""


def prepare_key(
    path: Path, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[str, bool]:
    """The id of the key that is to be the next active one, and whether it was made now: one that
    is there already, from a rotation that did not come to its end, is taken.

    Raises KeyringError, OSError.
    """
    path = path.resolve()
    with held_for_change(path) as document:
        waiting = document.prepared()
        if waiting is not None:
            return waiting.id, False
        entry = new_entry(clock, entropy)
        pinned = {purpose.value: text_of(pinned_key(document, purpose)) for purpose in PINNED}
        replace_document(
            path, msgspec.structs.replace(document, keys=[*document.keys, entry], pinned=pinned)
        )
        return entry.id, True


def activate_key(path: Path, clock: Clock, key_id: str) -> None:
    """New work is done with that key from now on. Raises KeyringError, OSError."""
    path = path.resolve()
    with held_for_change(path) as document:
        if document.active == key_id:
            return
        if _entry(document, key_id).secret is None:
            raise KeyringError("This key was given up: new work cannot be done with it.")
        now = clock.now()
        keys = [_replaced(key, document.active, key_id, now) for key in document.keys]
        replace_document(path, msgspec.structs.replace(document, active=key_id, keys=keys))


def reduce_key(path: Path, key_id: str, now: datetime, give_up: Collection[Purpose]) -> None:
    """Forget the key's secret and what was derived from it for those purposes; what was derived
    for the others stays. Raises KeyringError, OSError."""
    path = path.resolve()
    with held_for_change(path) as document:
        entry = old_key(document, key_id, now)
        kept = {
            purpose.value: text_of(found)
            for purpose in Purpose
            if purpose not in PINNED
            and purpose not in give_up
            and (found := derived_key(entry, purpose)) is not None
        }
        reduced = msgspec.structs.replace(entry, secret=None, derived=kept)
        keys = [reduced if key.id == key_id else key for key in document.keys]
        replace_document(path, msgspec.structs.replace(document, keys=keys))


def remove_key(path: Path, key_id: str, now: datetime) -> None:
    """Raises KeyringError, OSError."""
    path = path.resolve()
    with held_for_change(path) as document:
        old_key(document, key_id, now)
        keys = [key for key in document.keys if key.id != key_id]
        replace_document(path, msgspec.structs.replace(document, keys=keys))


def _replaced(key: KeyEntry, old: str, new: str, now: datetime) -> KeyEntry:
    if key.id == old:
        return msgspec.structs.replace(key, replaced_at=now)
    if key.id == new:
        return msgspec.structs.replace(key, replaced_at=None)
    return key


def _entry(document: Document, key_id: str) -> KeyEntry:
    found = document.key(key_id)
    if found is None:
        raise KeyringError("The keyring has no key with this id: `clinicway keyring list`.")
    return found


def old_key(document: Document, key_id: str, now: datetime) -> KeyEntry:
    """The key, if it may go as far as the file knows. Raises KeyringError."""
    entry = _entry(document, key_id)
    if key_id == document.active:
        raise KeyringError(
            "This is the active key: new work is done with it. `clinicway keyring rotate` makes "
            "another one the active key."
        )
    left = timedelta(0) if entry.replaced_at is None else entry.replaced_at + SETTLE - now
    if left > timedelta(0):
        raise KeyringError(
            "This key was the active one until a moment ago, and what was begun with it may not "
            f"be in the database yet. Try again in {left.total_seconds():.0f} seconds."
        )
    return entry
