"""JSON Schemas of the service's own types, as msgspec validates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """Gathers types while the document is written, and gives their schemas in the end.

    All are made in one go, so that two types of one name are told apart.
    """

    def __init__(self) -> None:
        self._kinds: list[Any] = []
        self._places: list[Callable[[Schema], None]] = []

    def put(self, kind: Any, place: Callable[[Schema], None]) -> None:
        """Calls `place` with the schema of that type once all types are known."""
        self._kinds.append(kind)
        self._places.append(place)

    def resolve(self) -> Schema:
        """Fills every place; gives the components."""
        schemas, components = msgspec.json.schema_components(self._kinds, ref_template=REFERENCE)
        for place, schema in zip(self._places, schemas, strict=True):
            place(schema)
        return dict(sorted(components.items()))


def without_null(schema: Schema) -> Schema:
    """A query string cannot carry null: leaving the parameter out says it."""
    options = cast("list[Schema] | None", schema.get("anyOf"))
    if options is None:
        return schema
    real = [option for option in options if option != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    return real[0] | rest if len(real) == 1 else {"anyOf": real} | rest
