"""Reads the catalogue files and turns them into the documents that the service serves."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeVar

import msgspec

from api.directory.catalogue_schemas import (
    Condition,
    DrugEntry,
    Language,
    Payer,
    ProtocolFact,
    RouteEntry,
    ScreeningFlag,
    SettingEntry,
    Source,
)
from seeds.catalogue.shapes import ArticleListings, Catalogue


class _Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    note: str
    condition: tuple[Condition, ...]


_Shape = TypeVar("_Shape")
_Entry = (
    Condition | RouteEntry | SettingEntry | DrugEntry | ScreeningFlag
    | ProtocolFact | Payer | Language | Source
)  # fmt: skip


def load_catalogue() -> Catalogue:
    """The shipped catalogues. Raises msgspec.DecodeError when a file breaks its shape."""
    conditions = _decode("conditions.toml", _Conditions)
    return Catalogue(
        conditions=conditions.condition,
        conditions_note=conditions.note,
        routes=_decode("routes.toml", dict[str, tuple[RouteEntry, ...]])["route"],
        settings=_decode("settings.toml", dict[str, tuple[SettingEntry, ...]])["setting"],
        drugs=_decode("drugs.toml", dict[str, tuple[DrugEntry, ...]])["drug"],
        screening_flags=_decode("screening_flags.toml", dict[str, tuple[ScreeningFlag, ...]])[
            "screening_flag"
        ],
        protocols=_decode("protocols.toml", dict[str, tuple[ProtocolFact, ...]])["protocol"],
        payers=_decode("payers.toml", dict[str, tuple[Payer, ...]])["payer"],
        languages=_decode("languages.toml", dict[str, tuple[Language, ...]])["language"],
        sources=_decode("sources.toml", dict[str, tuple[Source, ...]])["source"],
    )


def entries(catalogue: Catalogue) -> list[tuple[str, str, bytes]]:
    """`(kind, code, JSON document)` of every entry; the order within a kind is its position."""
    kinds: tuple[tuple[str, tuple[_Entry, ...]], ...] = (
        ("condition", catalogue.conditions),
        ("route", catalogue.routes),
        ("setting", catalogue.settings),
        ("drug", catalogue.drugs),
        ("screening_flag", catalogue.screening_flags),
        ("protocol", catalogue.protocols),
        ("payer", catalogue.payers),
        ("language", catalogue.languages),
        ("source", catalogue.sources),
    )
    return [
        (kind, entry.code, msgspec.json.encode(entry)) for kind, found in kinds for entry in found
    ]


def load_article_clinics() -> ArticleListings:
    """The clinics, organizations and directories that the articles name."""
    raw = files("seeds").joinpath("clinics", "articles.toml").read_bytes()
    return msgspec.toml.decode(raw, type=ArticleListings)


def _decode(name: str, shape: type[_Shape]) -> _Shape:
    raw = files("seeds.catalogue").joinpath(name).read_bytes()
    return msgspec.toml.decode(raw, type=shape)
