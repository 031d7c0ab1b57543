"""The closed sets of names are the same in Python and in PostgreSQL."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from db import states
from db.connection import rows
from tests.db.shapes import EnumRow

if TYPE_CHECKING:
    from db.connection import Connection

ENUMS_IN_DATABASE = """
select t.typname as name, array_agg(e.enumlabel::text order by e.enumsortorder) as labels
from pg_type t join pg_enum e on e.enumtypid = t.oid
group by t.typname
"""


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


async def test_every_enum_type_is_a_python_enum_with_the_same_names(
    connection: Connection,
) -> None:
    in_database = {
        row.name: row.labels
        for row in await rows(connection, EnumRow, ENUMS_IN_DATABASE)
        # Made, and written, by the library of the queue.
        if not row.name.startswith("pgqueuer_")
    }
    in_python = {
        _snake(name): [str(member) for member in kind]
        for name, kind in vars(states).items()
        if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
    }
    assert in_database, "the migrations make enum types"
    assert in_database == {name: in_python.get(name) for name in in_database}
