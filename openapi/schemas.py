"""JSON Schemas of the service's own types, as msgspec validates them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"
NAMES: Final = {
    "api.directory.catalogue_schemas.CrisisLine": "CatalogueCrisisLine",
    "api.directory.catalogue_schemas.Source": "CatalogueSource",
    "api.directory.schemas.Registration": "Registration",
    "api.directory.schemas.Source": "ProfileSource",
    "api.referrals.document.Registration": "ReferrerRegistration",
    "api.referrals.matching.matching.Suggestion": "MatchSuggestion",
    "api.referrals.screening.CrisisLine": "CrisisLine",
    "api.search.schemas.Suggestion": "SearchSuggestion",
}
"""Of types that share theirs with another one: a module's name means nothing to a caller."""


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
        """Fills every place; gives the components. Raises ValueError for types of one name that
        have no other one in NAMES."""
        schemas, components = msgspec.json.schema_components(self._kinds, ref_template=REFERENCE)
        names = {name: _name(name) for name in components}
        if len(set(names.values())) < len(names):
            raise ValueError("two types have one name in NAMES")
        references = {REFERENCE.format(name=old): new for old, new in names.items()}
        for place, schema in zip(self._places, schemas, strict=True):
            place(_renamed(schema, references))
        return {
            name: _renamed(components[old], references)
            for old, name in sorted(names.items(), key=lambda each: each[1])
        }


def _name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    if "." in name:
        raise ValueError(f"{name} shares its name with another type: give it one in NAMES")
    return name


def _renamed(found: Any, references: Mapping[str, str]) -> Any:
    """The same schema with its references as they are named."""
    if isinstance(found, dict):
        members = cast("Schema", found)
        return {
            name: REFERENCE.format(name=references[inner])
            if name == "$ref"
            else _renamed(inner, references)
            for name, inner in members.items()
        }
    if isinstance(found, list):
        return [_renamed(inner, references) for inner in cast("list[Any]", found)]
    return found


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
