"""A database with the shipped clinics, and `clinicway serve` on it as often as a test wants."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console

from api.clock import SystemClock
from api.commands.prepare import prepare
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.settings import Settings
from db.connection import Connection
from db.pool import Pool, connect
from tests.conftest import PATIENT, named
from tests.services import Service, serving

T = TypeVar("T")
WRITER = ("directory:write", "admin")
NEAR_PHOENIX = "/v1/clinics?near=33.45,-112.07&radius=any&limit=5"

_numbers = count(1)


def settled(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives, from a test that is not one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def database(dsn: str, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
    """Something done on a connection of its own."""

    async def done() -> T:
        driver = await connect(dsn, PATIENT, application="tests")
        try:
            return await work(Connection(driver))
        finally:
            await driver.close()

    return settled(done())


def run_sql(dsn: str, *statements: str) -> None:
    async def run(conn: Connection) -> None:
        for statement in statements:
            await conn.execute(statement)

    database(dsn, run)


def ask_sql(dsn: str, question: str) -> Any:
    """The only column of the only row."""
    return database(dsn, lambda conn: conn.fetchval(question))


def create_database(server: str, name: str) -> str:
    """The address of a new database, migrated and with the shipped clinics in it."""
    run_sql(server, f"create database {name}")
    dsn = named(server, name)
    settled(prepare(Settings(database_url=dsn), SystemClock(), Console(quiet=True)))
    return dsn


class Deployment:
    """One database and one keyring, for services in processes of their own."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self._folder = folder
        self._keyring = folder / "keyring.json"

    def serve(self, *flags: str) -> AbstractContextManager[Service]:
        """A service whose start is under way: `announced()` waits until it answers."""
        data_dir = self._folder / f"service-{next(_numbers)}"
        data_dir.mkdir()
        place = ("--database-url", self.dsn, "--keyring", str(self._keyring))
        return serving(data_dir, *place, *flags)

    def key(self, *scopes: str) -> str:
        return make_key(self.dsn, self._keyring, *scopes)


def make_key(dsn: str, keyring: Path, *scopes: str) -> str:
    """A new key, made as the command line makes it but without a process of its own, which takes
    seconds."""
    clock = SystemClock()
    maker = KeyMaker("live", Keyring.load_or_create(keyring, clock), clock)

    async def made() -> str:
        pool = Pool(dsn, size=1)
        try:
            async with pool.transaction() as conn:
                _, token = await maker.create(
                    conn, name="test", scopes=list(scopes), created_by="test"
                )
        finally:
            await pool.close()
        return token.text()

    return settled(made())


@contextmanager
def deployment(dsn: str) -> Generator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    try:
        yield Deployment(dsn, folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def caller(service: Service, key: str) -> Generator[httpx.Client]:
    """A client of the service that calls with that key; with "", without one."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=service.url, headers=headers, timeout=30) as client:
        yield client


def profile(name: str, **changes: Any) -> dict[str, Any]:
    """A small made-up clinic in Phoenix."""
    return {
        "name": name,
        "address": {"city": "Phoenix", "state": "US-AZ", "postal_code": "85016", "country": "US"},
        "location": {"lat": 33.51, "lon": -112.03},
        "source": {"name": "Example source"},
        **changes,
    }
