"""One real service for all that is thrown at it here, with the shipped clinics."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import execute, run_apart
from tests.faults.deployment import WRITER, Deployment, caller, create_database, deployment
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
    with hostile.serve(*flags) as service:
        yield service.announced()


@pytest.fixture(scope="session")
def key(hostile: Deployment) -> str:
    """A key that opens every door."""
    return hostile.key(*WRITER)


@pytest.fixture(scope="session")
def operator(target: Service, key: str) -> Iterator[httpx.Client]:
    with caller(target, key) as client:
        yield client


@pytest.fixture(scope="session")
def anybody(target: Service) -> Iterator[httpx.Client]:
    with caller(target, "") as client:
        yield client
