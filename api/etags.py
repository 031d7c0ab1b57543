"""The ETag of what has no version number: that of its content."""

from __future__ import annotations

import hashlib

import msgspec


def etag_of(resource: msgspec.Struct) -> str:
    """Quoted and strong, as the header has it."""
    return f'"{hashlib.sha256(msgspec.json.encode(resource)).hexdigest()[:32]}"'
