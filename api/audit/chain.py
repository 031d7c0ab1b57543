"""The chains of the audit trail: what makes an entry genuine. Pure.

Each entry's mac covers all that it says, its place in its lane and the mac of the entry before;
the lane's own covers how many entries there are and the last mac. The key is not in the database,
so that whoever can write to every table still cannot make a chain that verifies.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec

from db.audit_rows import AuditEntryRow, AuditLaneRow

LANES: Final = 16
NO_MAC: Final = b""
"""What stands for the entry before the first of a lane."""
MOST_FAULTS: Final = 100
"""Of one lane; with a wrong keyring every entry is one."""

KeyById: TypeAlias = Callable[[str], bytes | None]
"""The key that a mac was made with, or None for an id that the keyring does not hold."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENTRY: Final = "clinicway audit entry 1"
_LANE: Final = "clinicway audit lane 1"


class Fault(StrEnum):
    """What was done to the trail."""

    ALTERED = "altered"
    MISSING = "missing"
    TRUNCATED = "truncated"
    LANE_ALTERED = "lane_altered"
    ANCHOR_MISSED = "anchor_missed"
    UNKNOWN_KEY = "unknown_key"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with the entries `first` to `last` of a lane."""

    fault: Fault
    lane: int
    first: int
    last: int


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a lane as it was once, kept outside of the database."""

    lane: int
    entries: int
    mac: bytes


def lane_of(subject: str) -> int:
    """The lane for what an entry is about: the same one for the same object."""
    return blake2b(subject.encode(), digest_size=1).digest()[0] % LANES


def entry_mac(key: bytes, previous: bytes, entry: AuditEntryRow) -> bytes:
    body = (
        _ENTRY,
        previous,
        entry.lane,
        entry.number,
        entry.id.bytes,
        (entry.at - _EPOCH) // _MICROSECOND,
        entry.actor,
        entry.principal,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.related,
        entry.request_id,
        entry.outcome,
        entry.resumed,
        entry.keyring_id,
    )
    return hmac.digest(key, msgspec.msgpack.encode(body), "sha256")


def lane_mac(key: bytes, keyring_id: str, lane: int, entries: int, last_mac: bytes) -> bytes:
    body = (_LANE, lane, entries, last_mac, keyring_id)
    return hmac.digest(key, msgspec.msgpack.encode(body), "sha256")


def is_genuine(entry: AuditEntryRow, previous: bytes, key: bytes) -> bool:
    return hmac.compare_digest(entry_mac(key, previous, entry), entry.mac)


def is_our_lane(lane: AuditLaneRow, key: bytes) -> bool:
    made = lane_mac(key, lane.keyring_id, lane.lane, lane.entries, lane.last_mac)
    return hmac.compare_digest(made, lane.mac)


class Walk:
    """Goes along one lane, entry by entry, and keeps what it finds: in as much memory for a
    million entries as for one."""

    def __init__(
        self, lane: int, key_by_id: KeyById, *, after: int = 0, anchor: Anchor | None = None
    ) -> None:
        """Starts at the first entry, or with the mac of entry `after` taken on trust."""
        self.lane = lane
        self.first = after + 1
        self.last = after
        self.entries = 0
        self.findings: list[Finding] = []
        self._key_by_id = key_by_id
        self._anchor = anchor
        self._previous: bytes | None = NO_MAC if after == 0 else None

    def trust(self, entry: AuditEntryRow | None) -> None:
        """Take the mac of the entry before the first one to be looked at."""
        if entry is not None and entry.number == self.first - 1:
            self._previous = entry.mac
        else:
            self._find(Fault.MISSING, self.first - 1)

    def take(self, entry: AuditEntryRow) -> None:
        """The next entry, in the order of their numbers."""
        if entry.number != self.last + 1:
            self._find(Fault.MISSING, self.last + 1, entry.number - 1)
            self._previous = None
        self.entries += 1
        key = self._key_by_id(entry.keyring_id)
        if key is None:
            self._find(Fault.UNKNOWN_KEY, entry.number)
        # After a gap the mac of the one before is not there to verify it by: the gap is found.
        elif self._previous is not None and not is_genuine(entry, self._previous, key):
            self._find(Fault.ALTERED, entry.number)
        elif entry.resumed:
            self._find(Fault.LANE_ALTERED, entry.number)
        self.last, self._previous = entry.number, entry.mac
        if self._misses_anchor(entry):
            self._find(Fault.ANCHOR_MISSED, entry.number)

    def end(self, row: AuditLaneRow | None, *, any_lane: bool) -> None:
        """No more entries: compare with the row of the lane. `any_lane` says whether the trail was
        ever begun, which makes all lanes at once."""
        if row is None:
            if any_lane:
                self._find(Fault.LANE_ALTERED, self.last)
        else:
            self._compare(row)
        if self._anchor is not None and self._anchor.entries > self.last:
            self._find(Fault.TRUNCATED, self.last + 1, self._anchor.entries)

    def _misses_anchor(self, entry: AuditEntryRow) -> bool:
        if self._anchor is None or self._anchor.entries != entry.number:
            return False
        return not hmac.compare_digest(self._anchor.mac, entry.mac)

    def _compare(self, row: AuditLaneRow) -> None:
        key = self._key_by_id(row.keyring_id)
        if key is None:
            self._find(Fault.UNKNOWN_KEY, row.entries)
        elif not is_our_lane(row, key):
            self._find(Fault.LANE_ALTERED, row.entries)
        if self.last < row.entries:
            self._find(Fault.TRUNCATED, self.last + 1, row.entries)
        elif self.last > row.entries or (
            self._previous is not None and self._previous != row.last_mac
        ):
            self._find(Fault.LANE_ALTERED, row.entries)

    def _find(self, fault: Fault, first: int, last: int | None = None) -> None:
        if len(self.findings) < MOST_FAULTS:
            finding = Finding(fault=fault, lane=self.lane, first=first, last=last or first)
            if finding not in self.findings[-1:]:
                self.findings.append(finding)
