"""The database is put back to an earlier state under a running service, or to another one that
came of it: a backup, or a replica that had not heard of everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.clock import SystemClock
from api.search.places import Places
from api.settings import Settings
from tests.conftest import named
from tests.faults.deployment import WRITER, Deployment, caller, profile, run_sql, settled
from tests.faults.directory import assert_shows, created, read_log, version_of, wait_until
from tests.serving import running

COPIES = ("shorter", "longer", "as_long")


class Backups:
    """Copies of the database from before the service started."""

    def __init__(self, server: str, deployed: Deployment, folder: Path, places: Places) -> None:
        self._server = server
        self._deployed = deployed
        self._name = deployed.dsn.partition("@/")[2].partition("?")[0]
        self._keyring = folder / "keyring.json"
        self._places = places
        for copy in COPIES:
            run_sql(server, f"create database {copy} template {self._name} strategy file_copy")

    def write(self, copy: str, count: int) -> None:
        """So many new clinics in a copy, by a service of its own."""
        settings = Settings(database_url=named(self._server, copy), keyring=self._keyring)
        app = create_app(settings, clock=SystemClock(), geocoder=self._places)
        key = Deployment(named(self._server, copy), self._keyring.parent).key(*WRITER)

        async def write() -> None:
            async with running(app) as client:
                for number in range(count):
                    answer = await client.post(
                        "/v1/clinics",
                        json=profile(f"Other history {number}"),
                        headers={"Authorization": f"Bearer {key}"},
                    )
                    assert answer.status_code == 201, answer.text

        settled(write())

    def version(self, copy: str) -> int:
        return read_log(named(self._server, copy)).version

    def put_back(self, copy: str) -> None:
        """In the place of the database that the service is connected to."""
        run_sql(
            self._server,
            f"alter database {self._name} allow_connections false",
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{self._name}'",
            f"alter database {self._name} rename to {self._name}_{copy}",
            f"alter database {copy} rename to {self._name}",
            f"drop database {self._name}_{copy} with (force)",
        )


@pytest.fixture(scope="module")
def key(deployed: Deployment) -> str:
    return deployed.key(*WRITER)


@pytest.fixture(scope="module")
def backups(
    server: str,
    deployed: Deployment,
    key: str,
    places: Places,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Backups]:
    yield Backups(server, deployed, tmp_path_factory.mktemp("backups"), places)
    run_sql(server, *(f"drop database if exists {copy} with (force)" for copy in COPIES))


@pytest.fixture(scope="module")
def client(deployed: Deployment, key: str, backups: Backups) -> Iterator[httpx.Client]:
    with deployed.serve() as service, caller(service.announced(), key) as client:
        yield client


@pytest.mark.parametrize(("copy", "more"), [("shorter", None), ("longer", 3), ("as_long", 0)])
def test_the_service_shows_the_database_that_is_there(
    deployed: Deployment, client: httpx.Client, backups: Backups, copy: str, more: int | None
) -> None:
    """Its log ends before what the service has seen, beyond it, or with the same number."""
    before = [created(client, f"Lost by {copy} {number}") for number in range(4)]
    if more is not None:
        backups.write(copy, version_of(client) + more - backups.version(copy))
    # Kept among the answers of this version.
    search = "/v1/clinics?near=33.51,-112.03&radius=5mi&limit=100"
    assert before[0] in client.get(search).text
    assert before[0] in client.get(search).text
    backups.put_back(copy)
    log = read_log(deployed.dsn)
    assert not set(before) & set(log.profiles)
    wait_until(lambda: client.get(f"/v1/clinics/{before[0]}").status_code == 404)
    assert_shows(client, log)
    assert before[0] not in client.get(search).text
    after = created(client, f"After {copy}")
    assert after in client.get(search).text
    assert_shows(client, read_log(deployed.dsn))
