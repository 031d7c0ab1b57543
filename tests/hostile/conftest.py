"""One real service for all that is thrown at it here, with the shipped clinics."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import execute, run_apart
from tests.directory.clinics import FULL
from tests.faults.deployment import WRITER, Deployment, caller, create_database, deployment
from tests.hostile.stage import Stage
from tests.services import Service

MOST_BYTES = 65536


@pytest.fixture(scope="session")
def hostile(server: str) -> Iterator[Deployment]:
    dsn = create_database(server, "hostile")
    with deployment(dsn) as made:
        yield made
    run_apart(execute(server, "drop database hostile with (force)"))


@pytest.fixture(scope="session")
def target(hostile: Deployment) -> Iterator[Service]:
    flags = ("--max-body-bytes", str(MOST_BYTES), "--log-format", "json", "--access-log", "true")
    # Nothing happens by itself, and no webhook is sent to anybody.
    with hostile.serve(*flags, "--jobs", "false") as service:
        yield service.announced()
        # Whatever was thrown at it, here is what it wrote about that.
        assert "canary" not in service.err.lower()
        assert '"status": 500' not in service.err


@pytest.fixture(scope="session")
def clinics(hostile: Deployment, target: Service) -> tuple[str, str]:
    """Two clinics that take what the examples ask for, in a corner of the directory."""
    ids: list[str] = []
    with caller(target, hostile.key(*WRITER)) as client:
        for name in ("One Example Clinic", "Another Example Clinic"):
            made = client.post("/v1/clinics", json={**FULL, "name": name, "weekly_capacity": None})
            assert made.status_code == 201, made.text
            ids.append(made.json()["id"])
    return ids[0], ids[1]


@pytest.fixture(scope="session")
def key(hostile: Deployment, clinics: tuple[str, str]) -> str:
    """A key that opens every door: its holder keeps the directory, refers, and speaks for a
    clinic."""
    return hostile.key(*WRITER, "referrals:write", f"clinic:{clinics[0]}")


@pytest.fixture(scope="session")
def operator(target: Service, key: str) -> Iterator[httpx.Client]:
    with caller(target, key) as client:
        yield client


@pytest.fixture(scope="session")
def stage(operator: httpx.Client, clinics: tuple[str, str]) -> Stage:
    return Stage(operator, *clinics)


@pytest.fixture(scope="session")
def anybody(target: Service) -> Iterator[httpx.Client]:
    with caller(target, "") as client:
        yield client
