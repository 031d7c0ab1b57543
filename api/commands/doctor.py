"""`clinicway doctor`: looks at everything that a start needs, and says what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from api.clock import Clock
from api.commands.ask import Answer, ask
from api.commands.checkup import DatabaseFacts, look_at_database, postgres_version
from api.commands.failures import FAILED, CommandError
from api.commands.owner import listens
from api.commands.ports import PortError, claim_port
from api.environment import SettingsError, read_settings, unknown_variables
from api.keyring import Keyring
from api.keyring_file import KeyringError
from api.settings import Settings
from db.embedded import EmbeddedPostgresError, find_running
from db.errors import DatabaseError
from db.roles import GRANT_ROLES, MAKE_ROLES, ROLES

OLDEST_PYTHON: Final = (3, 11)
OLDEST_POSTGRESQL: Final = 15
LEAST_FREE_BYTES: Final = 500_000_000
"""The database begins with 60 MB; its log of changes must never find the disk full."""
ROLES_SINCE: Final = 2
"""The migration that makes the roles."""
RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
MOST_SKEW: Final = timedelta(seconds=5)
"""Offers and keys end at moments that both the service and the database reckon with."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the report: fine when there is nothing to do."""

    what: str
    to_do: str | None = None


def examine(
    environ: Mapping[str, str], flags: Mapping[str, str], clock: Clock, console: Console
) -> int:
    """Prints a line for each check; 1 when something is wrong. Changes nothing."""
    findings = [_python(), *_settings(environ, flags)]
    try:
        settings = read_settings(environ, flags)
    except SettingsError:
        _print(findings, console)
        return FAILED
    findings += [
        _time(clock),
        *_data_dir(settings),
        *_keyring(settings, clock),
        *_port(settings),
        *_geocoder(settings, clock),
        *_database(settings, clock),
    ]
    _print(findings, console)
    return FAILED if any(finding.to_do for finding in findings) else 0


def _print(findings: Sequence[Finding], console: Console) -> None:
    for finding in findings:
        mark, style = ("✓", "green") if finding.to_do is None else ("✗", "red")
        console.print(f"[{style}]{mark}[/]", end=" ")
        console.print(finding.what, markup=False, highlight=False, soft_wrap=True)
        if finding.to_do is not None:
            console.print(f"  {finding.to_do}", markup=False, highlight=False, soft_wrap=True)


def _python() -> Finding:
    running = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(f"Python {running}", "Install Python 3.11 or newer.")
    return Finding(f"Python {running}")


def _settings(environ: Mapping[str, str], flags: Mapping[str, str]) -> list[Finding]:
    wrong = [
        Finding(
            f"{name} is set, but there is no such setting",
            f"Did you mean {near}?" if near else "docs/settings.md lists them all; unset this one.",
        )
        for name, near in unknown_variables(environ).items()
    ]
    try:
        read_settings(environ, flags)
    except SettingsError as error:
        wrong += [
            Finding(f"{name} cannot be used", f"It must be {right}.")
            for name, right in error.problems.items()
        ]
    return wrong or [Finding("Settings")]


def _time(clock: Clock) -> Finding:
    now = clock.now()
    if not RELEASED <= now <= RELEASED + timedelta(days=36_525):
        return Finding(
            f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC",
            "Set it right, best with a time service (timedatectl set-ntp true).",
        )
    return Finding(f"Clock: {now:%Y-%m-%d %H:%M} UTC")


def _data_dir(settings: Settings) -> list[Finding]:
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    advice = "Make it writable for this user, or choose another one (--data-dir)."
    if not existing.is_dir():
        return [Finding(f"Data folder {folder}: {existing} is not a folder", advice)]
    if not _is_writable(existing):
        return [Finding(f"Data folder {folder} cannot be written to", advice)]
    free = shutil.disk_usage(existing).free
    said = f"Data folder {folder}, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return [Finding(said, "Free some space: half a gigabyte is the least for a safe start.")]
    return [Finding(said)]


def _is_writable(folder: Path) -> bool:
    # Asked of the kernel without writing: access lists and read-only mounts count.
    return os.access(folder, os.W_OK | os.X_OK)


def _keyring(settings: Settings, clock: Clock) -> list[Finding]:
    path = settings.keyring_path
    try:
        if not path.exists():
            return [Finding("Keyring: not there yet, the first start makes it")]
        keyring = Keyring.load(path, clock)
    except KeyringError as error:
        return [Finding("Keyring", str(error))]
    except OSError as error:
        return [
            Finding(
                f"Keyring {path} cannot be read ({error.strerror})",
                "Run Clinicway as the user who owns it.",
            )
        ]
    if keyring.newest > clock.now() + MOST_SKEW:
        return [
            Finding(
                f"Keyring {path} was made in the future",
                "The clock was wrong then or is now; set it right.",
            )
        ]
    return [Finding(f"Keyring {path}")]


def _port(settings: Settings) -> list[Finding]:
    try:
        claim_port(settings.host, settings.port).release()
    except PortError as error:
        alive = ask(settings.host, settings.port, "/health/live")
        if alive.status != 200 or alive.member("status") != "live":
            return [Finding(f"Port {settings.port}", str(error))]
        if settings.database_url is None and listens(settings.data_dir, settings.port) is False:
            return [
                Finding(
                    f"Port {settings.port}: the Clinicway service that answers there does not use "
                    f"the data folder {settings.data_dir.resolve()}",
                    "To look at that service, name what it uses (--data-dir or "
                    "CLINICWAY_DATABASE_URL); to run another beside it, choose another --port.",
                )
            ]
        ready = ask(settings.host, settings.port, "/health/ready")
        return [
            Finding(f"Port {settings.port}: a Clinicway service answers there"),
            _readiness(ready),
        ]
    return [Finding(f"Port {settings.port} is free")]


def _readiness(answer: Answer) -> Finding:
    match answer.member("status"):
        case "ready":
            return Finding("The service is ready: its search index is loaded")
        case "degraded":
            return Finding(
                "The service answers searches from memory, but its database is away",
                "Start the database; the service recovers by itself.",
            )
        case "starting":
            return Finding(
                "The service has no search index yet",
                "Give it a few seconds. If it stays so, its log says what it waits for.",
            )
        case _:
            return Finding(
                f"The service does not say whether it is ready (status {answer.status})",
                "Look into its log.",
            )


def _geocoder(settings: Settings, clock: Clock) -> list[Finding]:
    if settings.geocoder is None:
        return []
    from api.commands.geocoder import check_geocoder

    try:
        check_geocoder(settings, clock)
    except CommandError as error:
        return [Finding("Geocoding service", str(error))]
    return [Finding(f"Geocoding service {settings.geocoder} is set up; it was asked nothing")]


def _database(settings: Settings, clock: Clock) -> list[Finding]:
    if settings.database_url is not None:
        return _facts_at(settings.database_url, clock)
    findings = [_embedded_programs()]
    try:
        running = find_running(settings.data_dir)
    except (EmbeddedPostgresError, OSError) as error:
        return [*findings, Finding("The embedded database", str(error))]
    if running is None:
        return [*findings, Finding("The embedded database does not run; a start brings it up")]
    return [*findings, *_facts_at(running, clock)]


def _embedded_programs() -> Finding:
    try:
        return Finding(f"Embedded database: {postgres_version()}")
    except CommandError as error:
        return Finding("The embedded database's programs", str(error))


def _facts_at(dsn: str, clock: Clock) -> list[Finding]:
    try:
        facts = asyncio.run(look_at_database(dsn))
    except DatabaseError as error:
        return [
            Finding(
                f"The database does not answer: {error}",
                "Start PostgreSQL, and check host, database, user and password in "
                "CLINICWAY_DATABASE_URL.",
            )
        ]
    return [check(facts, clock) for check in _CHECKS]


def _check_version(facts: DatabaseFacts, _clock: Clock) -> Finding:
    said = f"PostgreSQL {facts.version}"
    if facts.version < OLDEST_POSTGRESQL:
        return Finding(said, "Clinicway needs 15 or newer: upgrade, or use the embedded one.")
    return Finding(said)


def _check_migrations(facts: DatabaseFacts, _clock: Clock) -> Finding:
    said = f"Schema at migration {facts.applied} of {facts.known}"
    if facts.applied < facts.known:
        return Finding(said, "Run `clinicway migrate`; `clinicway serve` does it as well.")
    if facts.applied > facts.known:
        return Finding(said, "The database belongs to a newer version of Clinicway: start that.")
    if not facts.unchanged:
        return Finding(said, "A migration was edited after it was applied. Put the file back.")
    return Finding(said)


def check_roles(facts: DatabaseFacts, _clock: Clock) -> Finding:
    refused = " and ".join(facts.refused_roles)
    if not refused:
        return Finding(f"The login can become {' and '.join(ROLES)}")
    if facts.applied < ROLES_SINCE:
        return Finding(f"The roles {refused} are not there yet; a migration makes them")
    return Finding(
        f"The login cannot become {refused}, as which the service runs",
        f"As an administrator of the server, make what is missing ({MAKE_ROLES}) and let the "
        f"login become it ({GRANT_ROLES}). A restored database needs them before the restore.",
    )


def _check_skew(facts: DatabaseFacts, clock: Clock) -> Finding:
    skew = abs(facts.now - clock.now())
    if skew > MOST_SKEW:
        return Finding(
            f"The clocks of database and service are {skew.total_seconds():.0f} s apart",
            "Let a time service set both.",
        )
    return Finding("Database and service agree on the time")


_CHECKS: Final[Sequence[Callable[[DatabaseFacts, Clock], Finding]]] = (
    _check_version,
    _check_migrations,
    check_roles,
    _check_skew,
)
