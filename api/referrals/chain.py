"""The history of a referral as a chain: each line's hash covers the line and the hash before it.

The hash is an HMAC, so that whoever can write to the database cannot make a line that verifies.
The referral holds the last hash: lines cut off the end are missed, too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC
from typing import Final

import msgspec

from api.keyring import Keyring, Purpose, UnknownKey
from db.referral_rows import HistoryRow

START: Final = b""
"""What comes before the first line."""


def line_hash(key: bytes, before: bytes, line: HistoryRow) -> bytes:
    """32 bytes over all columns of the line. What is sealed is covered as it is stored, so that
    the chain still verifies when nobody can open it any more."""
    content = (
        "clinicway/history/1",
        before.hex(),
        str(line.referral_id),
        line.version,
        line.at.astimezone(UTC).isoformat(timespec="microseconds"),
        line.event,
        line.role,
        line.actor,
        line.from_state,
        line.to_state,
        line.offer_id and str(line.offer_id),
        line.clinic_id and str(line.clinic_id),
        line.reason,
        None if line.sealed is None else hashlib.sha256(line.sealed).hexdigest(),
        line.keyring_id,
    )
    return hmac.digest(key, msgspec.json.encode(content), "sha256")


def appended(keyring: Keyring, before: bytes, line: HistoryRow) -> HistoryRow:
    """The line with its hash, made with the active key."""
    keyring_id, key = keyring.active(Purpose.HISTORY)
    line = msgspec.structs.replace(line, keyring_id=keyring_id)
    return msgspec.structs.replace(line, hash=line_hash(key, before, line))


def verifies(keyring: Keyring, lines: Sequence[HistoryRow], last: bytes, version: int) -> bool:
    """Whether these are the lines that were written, all of them, in their order: one for each
    version up to the referral's, the last with the hash that the referral holds."""
    before = START
    for number, line in enumerate(lines, 1):
        try:
            key = keyring.get(line.keyring_id, Purpose.HISTORY)
        except UnknownKey:
            return False
        expected = line_hash(key, before, line)
        if line.version != number or not hmac.compare_digest(expected, line.hash):
            return False
        before = line.hash
    return len(lines) == version and hmac.compare_digest(before, last)
