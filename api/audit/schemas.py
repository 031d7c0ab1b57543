"""The audit trail as it is asked for and as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import Meta

from api.audit.chain import Fault, Finding
from api.audit.service import Outcome
from api.audit.verifying import LaneReport, Report
from db.audit_rows import AuditPageRow
from db.states import AuditAction, AuditObject


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    object: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="Id of a referral, offer or key: what was done to it, and the lists "
                "that it was on",
                examples=["019ab3c0-5f00-7000-8000-000000000001"],
            ),
        ]
        | None
    ) = None
    actor: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="Id of a key, `command line` or `service`; the id of the first key of "
                "a line finds what was done with every key of it",
                examples=["0193a1b2c3d47e5f8a6b7c8d9e0f1a2b"],
            ),
        ]
        | None
    ) = None
    since: (
        Annotated[
            datetime,
            Meta(
                tz=True,
                description="Only what was done then or later",
                extra={"right": "a date-time with offset, such as 2026-11-22T00:00:00Z"},
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Entries on a page")] = 50
    cursor: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=500,
                description="`next` of the page before",
                extra={"right": "what `next` of the page before holds"},
            ),
        ]
        | None
    ) = None


class AuditedObject(msgspec.Struct, frozen=True, kw_only=True):
    kind: AuditObject
    id: Annotated[str | None, Meta(description="Null when a list was read")]


class AuditOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; what does not apply is null."""

    version: Annotated[int | None, Meta(description="Of the object, afterwards")]
    state: Annotated[str | None, Meta(description="Of the object, afterwards")]
    reason: Annotated[str | None, Meta(description="The code that was given as the reason")]
    history_hash: Annotated[
        str | None, Meta(description="Of the history entry that was written, in hexadecimal")
    ]
    replaced_by: Annotated[str | None, Meta(description="Id of the key that replaces this one")]

    @classmethod
    def from_text(cls, text: str) -> Self:
        try:
            outcome = msgspec.json.decode(text, type=Outcome)
        except msgspec.DecodeError:
            # Somebody has edited it, which `intact` says. The rest is still worth showing.
            outcome = Outcome()
        return cls(
            version=outcome.version,
            state=outcome.state,
            reason=outcome.reason,
            history_hash=outcome.history_hash,
            replaced_by=outcome.replaced_by,
        )


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One request that read or changed a patient's data or a key."""

    id: UUID
    at: datetime
    actor: Annotated[str, Meta(description="`key:<id>`, `command line` or `service`")]
    principal: Annotated[
        str | None, Meta(description="Id of the first key of the line that the key belongs to")
    ]
    action: AuditAction
    object: AuditedObject
    related: Annotated[
        list[str], Meta(description="Ids of what was on the list, or of an offer's referral")
    ]
    request_id: str | None
    outcome: AuditOutcome
    lane: Annotated[int, Meta(description="Which of the 16 chains it stands in")]
    number: Annotated[int, Meta(description="Its place in that chain, from 1")]
    intact: Annotated[bool, Meta(description="Whether it is as it was written, where it was")]

    @classmethod
    def from_row(cls, row: AuditPageRow, *, intact: bool) -> Self:
        return cls(
            id=row.id,
            at=row.at,
            actor=row.actor,
            principal=row.principal,
            action=row.action,
            object=AuditedObject(kind=row.object_kind, id=row.object_id),
            related=row.related,
            request_id=row.request_id,
            outcome=AuditOutcome.from_text(row.outcome),
            lane=row.lane,
            number=row.number,
            intact=intact,
        )


class AuditFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the entries `first` to `last` of a lane.

    `altered`: not what was written there. `missing`: taken out. `truncated`: cut off the end.
    `lane_altered`: the lane's own row was changed. `unknown_key`: signed with a key that the
    keyring does not hold.
    """

    fault: Fault
    lane: int
    first: int
    last: int

    @classmethod
    def from_finding(cls, finding: Finding) -> Self:
        return cls(fault=finding.fault, lane=finding.lane, first=finding.first, last=finding.last)


class AuditLane(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a lane, to be kept elsewhere: `clinicway audit verify --anchor` compares it."""

    lane: int
    entries: int
    digest: Annotated[str, Meta(description="Mac of its last entry, in hexadecimal")]

    @classmethod
    def from_report(cls, report: LaneReport) -> Self:
        return cls(lane=report.lane, entries=report.entries, digest=report.last_mac.hex())


class AuditVerification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the chains verify, as of this answer."""

    intact: Annotated[bool, Meta(description="Whether no fault was found in what was looked at")]
    complete: Annotated[
        bool,
        Meta(
            description="Whether everything was looked at. If not, the newest entries of each lane "
            "were; `clinicway audit verify` looks at all"
        ),
    ]
    entries: Annotated[int, Meta(description="How many entries there are")]
    looked_at: Annotated[int, Meta(description="How many of them were verified for this answer")]
    faults: list[AuditFault]
    lanes: list[AuditLane]

    @classmethod
    def from_report(cls, report: Report) -> Self:
        return cls(
            intact=not report.findings,
            complete=report.is_complete,
            entries=report.entries,
            looked_at=report.looked_at,
            faults=[AuditFault.from_finding(finding) for finding in report.findings],
            lanes=[AuditLane.from_report(lane) for lane in report.lanes],
        )


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[AuditEntry]
    next: Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last")]
    verified: AuditVerification
