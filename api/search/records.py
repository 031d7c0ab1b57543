"""What the index keeps of a clinic: read from the public profile, and its ready-made answer."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from zstandard import (
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
)

from api.search.abilities import IndexedAge, IndexedAnswers

REST = b',"address":'
"""Where a profile's text stops being a summary. Inside a JSON string the quotes would be escaped,
so the first occurrence is the field."""


class IndexedOffering(msgspec.Struct, frozen=True, gc=False):
    drug: str
    route: str
    setting: str
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


class NamedClinic(msgspec.Struct, frozen=True):
    """The parts of a public profile in which words are searched for."""

    name: str
    organization: str | None
    city: str
    medical_director: IndexedDirector | None


class IndexedClinic(msgspec.Struct, frozen=True):
    """The other parts of a public profile that can be searched for."""

    id: UUID
    slug: str
    name: str
    state: str
    lat: float | None
    lon: float | None
    accepting: str
    wait_days: int | None
    payers: list[str]
    languages: list[str]
    verified_at: datetime | None
    time_zone: str | None
    offerings: list[IndexedOffering]
    hours: tuple[IndexedHours, ...]
    weekly_capacity: int | None
    age: IndexedAge
    assesses: list[str]
    responsiveness: IndexedAnswers | None = None


class ProfileStore:
    """Cuts profiles into summary and rest, and puts them together again.

    The rest is compressed with a dictionary made of the first profiles seen, since profiles differ
    little from each other: about 1.4 KB becomes 140 bytes, and back in a microsecond.
    """

    def __init__(self, sample: bytes = b"") -> None:
        dictionary = ZstdCompressionDict(sample[-16_000:], dict_type=DICT_TYPE_RAWCONTENT)
        dictionary.precompute_compress(level=1)  # pyright: ignore[reportUnknownMemberType]
        self._compress = ZstdCompressor(
            level=1, dict_data=dictionary, write_checksum=False, write_dict_id=False
        ).compress
        self._decompress = ZstdDecompressor(dict_data=dictionary).decompress

    def pack(self, profile: bytes) -> tuple[bytes, bytes]:
        """The summary as it goes into answers, and the rest compressed, of a public profile as
        encoded for the log."""
        at = profile.index(REST)
        return profile[:at] + b"}", self._compress(profile[at:])

    def unpack(self, summary: bytes, rest: bytes) -> bytes:
        """The profile that was packed, byte for byte."""
        return summary[:-1] + self._decompress(rest)


decode_names = msgspec.json.Decoder(NamedClinic).decode
decode_clinic = msgspec.json.Decoder(IndexedClinic).decode
