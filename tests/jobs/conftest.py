"""A database with the shipped clinics for each test, cloned from one that is made once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import execute, named, run_apart
from tests.faults.deployment import create_database
from tests.jobs.practice import Practice, practice

_numbers = count(1)


@pytest.fixture(scope="session")
def stocked(server: str) -> str:
    """The name of a database with the shipped clinics, to be cloned."""
    create_database(server, "stocked_for_jobs")
    return "stocked_for_jobs"


@pytest.fixture
def clinics_dsn(server: str, stocked: str) -> Iterator[str]:
    name = f"jobs_{next(_numbers)}"
    run_apart(execute(server, f"create database {name} template {stocked} strategy file_copy"))
    yield named(server, name)
    run_apart(execute(server, f"drop database {name} with (force)"))


@pytest.fixture
async def here(clinics_dsn: str, tmp_path: Path) -> AsyncIterator[Practice]:
    """A process on that database, with the directory loaded, and nobody at work yet."""
    async with practice(clinics_dsn, tmp_path) as made:
        yield made
