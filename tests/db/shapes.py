"""Row shapes that only tests ask for."""

from __future__ import annotations

import msgspec


class EnumRow(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    labels: list[str]


class ObjectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a schema, written out so that two schemas can be compared."""

    kind: str
    name: str
    definition: str
