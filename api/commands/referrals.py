"""`clinicway referrals`: erase what a referral says of its patient."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from uuid import UUID

from rich.console import Console

from api.audit.service import Auditor
from api.clock import Clock
from api.commands.database import database_address, opened
from api.commands.failures import FAILED, WRONGLY_CALLED, CommandError
from api.commands.wiring import make_places
from api.directory.catalogue import Catalogue
from api.keyring import Keyring
from api.referrals.errors import NoSuchReferral
from api.referrals.lifecycle.clocks import Clocks
from api.referrals.sealing.erasure import BY_COMMAND, StillOpen, erase_referral
from api.referrals.sealing.sealing import Sealer
from api.referrals.step import ReferralServices
from api.search.follower import Follower
from api.settings import Settings
from db.migrate import migrate
from db.pool import Pool
from db.queries.sealed_keys import vacuum_sealed_keys


async def run_referrals(
    arguments: argparse.Namespace, settings: Settings, clock: Clock, console: Console
) -> int:
    """Raises CommandError, EmbeddedPostgresError, KeyringError, DatabaseError."""
    match arguments.action:
        case "erase":
            ids = _ids(arguments.ids)
            return await _erase(settings, clock, console, ids, force=arguments.force)
        case _:
            raise AssertionError("argparse lets no other action through")


def _ids(texts: Sequence[str]) -> list[UUID]:
    try:
        return [UUID(text) for text in texts]
    except ValueError:
        raise CommandError(
            "An id of a referral is a UUID such as 019ab3c0-5f00-7000-8000-000000000001.",
            WRONGLY_CALLED,
        ) from None


async def _erase(
    settings: Settings, clock: Clock, console: Console, ids: Sequence[UUID], *, force: bool
) -> int:
    """1 when one of them could not be erased; the others are."""
    failed = 0
    with database_address(settings) as dsn:
        await migrate(dsn)
        async with opened(dsn, role=None) as pool:
            services = _services(settings, clock, pool, dsn)
            for referral_id in ids:
                said, done = await _erase_one(services, referral_id, force=force)
                failed += not done
                console.print(said, markup=False, highlight=False, soft_wrap=True)
            async with pool.acquire() as conn:
                await vacuum_sealed_keys(conn)
    return FAILED if failed else 0


async def _erase_one(
    services: ReferralServices, referral_id: UUID, *, force: bool
) -> tuple[str, bool]:
    try:
        async with services.database.transaction() as conn:
            erased = await erase_referral(services, conn, referral_id, BY_COMMAND, force=force)
    except NoSuchReferral:
        return f"There is no referral {referral_id}.", False
    except StillOpen:
        return f"The referral {referral_id} is not closed: cancel it first, or add --force.", False
    return f"Erased {referral_id}." if erased else f"{referral_id} was erased before.", True


def _services(settings: Settings, clock: Clock, pool: Pool, dsn: str) -> ReferralServices:
    """What a step needs. The directory is not loaded: nothing is routed by an erasure."""
    keyring = Keyring.load_or_create(settings.keyring_path, clock)
    catalogue = Catalogue()
    return ReferralServices(
        database=pool,
        clock=clock,
        keyring=keyring,
        sealer=Sealer(keyring),
        auditor=Auditor(keyring, clock),
        follower=Follower(pool, dsn, catalogue, settings.index_poll_seconds),
        catalogue=catalogue,
        places=make_places(settings, clock),
        clocks=Clocks(
            urgent=settings.clock_urgent,
            soon=settings.clock_soon,
            routine=settings.clock_routine,
            answer=settings.clock_answer,
        ),
        link_base="",
    )
