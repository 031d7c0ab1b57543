"""A directory to import into, and what is in it afterwards."""

from __future__ import annotations

from pathlib import Path

import msgspec

from api.clock import Clock
from api.directory.catalogue import Catalogue
from api.directory.schemas import ClinicProfile
from api.directory.writing import Stored, load
from api.search.places import Places
from db.pool import Pool
from db.queries.changes import live_profiles, newest_change
from seeds.importers.report import ImportOptions, ImportReport, ProgressCallback, no_progress
from seeds.importers.run import run_import


class Directory:
    """A database of its own with everything that an import needs."""

    def __init__(self, database: Pool, clock: Clock, places: Places, catalogue: Catalogue) -> None:
        self.database = database
        self.clock = clock
        self.places = places
        self.catalogue = catalogue

    async def load(
        self,
        kind: str,
        path: Path,
        options: ImportOptions | None = None,
        progress: ProgressCallback = no_progress,
    ) -> ImportReport:
        return await run_import(
            kind,
            path,
            database=self.database,
            clock=self.clock,
            places=self.places,
            catalogue=self.catalogue,
            options=options,
            progress=progress,
        )

    async def version(self) -> int:
        async with self.database.acquire() as conn:
            return await newest_change(conn)

    async def profiles(self) -> dict[str, ClinicProfile]:
        """What anybody may read, by slug."""
        async with self.database.acquire() as conn:
            rows = await live_profiles(conn, None, 100_000)
        found = [msgspec.json.decode(row.profile, type=ClinicProfile) for row in rows]
        return {profile.slug: profile for profile in found}

    async def stored(self, slug: str) -> Stored:
        async with self.database.acquire() as conn:
            (stored,) = await load(conn, slugs=[slug])
        return stored


def counts(report: ImportReport) -> dict[str, int]:
    """The counts of a report that are not zero; they add up to the rows read."""
    found = {
        name: getattr(report, name) for name in ("created", "changed", "unchanged", "passed_over")
    } | {"refused": report.refused_count}
    assert sum(found.values()) == report.read
    return {name: count for name, count in found.items() if count}
