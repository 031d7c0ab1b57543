"""What every import needs besides a database."""

from __future__ import annotations

import pytest

from api.clock import SystemClock
from api.directory.catalogue import Catalogue
from api.search.places import Places
from db.pool import Pool
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from seeds.gazetteer.load import load_gazetteer
from tests.seeds.importing import Directory


@pytest.fixture(scope="session")
def places() -> Places:
    return Places(load_gazetteer())


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    )


@pytest.fixture
def directory(pool: Pool, places: Places, catalogue: Catalogue) -> Directory:
    """An empty directory that is this test's alone."""
    return Directory(pool, SystemClock(), places, catalogue)
