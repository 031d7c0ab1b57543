"""Services on databases that things happen to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.conftest import execute, run_apart
from tests.faults.deployment import Deployment, create_database, deployment

_numbers = count(1)


@pytest.fixture(scope="module")
def deployed(server: str) -> Iterator[Deployment]:
    """A database on the session's PostgreSQL, with the shipped clinics in it; one a module."""
    name = f"fault_{next(_numbers)}"
    dsn = create_database(server, name)
    with deployment(dsn) as made:
        yield made
    run_apart(execute(server, f"drop database {name} with (force)"))
