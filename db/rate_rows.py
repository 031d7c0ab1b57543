"""The rows of rate limits."""

from __future__ import annotations

import msgspec


class RateRow(msgspec.Struct, frozen=True, kw_only=True):
    bucket: bytes
    count: int
