"""`clinicway keys`: make, list, rotate and revoke API keys from the machine of the service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from api.audit.service import COMMAND_LINE, Auditor, Outcome
from api.clock import Clock
from api.commands.database import database_address, migrated_transaction
from api.commands.failures import WRONGLY_CALLED, CommandError
from api.errors import Problem
from api.keyring import Keyring
from api.keys.errors import KeyAlreadyRotated
from api.keys.schemas import Key, KeyEmail, KeyWrite
from api.keys.service import KeyMaker, list_keys, revoke, still_working
from api.keys.tokens import parse_token
from api.settings import Settings
from db.connection import Connection
from db.states import AuditAction, AuditObject

PAGE: Final = 500
ID_LENGTH: Final = 32
UNLIMITED: Final = 10_000
"""Columns of text: more than any key's row has."""


async def run_keys(
    arguments: argparse.Namespace, settings: Settings, clock: Clock, console: Console
) -> int:
    """Raises CommandError, EmbeddedPostgresError, KeyringError, DatabaseUnavailable."""
    match arguments.action:
        case "create":
            return await create(
                settings,
                clock,
                name=arguments.name,
                scopes=arguments.scopes,
                days=arguments.expires_days,
                email=arguments.email,
            )
        case "list":
            return await list_all(settings, clock, console, ended=arguments.ended)
        case "rotate":
            return await rotate(settings, clock, key_id=arguments.id)
        case "revoke":
            return await revoke_one(settings, clock, console, key_id=arguments.id)
        case _:
            raise AssertionError("argparse lets no other action through")


def _maker(settings: Settings, clock: Clock) -> KeyMaker:
    keyring = Keyring.load_or_create(settings.keyring_path, clock)
    return KeyMaker(settings.environment, keyring, clock)


async def create(
    settings: Settings,
    clock: Clock,
    *,
    name: str,
    scopes: Sequence[str],
    days: float | None,
    email: str | None = None,
) -> int:
    """Prints the key and nothing else on standard output."""
    wanted = _checked(name, scopes, email)
    with database_address(settings) as dsn:
        maker = _maker(settings, clock)
        async with migrated_transaction(dsn) as conn:
            row, token = await maker.create(
                conn,
                name=wanted.name,
                scopes=wanted.scopes,
                created_by=COMMAND_LINE.actor,
                expires_at=_end(clock, days),
                email=wanted.email,
            )
            await _record(conn, maker.keyring, clock, AuditAction.KEY_CREATED, row.id)
    sys.stdout.write(token.text() + "\n")
    return 0


async def rotate(settings: Settings, clock: Clock, *, key_id: str) -> int:
    """Prints the new key and nothing else on standard output."""
    overlap = timedelta(hours=settings.key_overlap_hours)
    with database_address(settings) as dsn:
        maker = _maker(settings, clock)
        try:
            async with migrated_transaction(dsn) as conn:
                row, token = await maker.rotate(
                    conn, _id_in(key_id), overlap=overlap, created_by=COMMAND_LINE.actor
                )
                await _record(
                    conn, maker.keyring, clock, AuditAction.KEY_ROTATED, _id_in(key_id), row.id
                )
        except KeyAlreadyRotated as error:
            raise CommandError(f"{error.detail} Its id is {error.replaced_by}.") from None
        except Problem as error:
            raise CommandError(error.detail) from None
    sys.stdout.write(token.text() + "\n")
    return 0


async def revoke_one(settings: Settings, clock: Clock, console: Console, *, key_id: str) -> int:
    with database_address(settings) as dsn:
        keyring = Keyring.load_or_create(settings.keyring_path, clock)
        try:
            async with migrated_transaction(dsn) as conn:
                row = await revoke(conn, _id_in(key_id), clock.now())
                others = await still_working(conn, row.id, clock.now())
                await _record(conn, keyring, clock, AuditAction.KEY_REVOKED, row.id)
        except Problem as error:
            raise CommandError(error.detail) from None
    console.print(
        f"Revoked {row.id} ({row.name}). It stops working everywhere within 30 seconds.",
        markup=False,
        highlight=False,
    )
    for other in others:
        console.print(
            f"Not revoked: {other.id}, the same key before a rotation. It works until "
            f"{_day(other.expires_at)}; `clinicway keys revoke {other.id}` ends it now.",
            markup=False,
            highlight=False,
        )
    return 0


async def list_all(settings: Settings, clock: Clock, console: Console, *, ended: bool) -> int:
    now = clock.now()
    keys: list[Key] = []
    before: str | None = None
    with database_address(settings) as dsn:
        async with migrated_transaction(dsn) as conn:
            while True:
                rows, before = await list_keys(
                    conn, now=now, ended=ended, before=before, limit=PAGE
                )
                keys += [Key.from_row(row, now) for row in rows]
                if before is None:
                    break
    table = _table(keys)
    if not console.is_terminal:
        # A pipe has no width: a line for each key and scope.
        unlimited = console.options.update(max_width=UNLIMITED)
        table.width = Measurement.get(console, unlimited, table).maximum
    console.print(table, crop=False)
    return 0


async def _record(
    conn: Connection,
    keyring: Keyring,
    clock: Clock,
    action: AuditAction,
    key_id: str,
    replaced_by: str | None = None,
) -> None:
    await Auditor(keyring, clock).record(
        conn,
        author=COMMAND_LINE,
        action=action,
        kind=AuditObject.KEY,
        object_id=key_id,
        related=[] if replaced_by is None else [replaced_by],
        outcome=Outcome(replaced_by=replaced_by),
    )


def _checked(name: str, scopes: Sequence[str], email: str | None) -> KeyWrite:
    try:
        msgspec.convert(email, KeyEmail | None)
    except msgspec.ValidationError:
        raise CommandError(
            "--email must be an e-mail address, such as desk@hospital.example.", WRONGLY_CALLED
        ) from None
    try:
        return msgspec.convert(
            {
                "name": name,
                "scopes": [scope.strip().lower() for scope in scopes],
                "email": email,
            },
            KeyWrite,
        )
    except msgspec.ValidationError:
        raise CommandError(
            "A key needs a name of 1 to 100 printable characters and at least one --scope: "
            "referrals:write, directory:write, admin, or clinic: and the id of a clinic.",
            WRONGLY_CALLED,
        ) from None


def _end(clock: Clock, days: float | None) -> datetime | None:
    if days is None:
        return None
    if not 0 < days <= 36_500:
        raise CommandError("--expires-days must be a number above 0, up to 36500.", WRONGLY_CALLED)
    return clock.now() + timedelta(days=days)


def _id_in(text: str) -> str:
    """The id of a key, given as such or as the whole key: whoever finds a leaked one has that."""
    token = parse_token(text)
    return text if token is None else token.key_id


def _table(keys: Sequence[Key]) -> Table:
    # Whoever revokes a key copies its id from here, so a narrow terminal shortens nothing.
    table = Table(Column("id", min_width=ID_LENGTH, no_wrap=True))
    for name in ("name", "scopes", "state", "created", "last used", "expires"):
        table.add_column(name, overflow="fold")
    for key in keys:
        table.add_row(
            key.id,
            Text(key.name),
            "\n".join(key.scopes),
            key.state.value,
            _day(key.created_at),
            _day(key.last_used_at),
            _day(key.expires_at),
        )
    return table


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
