"""`clinicway keyring`: list, rotate and retire the secret keys, while the service runs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from api.audit.service import COMMAND_LINE, Auditor
from api.clock import Clock
from api.commands.database import database_address, opened
from api.commands.failures import FAILED, CommandError
from api.keyring import CHECK_SECONDS, PINNED, Keyring, Purpose
from api.keyring_file import Document, KeyEntry, read_document
from api.keyring_rotation import activate_key, old_key, prepare_key, reduce_key, remove_key
from api.keyring_use import KeyUses, look_for_uses
from api.partners.webhooks.rewrapping import rewrap_secrets
from api.partners.webhooks.signing import SecretBox
from api.referrals.sealing.rewrapping import rewrap_data_keys
from api.referrals.sealing.sealing import Sealer
from api.settings import Settings
from db.migrate import migrate
from db.pool import Pool
from db.states import AuditAction, AuditObject

SETTLE_SECONDS: Final = CHECK_SECONDS + 1.0
"""In which every process has looked at the file."""
MOST_NAMED: Final = 20


async def run_keyring(
    arguments: argparse.Namespace,
    settings: Settings,
    clock: Clock,
    console: Console,
    progress: Console,
) -> int:
    """Raises CommandError, EmbeddedPostgresError, KeyringError, DatabaseError."""
    path = settings.keyring_path
    with _file_errors(path):
        match arguments.action:
            case "list":
                return _list(path, console)
            case "rotate":
                return await _rotate(settings, clock, progress, only_prepare=arguments.prepare)
            case "rewrap":
                async with _owning(settings) as pool:
                    return await _rewrap(pool, settings, clock, progress)
            case "retire":
                return await _retire(
                    settings, clock, progress, key_id=arguments.id, reduce=arguments.reduce
                )
            case _:
                raise AssertionError("argparse lets no other action through")


@contextmanager
def _file_errors(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise CommandError(
            f"There is no keyring {path}: the first start of the service makes it. Name the "
            "service's own with --data-dir or --keyring."
        ) from None
    except OSError as error:
        raise CommandError(
            f"The keyring {path} cannot be changed ({error.strerror}). Run this as the user who "
            "owns it; one that is mounted read-only is changed where it comes from."
        ) from None


def _list(path: Path, console: Console) -> int:
    document, _ = read_document(path)
    table = Table(Column("id", no_wrap=True), "state", "made", "replaced", "kept for")
    for key in document.keys:
        replaced = "" if key.replaced_at is None else f"{key.replaced_at:%Y-%m-%d %H:%M}"
        kept = "everything" if key.secret is not None else ", ".join(sorted(key.derived))
        table.add_row(
            key.id, _state(document, key), f"{key.created_at:%Y-%m-%d %H:%M}", replaced, kept
        )
    console.print(table)
    return 0


def _state(document: Document, key: KeyEntry) -> str:
    if key.id == document.active:
        return "active"
    if key.secret is None:
        return "reduced"
    return "next" if key == document.prepared() else "old"


async def _rotate(
    settings: Settings, clock: Clock, progress: Console, *, only_prepare: bool
) -> int:
    path = settings.keyring_path
    if only_prepare:
        key_id, is_new = prepare_key(path, clock)
        what = "is in the keyring" if is_new else "was in the keyring already"
        _say(progress, f"Key {key_id} {what} and is not used yet. Put the file on every machine,")
        _say(progress, "then run `clinicway keyring rotate` on one and copy the file once more.")
        return 0
    # The database first: a rotation whose second half cannot be done is not begun.
    async with _owning(settings) as pool:
        key_id, is_new = prepare_key(path, clock)
        if is_new:
            _say(progress, f"Key {key_id} made; waiting until every process knows it.")
            await asyncio.sleep(SETTLE_SECONDS)
        activate_key(path, clock, key_id)
        await _record(pool, settings, clock, key_id)
        _say(progress, f"Key {key_id} is the active one; waiting until every process uses it.")
        await asyncio.sleep(SETTLE_SECONDS)
        return await _rewrap(pool, settings, clock, progress)


async def _record(pool: Pool, settings: Settings, clock: Clock, key_id: str) -> None:
    auditor = Auditor(Keyring.load(settings.keyring_path, clock), clock)
    async with pool.transaction() as conn:
        await auditor.record(
            conn,
            author=COMMAND_LINE,
            action=AuditAction.KEYRING_ROTATED,
            kind=AuditObject.KEYRING,
            object_id=key_id,
        )


@asynccontextmanager
async def _owning(settings: Settings) -> AsyncGenerator[Pool]:
    """With the rights of the login: what needs a key is in tables that no one role may read."""
    with database_address(settings) as dsn:
        await migrate(dsn)
        async with opened(dsn, role=None) as pool:
            yield pool


async def _rewrap(pool: Pool, settings: Settings, clock: Clock, progress: Console) -> int:
    keyring = Keyring.load(settings.keyring_path, clock)
    with _bar(progress) as report:
        data_keys = await rewrap_data_keys(pool, keyring, Sealer(keyring), report)
    secrets_done, secrets_unreadable = await rewrap_secrets(pool, keyring, SecretBox(keyring))
    _say(
        progress,
        f"Rewrapped {data_keys.done} data keys of referrals and the secrets of {secrets_done} "
        "webhooks.",
    )
    unreadable = [*data_keys.unreadable, *secrets_unreadable]
    if data_keys.left:
        _say(
            progress, f"{data_keys.left} were in use all the time: run `clinicway keyring rewrap`."
        )
    if unreadable:
        named = ", ".join(map(str, unreadable[:MOST_NAMED]))
        _say(
            progress,
            f"The keyring does not open {len(unreadable)} of them, which were left as they are "
            f"(another keyring, or damaged rows): {named}",
        )
    return FAILED if unreadable or data_keys.left else 0


async def _retire(
    settings: Settings, clock: Clock, progress: Console, *, key_id: str, reduce: bool
) -> int:
    path = settings.keyring_path
    document, _ = read_document(path)
    entry = old_key(document, key_id, clock.now())
    async with _owning(settings) as pool:
        uses = await look_for_uses(pool, entry)
    if not uses:
        remove_key(path, key_id, clock.now())
        _say(progress, f"Removed the key {key_id}. Backups made with it open with a keyring of")
        _say(progress, "their time only: keep that copy apart for as long as the backups.")
        return 0
    if reduce and Purpose.SEALING not in uses:
        give_up = [purpose for purpose in Purpose if purpose not in uses]
        reduce_key(path, key_id, clock.now(), give_up)
        kept = ", ".join(sorted(purpose for purpose in uses if purpose not in PINNED))
        _say(progress, f"Reduced the key {key_id} to what is still needed of it: {kept}.")
        return 0
    raise CommandError(_refusal(key_id, uses))


def _refusal(key_id: str, uses: KeyUses) -> str:
    lines = [f"The key {key_id} is still needed:", *(f"- {why}" for why in uses.values())]
    if Purpose.SEALING not in uses:
        lines.append("With --reduce, only what these need of it stays in the keyring.")
    return "\n".join(lines)


@contextmanager
def _bar(console: Console) -> Generator[Callable[[int, int], None]]:
    with Progress(
        TextColumn("Data keys"), BarColumn(), MofNCompleteColumn(), console=console
    ) as shown:

        def move(done: int, total: int) -> None:
            # Where nothing is to be done, nothing is shown.
            for task in shown.task_ids or [shown.add_task("")]:
                shown.update(task, completed=done, total=total)

        yield move


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)
