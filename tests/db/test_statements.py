"""Every named statement is valid, and its function and row fit what PostgreSQL says of it.

The link is the code itself: a function in `db/queries/<domain>.py` passes `SQL["name"]` to one of
the helpers of `db.connection`, with the row before it and the arguments after it.
"""

from __future__ import annotations

import types
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest

from db import states
from db.queries.clinics import CLINIC_COLUMNS
from db.rows import ClinicRow, OfferingRow
from db.statements import StatementFileError, domains, parsed, statements
from tests.conftest import PATIENT
from tests.db.call_sites import FOLDER, CallSite, call_sites

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from asyncpg.prepared_stmt import PreparedStatement

from db.pool import connect

SITES = [site for path in sorted(Path(FOLDER).glob("*.py")) for site in call_sites(path)]

# What `executemany` is given, in the order of the statement's parameters.
BATCHES: dict[str, list[object]] = {
    "save_clinic": [get_type_hints(ClinicRow)[column] for column in CLINIC_COLUMNS],
    "insert_organization": [UUID, str, str, datetime],
    "insert_offering": [get_type_hints(OfferingRow)[f] for f in OfferingRow.__struct_fields__],
}

PLAIN: dict[str, object] = {
    "bool": bool,
    "bytea": bytes,
    "date": date,
    "float8": float,
    "int2": int,
    "int4": int,
    "int8": int,
    "interval": timedelta,
    "json": str,
    "jsonb": str,
    "numeric": Decimal,
    "text": str,
    "timestamptz": datetime,
    "uuid": UUID,
    "varchar": str,
}
ENUMS: dict[str, type[StrEnum]] = {
    kind.__name__.lower(): kind
    for kind in vars(states).values()
    if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
}


def _name(site: CallSite) -> str:
    return f"{site.domain}.{site.function}:{site.statement}"


def _is_union(hint: object) -> TypeGuard[types.UnionType]:
    return get_origin(hint) in (Union, types.UnionType)


def _without_none(hint: object) -> object:
    if not _is_union(hint):
        return hint
    (kind,) = [part for part in get_args(hint) if part is not types.NoneType]
    return kind


def _python_type(postgres: asyncpg.Type) -> object:
    """The Python type of a column or parameter; lists for arrays."""
    if postgres.kind == "array":
        return list[_element(postgres.name.removesuffix("[]").removeprefix("_"))]
    return _element(postgres.name)


def _element(name: str) -> Any:
    found = PLAIN.get(name) or ENUMS.get(name.replace("_", ""))
    assert found is not None, f"no Python type is agreed for {name}"
    return found


def _annotation_of(kind: object) -> str:
    """As a function writes it: arrays are taken as any sequence."""
    if get_origin(kind) is list:
        return f"Sequence[{_annotation_of(get_args(kind)[0])}]"
    assert isinstance(kind, type)
    return kind.__name__


def _accepts(annotation: str, kind: object) -> bool:
    bare = annotation.replace(" | None", "").replace("list[", "Sequence[")
    return bare == _annotation_of(kind)


@pytest.fixture
async def driver(shared: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    driver = await connect(shared, PATIENT, application="tests")
    yield driver
    await driver.close()


async def _prepared(
    driver: asyncpg.Connection[asyncpg.Record], site: CallSite
) -> PreparedStatement[asyncpg.Record]:
    return await driver.prepare(statements(site.domain)[site.statement])


def test_there_are_statements_to_look_at() -> None:
    assert len(SITES) >= len(domains()) > 0


@pytest.mark.parametrize("domain", domains())
def test_every_statement_is_used_by_a_function_of_its_domain(domain: str) -> None:
    used = {site.statement for site in SITES if site.domain == domain}
    assert used == set(statements(domain))


@pytest.mark.parametrize("site", SITES, ids=_name)
async def test_parameters_are_what_the_function_gives(
    driver: asyncpg.Connection[asyncpg.Record], site: CallSite
) -> None:
    wanted = [_python_type(p) for p in (await _prepared(driver, site)).get_parameters()]
    if site.helper == "executemany":
        assert [_without_none(kind) for kind in BATCHES[site.statement]] == wanted
        return
    assert len(site.arguments) == len(wanted)
    for annotation, kind in zip(site.arguments, wanted, strict=True):
        assert annotation is None or _accepts(annotation, kind), (annotation, kind)


@pytest.mark.parametrize("site", SITES, ids=_name)
async def test_columns_are_what_the_row_holds(
    driver: asyncpg.Connection[asyncpg.Record], site: CallSite
) -> None:
    columns = (await _prepared(driver, site)).get_attributes()
    match site.helper:
        case "execute" | "executemany":
            return
        case "value" | "values":
            assert _without_none(site.shape) == _python_type(columns[0].type)
        case "rows" | "one_row" | "row_or_none" | "stream_rows":
            hints = get_type_hints(site.shape)
            in_row = {name: _without_none(hint) for name, hint in hints.items()}
            assert {c.name: _python_type(c.type) for c in columns} == in_row
        case _:
            pytest.fail(f"{site.helper} is not one of the helpers")


def test_a_file_is_parsed_into_named_statements() -> None:
    found = parsed(
        "-- About the file.\n\n"
        "-- name: first_one\n-- Why it is so.\nselect 1;\n\n"
        "-- name: second_one\nselect\n    -- inside\n    2\n",
        "example",
    )
    assert found == {
        "first_one": "-- example.first_one\nselect 1",
        "second_one": "-- example.second_one\nselect\n    2",
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- name: twice\nselect 1\n-- name: twice\nselect 2",
        "-- name: empty\n-- only a comment\n",
        "-- name: Not Snake\nselect 1",
        "-- name:\nselect 1",
        "select 1\n-- name: late\nselect 2",
    ],
)
def test_a_file_out_of_form_is_refused(text: str) -> None:
    with pytest.raises(StatementFileError):
        parsed(text, "example")
