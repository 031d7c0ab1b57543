"""Going over the chains in the database, a part of them or all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from api.audit.chain import LANES, Anchor, Finding, KeyById, Walk
from db.audit_rows import AuditLaneRow
from db.connection import Connection
from db.queries.audit import entries_of_lane, lanes

BATCH: Final = 500
"""Entries taken in at once: the event loop is held for about 5 ms."""
RECENT: Final = 500
"""Entries of each lane that a request goes over: 8,000 in all, in about a tenth of a second."""


class LaneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at of one lane: the entries `first` to `last`."""

    lane: int
    first: int
    last: int
    looked_at: int
    entries: int
    """As the row of the lane says."""
    last_mac: bytes
    findings: list[Finding]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    lanes: list[LaneReport]

    @property
    def findings(self) -> list[Finding]:
        return [finding for lane in self.lanes for finding in lane.findings]

    @property
    def looked_at(self) -> int:
        return sum(lane.looked_at for lane in self.lanes)

    @property
    def entries(self) -> int:
        return sum(lane.entries for lane in self.lanes)

    @property
    def is_complete(self) -> bool:
        return all(lane.first == 1 for lane in self.lanes)


async def verify(
    conn: Connection,
    key_by_id: KeyById,
    *,
    recent: int | None = None,
    anchors: Mapping[int, Anchor] | None = None,
) -> Report:
    """Every entry, or the `recent` last ones of each lane. Inside one repeatable-read transaction:
    the ends of the lanes and the entries must be of the same moment."""
    ends = {row.lane: row for row in await lanes(conn)}
    known = anchors or {}
    return Report(
        lanes=[
            await _verify_lane(
                conn,
                Walk(
                    lane,
                    key_by_id,
                    after=_start(ends.get(lane), recent),
                    anchor=known.get(lane),
                ),
                ends.get(lane),
                any_lane=bool(ends),
            )
            for lane in range(LANES)
        ]
    )


def _start(end: AuditLaneRow | None, recent: int | None) -> int:
    """The number of the entry whose mac is taken on trust; 0 when there is none."""
    return 0 if end is None or recent is None else max(0, end.entries - recent)


async def _verify_lane(
    conn: Connection, walk: Walk, end: AuditLaneRow | None, *, any_lane: bool
) -> LaneReport:
    after = walk.last
    if after > 0:
        before = await entries_of_lane(conn, walk.lane, after - 1, 1)
        walk.trust(before[0] if before else None)
    entries = 0 if end is None else end.entries
    while found := await entries_of_lane(conn, walk.lane, after, BATCH):
        for entry in found:
            walk.take(entry)
        after = found[-1].number
        if after > entries:
            # Beyond the end everything is wrong. However much there is, a request looks no further.
            break
    walk.end(end, any_lane=any_lane)
    return LaneReport(
        lane=walk.lane,
        first=walk.first,
        last=walk.last,
        looked_at=walk.entries,
        entries=entries,
        last_mac=b"" if end is None else end.last_mac,
        findings=walk.findings,
    )
