"""The database goes away under a running service, in every way in which it can, and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from db.embedded import EmbeddedPostgres, place, processes
from tests.faults.deployment import (
    NEAR_PHOENIX,
    WRITER,
    Deployment,
    caller,
    create_database,
    deployment,
    profile,
)
from tests.faults.directory import (
    assert_shows,
    assert_unavailable,
    created,
    read_log,
    wait_until,
)
from tests.services import Service

RECOVERY_SECONDS = 10.0
"""What the contract gives the service once the database is back."""


class Postgres:
    """A server of its own that nobody supervises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: EmbeddedPostgres | None = None

    def start(self) -> str:
        # With its own settings: what was acknowledged is on the disk.
        self._running = EmbeddedPostgres(self._folder, supervise=False)
        return self._running.start()

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None

    def family(self) -> list[psutil.Process]:
        """The postmaster first, then its children."""
        file = processes.read_pid_file(place.cluster_in(place.known_home(self._folder.resolve())))
        assert file is not None
        postmaster = psutil.Process(file.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def kill(self) -> None:
        family = self.family()
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)
        self.stop()

    def signal(self, number: signal.Signals) -> None:
        for process in self.family():
            os.kill(process.pid, number)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    folder.chmod(0o711)
    postgres = Postgres(folder)
    yield postgres
    postgres.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def outage(postgres: Postgres) -> Iterator[Deployment]:
    with deployment(create_database(postgres.start(), "outage")) as made:
        yield made


@pytest.fixture(scope="module")
def service(outage: Deployment) -> Iterator[Service]:
    with outage.serve() as service:
        yield service.announced()


@pytest.fixture(scope="module")
def client(outage: Deployment, service: Service) -> Iterator[httpx.Client]:
    with caller(service, outage.key(*WRITER)) as client:
        yield client


def stop(postgres: Postgres) -> Callable[[], Any]:
    postgres.stop()
    return postgres.start


def kill(postgres: Postgres) -> Callable[[], Any]:
    postgres.kill()
    return postgres.start


def freeze(postgres: Postgres) -> Callable[[], Any]:
    """It keeps its connections and accepts new ones, and answers nothing."""
    postgres.signal(signal.SIGSTOP)
    return lambda: postgres.signal(signal.SIGCONT)


def status_of(client: httpx.Client) -> str:
    return str(client.get("/health/ready").json()["status"])


@pytest.mark.parametrize("take_away", [stop, kill, freeze])
def test_reading_goes_on_and_writing_comes_back(
    outage: Deployment,
    postgres: Postgres,
    client: httpx.Client,
    take_away: Callable[[Postgres], Callable[[], Any]],
) -> None:
    name = f"Before {take_away.__name__}"
    before = created(client, name)
    shown = client.get(f"/v1/clinics/{before}").content
    found = client.get(f"/v1/clinics?q={name.replace(' ', '+')}").content
    bring_back = take_away(postgres)
    try:
        assert client.get("/health/live").status_code == 200
        wait_until(lambda: status_of(client) == "degraded")
        assert client.get("/health/ready").status_code == 200
        for path in (
            NEAR_PHOENIX,
            "/v1/clinics?near=85016&radius=25mi&condition=crps&route=iv",
            "/v1/regions",
            "/v1/regions/US-AZ",
            "/v1/places?q=phoe",
            "/v1/conditions",
            "/v1/conditions/crps",
            "/v1/sources",
            "/openapi.json",
            "/docs",
            "/problems",
        ):
            assert client.get(path).status_code == 200, path
        assert client.get(f"/v1/clinics/{before}").content == shown
        assert client.get(f"/v1/clinics?q={name.replace(' ', '+')}").content == found
        assert "clinicway_database_up 0.0" in client.get("/metrics").text
        lost = profile(f"During {take_away.__name__}")
        for method, path, body in (
            ("POST", "/v1/clinics", lost),
            ("PATCH", f"/v1/clinics/{before}", {"wait_days": 3}),
            ("DELETE", f"/v1/clinics/{before}", None),
            ("GET", f"/v1/clinics/{before}/history", None),
            ("GET", "/v1/stale", None),
            ("POST", "/v1/keys", {"name": "lost", "scopes": ["admin"]}),
            ("GET", "/v1/keys", None),
        ):
            answer = client.request(method, path, json=body, headers={"If-Match": "*"})
            assert_unavailable(answer)
        # Nobody is told that a key is bad because it cannot be looked up.
        unknown = {"Authorization": f"Bearer cw_live_{'0' * 32}_{'a' * 32}"}
        assert_unavailable(client.get("/v1/keys", headers=unknown))
        assert client.get("/health/live").status_code == 200
        assert status_of(client) == "degraded"
    finally:
        bring_back()
    wait_until(
        lambda: client.get("/v1/keys").status_code == 200 and status_of(client) == "ready",
        within=RECOVERY_SECONDS,
    )
    after = created(client, f"After {take_away.__name__}")
    assert client.get(f"/v1/clinics/{after}").status_code == 200
    log = read_log(outage.dsn)
    assert not any(lost["name"].encode() in each for each in log.profiles.values())
    assert before in log.profiles
    assert_shows(client, log)


def test_it_starts_without_a_directory_and_gets_one(outage: Deployment, postgres: Postgres) -> None:
    """A server process that is started while the database is away: kill one, and it is replaced."""
    with outage.serve() as service:
        (worker,) = service.announced().workers()
        postgres.stop()
        worker.kill()
        with caller(service, "") as client:
            wait_until(lambda: service.status("/health/live") == 200)
            assert status_of(client) == "starting"
            assert client.get("/health/ready").status_code == 503
            assert_unavailable(client.get(NEAR_PHOENIX))
            postgres.start()
            wait_until(lambda: status_of(client) == "ready", within=RECOVERY_SECONDS)
            assert_shows(client, read_log(outage.dsn))
