"""Databases of scattered clinics, made once a run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

from api.clock import SystemClock
from api.commands.wiring import make_places
from api.directory.catalogue import Catalogue
from api.settings import Settings
from db.connection import Connection
from db.migrate import migrate
from db.pool import Limits, Pool
from db.queries.catalogue import catalogue_entries, replace_catalogue
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from seeds.importers.run import run_import
from tests.bench.scatter import facilities, scattered, write_scattered

SAMHSA = Path(__file__).parent.parent / "data" / "us_samhsa_mh_2022.csv.gz"
SEED = 20261122
_PATIENT = Limits(acquire=10, statement=600, lock=60, idle_in_transaction=600)
# The same profile text that the log has, cut to the summary: what both ways of searching answer.
_GIST = """
create extension if not exists cube;
create table bench_point as
select
    substr(profile, 1, position(',"address":' in profile) - 1) || '}' as summary,
    lat, lon
from clinic join directory_change on seq = change_seq;
alter table bench_point add column place cube;
update bench_point set place = cube(array[
    6378137 / sqrt(1 - e2 * sin(radians(lat)) ^ 2) * cos(radians(lat)) * cos(radians(lon)),
    6378137 / sqrt(1 - e2 * sin(radians(lat)) ^ 2) * cos(radians(lat)) * sin(radians(lon)),
    6378137 / sqrt(1 - e2 * sin(radians(lat)) ^ 2) * (1 - e2) * sin(radians(lat))])
from (select 0.00669437999014 as e2) as wgs84;
create index on bench_point using gist (place);
grant select on bench_point to public;
vacuum analyze bench_point;
"""


async def _database(server: str, name: str) -> str:
    """A new database with the schema and the catalogue."""
    async with _opened(server) as pool, pool.acquire() as conn:
        await conn.execute(f"create database {name}")
    dsn = server.replace("@/clinicway?", f"@/{name}?")
    await migrate(dsn)
    rows = [
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    ]
    async with _opened(dsn) as pool, pool.transaction() as conn:
        await replace_catalogue(conn, rows)
    return dsn


def _opened(dsn: str) -> AbstractAsyncContextManager[Pool]:
    return _Opened(dsn)


class _Opened:
    def __init__(self, dsn: str) -> None:
        self._pool = Pool(dsn, size=2, limits=_PATIENT, application="bench")

    async def __aenter__(self) -> Pool:
        await self._pool.open()
        return self._pool

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()


async def bench_directory(server: str, name: str, clinics: int) -> str:
    """A database with that many scattered clinics, and the table that the GiST route asks."""
    dsn = await _database(server, name)
    clock = SystemClock()
    real = facilities(make_places(Settings(), clock))
    async with _opened(dsn) as pool:
        async for _ in write_scattered(pool, clock, scattered(real, clinics, Random(SEED))):
            pass
        async with pool.acquire() as conn:
            await conn.execute("vacuum analyze clinic")
            if clinics <= 100_000:
                await _with_gist(conn)
    return dsn


async def _with_gist(conn: Connection) -> None:
    for statement in _GIST.split(";\n"):
        if statement.strip():
            await conn.execute(statement)


async def import_rate(server: str) -> float:
    """Rows a second of SAMHSA's whole mental-health directory into an empty database."""
    dsn = await _database(server, "bench_import")
    clock = SystemClock()
    places = make_places(Settings(), clock)
    places.state_at(33.4, -112.0)  # compiled code is loaded at the first use, once a process
    async with _opened(dsn) as pool:
        async with pool.acquire() as conn:
            catalogue = Catalogue(await catalogue_entries(conn))
        report = await run_import(
            "samhsa", SAMHSA, database=pool, clock=clock, places=places, catalogue=catalogue
        )
    return report.read / report.seconds
