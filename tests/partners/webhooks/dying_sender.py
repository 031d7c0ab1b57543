"""A process that sends what is due, for a test that kills it. Its arguments are the address of the
database and the file of the keyring."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from api.clock import SystemClock
from api.keyring import Keyring
from api.partners.webhooks.posting import Poster
from api.partners.webhooks.sending import Sender
from db.pool import Pool
from db.roles import SERVICE


async def main(dsn: str, keyring: str) -> None:
    clock = SystemClock()
    pool = Pool(dsn, size=2, role=SERVICE)
    keys = Keyring.load_or_create(Path(keyring), clock)
    async with Poster(allow_private=True) as poster:
        await Sender(database=pool, keyring=keys, clock=clock, poster=poster).send_due()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
