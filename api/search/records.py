"""What the index keeps of a clinic: read from the public profile, and its ready-made answer."""

from __future__ import annotations

import zlib
from datetime import datetime
from uuid import UUID

import msgspec

from db.states import Accepting, Drug, Route, Setting

REST = b',"address":'
"""Where a profile's text stops being a summary. Inside a JSON string the quotes would be escaped,
so the first occurrence is the field."""


class IndexedOffering(msgspec.Struct, frozen=True):
    drug: Drug
    route: Route
    setting: Setting
    conditions: list[str]
    coverage: list[str]


class IndexedRegistration(msgspec.Struct, frozen=True):
    value: str


class IndexedDirector(msgspec.Struct, frozen=True):
    name: str
    registration: IndexedRegistration | None


class IndexedHours(msgspec.Struct, frozen=True):
    days: tuple[str, ...]
    opens: str
    closes: str


class IndexedClinic(msgspec.Struct, frozen=True):
    """The parts of a public profile that can be searched for."""

    id: UUID
    slug: str
    name: str
    organization: str | None
    city: str
    state: str
    lat: float | None
    lon: float | None
    accepting: Accepting
    wait_days: int | None
    payers: list[str]
    languages: list[str]
    verified_at: datetime | None
    time_zone: str | None
    medical_director: IndexedDirector | None
    offerings: list[IndexedOffering]
    hours: tuple[IndexedHours, ...]
    version: int


class StoredProfile(msgspec.Struct, frozen=True):
    """A profile's text in two parts: the summary as it goes into answers, the rest compressed."""

    summary: bytes
    rest: bytes


class ProfileStore:
    """Cuts profiles into summary and rest, and puts them together again.

    The rest is deflated with a dictionary made of the first profiles seen, since profiles differ
    little from each other: about 1 KB becomes 100 bytes, and back in a microsecond.
    """

    def __init__(self, sample: bytes = b"") -> None:
        # A window of 4 KB and a small hash keep the copy of the primed compressor cheap.
        dictionary = sample[-4000:]
        self._dictionary = dictionary
        self._primed = zlib.compressobj(
            3, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, dictionary
        )

    def pack(self, profile: bytes) -> StoredProfile:
        """Splits a public profile as encoded for the log."""
        at = profile.index(REST)
        compressor = self._primed.copy()
        return StoredProfile(
            summary=profile[:at] + b"}",
            rest=compressor.compress(profile[at:]) + compressor.flush(),
        )

    def unpack(self, stored: StoredProfile) -> bytes:
        """The profile that was packed, byte for byte."""
        return stored.summary[:-1] + zlib.decompressobj(-12, self._dictionary).decompress(
            stored.rest
        )


decode_clinic = msgspec.json.Decoder(IndexedClinic).decode
