"""Time and identifiers, passed in as parameters so that tests decide both."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the service gets its time and its ids from."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for measuring spans."""
        ...

    def new_id(self) -> uuid.UUID:
        """A new UUIDv7 (RFC 9562 section 5.7): ids sort by the millisecond they were made in."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self) -> uuid.UUID:
        return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def uuid7(unix_milliseconds: int, randomness: bytes) -> uuid.UUID:
    """A UUIDv7 from a 48-bit time in milliseconds and ten random bytes (RFC 9562 section 5.7)."""
    value = (unix_milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(randomness[:10])
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
