"""`clinicway audit`: goes over the whole trail, and writes down where it ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, assert_never

import msgspec
from msgspec import Meta
from rich.console import Console

from api.audit.chain import LANES, Anchor, Fault, Finding
from api.audit.schemas import AuditLane
from api.audit.service import Auditor
from api.audit.verifying import RECENT, Report, verify
from api.clock import Clock
from api.commands.database import database_address, opened
from api.commands.failures import FAILED, WRONGLY_CALLED, CommandError
from api.keyring import Keyring
from api.settings import Settings
from db.migrate import migrate

MOST_SHOWN: Final = 50


class AnchorFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `clinicway audit anchor` prints, to be kept where nobody of the database can write."""

    at: Annotated[datetime, Meta(tz=True)]
    lanes: Annotated[list[AuditLane], Meta(max_length=LANES)]

    def anchors(self) -> Mapping[int, Anchor]:
        return {
            kept.lane: Anchor(lane=kept.lane, entries=kept.entries, mac=bytes.fromhex(kept.digest))
            for kept in self.lanes
        }


async def run_audit(
    arguments: argparse.Namespace, settings: Settings, clock: Clock, console: Console
) -> int:
    """Raises CommandError, EmbeddedPostgresError, KeyringError, DatabaseError."""
    match arguments.action:
        case "verify":
            anchors = _anchors(arguments.anchor)
            report = await _report(settings, clock, recent=None, anchors=anchors)
            return _tell(report, console)
        case "anchor":
            return await _print_anchor(settings, clock)
        case _:
            raise AssertionError("argparse lets no other action through")


async def _report(
    settings: Settings,
    clock: Clock,
    *,
    recent: int | None,
    anchors: Mapping[int, Anchor] | None = None,
) -> Report:
    with database_address(settings) as dsn:
        auditor = Auditor(Keyring.load_or_create(settings.keyring_path, clock), clock)
        await migrate(dsn)
        async with (
            opened(dsn) as pool,
            pool.transaction(isolation="repeatable_read", readonly=True) as conn,
        ):
            return await verify(conn, auditor.key_by_id, recent=recent, anchors=anchors)


def _anchors(path: Path | None) -> Mapping[int, Anchor] | None:
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=AnchorFile).anchors()
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}).", WRONGLY_CALLED) from None
    except (ValueError, RecursionError):
        raise CommandError(
            f"{path} is not what `clinicway audit anchor` prints.", WRONGLY_CALLED
        ) from None


async def _print_anchor(settings: Settings, clock: Clock) -> int:
    report = await _report(settings, clock, recent=RECENT)
    if report.findings:
        raise CommandError("The trail does not verify: `clinicway audit verify` says where.")
    kept = AnchorFile(at=clock.now(), lanes=[AuditLane.from_report(lane) for lane in report.lanes])
    sys.stdout.write(msgspec.json.encode(kept).decode() + "\n")
    return 0


def _tell(report: Report, console: Console) -> int:
    for finding in report.findings[:MOST_SHOWN]:
        console.print(_sentence(finding), markup=False, highlight=False, soft_wrap=True)
    more = len(report.findings) - MOST_SHOWN
    if more > 0:
        console.print(f"… and {more} more.", markup=False, highlight=False)
    if report.findings:
        console.print("The audit trail does not verify.", markup=False, highlight=False)
        return FAILED
    console.print(
        f"The audit trail verifies: {report.looked_at} entries.", markup=False, highlight=False
    )
    return 0


def _sentence(finding: Finding) -> str:
    where = f"lane {finding.lane}, "
    where += (
        f"entry {finding.first}"
        if finding.first == finding.last
        else f"entries {finding.first} to {finding.last}"
    )
    match finding.fault:
        case Fault.ALTERED:
            return f"Altered: {where}."
        case Fault.MISSING:
            return f"Taken out: {where}."
        case Fault.TRUNCATED:
            return f"Cut off the end: {where}."
        case Fault.LANE_ALTERED:
            return f"The end of the lane was changed: {where}."
        case Fault.ANCHOR_MISSED:
            return f"Other than the anchor says: {where}."
        case Fault.UNKNOWN_KEY:
            return f"Signed with a key that the keyring does not hold: {where}."
        case _ as unreachable:
            assert_never(unreachable)
