"""A real PostgreSQL for every test that touches data, and a database of its own for each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.clock import SystemClock
from api.referrals.matching.candidates import compile_ahead
from db.connection import Connection
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.pool import Limits, Pool, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from typing import Any

pytest_plugins = ["tests.serving"]

# What is lost with the machine may be lost here: the data lives for one test.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
PATIENT = Limits(acquire=10.0, statement=30.0, lock=10.0)

_numbers = count(1)


def run_apart(work: Coroutine[Any, Any, object]) -> None:
    """Run something asynchronous from a fixture that is not, away from the test's own loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def execute(dsn: str, *statements: str) -> None:
    driver = await connect(dsn, PATIENT, application="tests")
    try:
        for statement in statements:
            await Connection(driver).execute(statement)
    finally:
        await driver.close()


def named(server: str, database: str) -> str:
    """The address of another database on the same server."""
    return server.replace("@/clinicway?", f"@/{database}?")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that every user can pass into, as PostgreSQL has to when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """In a fresh checkout compiling takes longer than a test waits for a service to be ready."""
    compile_ahead(SystemClock().now())


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the session's PostgreSQL; its database `clinicway` is empty."""
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder, supervise=False, settings=FAST) as dsn:
            yield dsn
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a migrated database that nobody connects to, to be cloned."""
    run_apart(execute(server, "create database migrated"))
    run_apart(migrate(named(server, "migrated")))
    return "migrated"


@pytest.fixture(scope="session")
def shared(server: str, template: str) -> str:
    """The address of a migrated database in which nothing is ever committed."""
    run_apart(execute(server, f"create database shared template {template}"))
    return named(server, "shared")


@pytest.fixture
def empty_dsn(server: str) -> Iterator[str]:
    """The address of a database without any table."""
    name = f"empty_{next(_numbers)}"
    run_apart(execute(server, f"create database {name}"))
    yield named(server, name)
    run_apart(execute(server, f"drop database {name} with (force)"))


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """The address of a migrated database that is this test's alone."""
    name = f"test_{next(_numbers)}"
    run_apart(execute(server, f"create database {name} template {template} strategy file_copy"))
    yield named(server, name)
    run_apart(execute(server, f"drop database {name} with (force)"))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on a migrated database that is this test's alone."""
    pool = Pool(dsn, size=5)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def connection(shared: str) -> AsyncIterator[Connection]:
    """A connection in a transaction on a migrated database; rolled back in the end."""
    driver = await connect(shared, PATIENT, application="tests")
    transaction = driver.transaction()
    await transaction.start()
    try:
        yield Connection(driver)
    finally:
        await transaction.rollback()
        await driver.close()
