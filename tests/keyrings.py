"""Keyrings that a test decides on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api.keyring import Keyring
from api.keyring_file import KEY_BYTES, VERSION, Document, KeyEntry, text_of

MADE = datetime(2026, 11, 22, 16, tzinfo=UTC)


def fixed_document(*ids: str) -> Document:
    """The last one is the active key."""
    names = ids or ("only",)
    entries = [
        KeyEntry(
            id=name,
            created_at=MADE + timedelta(days=place),
            secret=text_of(name.encode().ljust(KEY_BYTES, b".")),
        )
        for place, name in enumerate(names)
    ]
    return Document(version=VERSION, active=names[-1], keys=entries)


def fixed_keyring(*ids: str) -> Keyring:
    """Keys that are what their ids make them, in memory; the last one is active."""
    return Keyring(fixed_document(*ids))
