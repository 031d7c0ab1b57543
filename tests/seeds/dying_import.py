"""Run as a program: imports a SAMHSA file and kills itself while the write is under way.

Arguments: address of the database, file, number of ids after which to die, rows a transaction.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from api.clock import SystemClock
from api.directory.catalogue import Catalogue
from api.search.places import Places
from db.pool import Pool
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from seeds.gazetteer.load import load_gazetteer
from seeds.importers.report import ImportOptions
from seeds.importers.run import run_import


class MortalClock(SystemClock):
    """Ids are given out inside the transaction alone, so that is where it ends."""

    def __init__(self, ids: int) -> None:
        self._left = ids

    def new_id(self) -> UUID:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().new_id()


async def main(dsn: str, path: Path, ids: int, rows_a_transaction: int) -> None:
    pool = Pool(dsn, size=2)
    await run_import(
        "samhsa",
        path,
        database=pool,
        clock=MortalClock(ids),
        places=Places(load_gazetteer()),
        catalogue=Catalogue(
            CatalogueRow(kind=kind, code=code, document=document.decode())
            for kind, code, document in entries(load_catalogue())
        ),
        options=ImportOptions(rows_a_transaction=rows_a_transaction),
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
