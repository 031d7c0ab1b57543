"""Two example clinics and three keys, so that a first referral can be sent a minute after the
start. Only for a service with a PostgreSQL of its own: a real one has real clinics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from api.clock import Clock
from api.commands.database import opened
from api.directory import service
from api.directory.catalogue import Catalogue
from api.directory.provenance import OPERATOR
from api.directory.step import Step, locked_step
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.keys.tokens import parse_token
from api.settings import Settings
from db.pool import Pool
from db.queries.catalogue import catalogue_entries
from db.queries.keys import key_by_id
from seeds.demonstration import example_clinics

ACTOR: Final = "demonstration"
FILE: Final = "demonstration.json"


class ExampleKey(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    key: str
    clinic_id: UUID | None = None


class Demonstration(msgspec.Struct, frozen=True, kw_only=True):
    """What was made at the first start. The keys stand in the data folder, readable by its owner
    only, because a key can't be shown again from what the database holds."""

    keys: list[ExampleKey]


async def prepare_demonstration(
    settings: Settings, clock: Clock, keyring: Keyring
) -> Demonstration | None:
    """The example clinics and their keys, made when they are not there yet; None when somebody has
    revoked the keys. `settings` name a database."""
    assert settings.database_url is not None
    path = settings.data_dir / FILE
    async with opened(settings.database_url) as pool:
        found = _read(path)
        if found is None or not await _was_committed(pool, found):
            return await _make(pool, path, settings, clock, keyring)
        return found if await _works(pool, found) else None


def _read(path: Path) -> Demonstration | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Demonstration)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _was_committed(pool: Pool, made: Demonstration) -> bool:
    """The file is written before the commit: after a kill in between, the keys are nowhere."""
    token = parse_token(made.keys[0].key)
    async with pool.acquire() as conn:
        return token is not None and await key_by_id(conn, token.key_id) is not None


async def _works(pool: Pool, made: Demonstration) -> bool:
    async with pool.acquire() as conn:
        for each in made.keys:
            token = parse_token(each.key)
            row = None if token is None else await key_by_id(conn, token.key_id)
            if row is None or row.revoked_at is not None:
                return False
    return True


async def _make(
    pool: Pool, path: Path, settings: Settings, clock: Clock, keyring: Keyring
) -> Demonstration:
    maker = KeyMaker(settings.environment, keyring, clock)
    async with pool.acquire() as conn:
        catalogue = Catalogue(await catalogue_entries(conn))
    # Imported only now: on every later start the gazetteer is of use to the servers alone.
    from api.commands.wiring import make_places

    places = make_places(settings, clock)
    author = service.Author(source=OPERATOR, claim_days=settings.claim_days)
    drafts = [service.drafted(body, catalogue, clock.now()) for body in example_clinics()]
    placed = [await service.place(places, draft) for draft in drafts]
    async with locked_step(pool, clock, ACTOR) as step:
        referrer = await _key(
            step, maker, "Example referrer", "referrals:write", email="referrer@hospital.example"
        )
        keys = [referrer]
        for draft, point in zip(drafts, placed, strict=True):
            stored = await service.create(step, draft, point, author)
            short = draft.body.name.partition(" (")[0]
            clinic_id = stored.row.id
            keys.append(await _key(step, maker, short, f"clinic:{clinic_id}", clinic_id=clinic_id))
        made = Demonstration(keys=keys)
        _write(path, made)
    return made


async def _key(
    step: Step,
    maker: KeyMaker,
    name: str,
    scope: str,
    *,
    email: str | None = None,
    clinic_id: UUID | None = None,
) -> ExampleKey:
    _, token = await maker.create(
        step.conn, name=name, scopes=[scope], created_by=ACTOR, email=email
    )
    return ExampleKey(name=name, key=token.text(), clinic_id=clinic_id)


def _write(path: Path, made: Demonstration) -> None:
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made)))
    beside.replace(path)


def lines(made: Demonstration) -> Sequence[str]:
    """What `clinicway serve` prints of it."""
    width = max(len(each.name) for each in made.keys)
    return [
        "",
        "Keys for trying out referrals, at two clinics that do not exist (README.md):",
        *(f"  {each.name:<{width}}  {each.key}" for each in made.keys),
    ]
