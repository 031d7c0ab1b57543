"""The tracking link: open to whoever has it, and silent about health."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from api.operations import answers, problems
from api.referrals import examples
from api.referrals.access import services_of
from api.referrals.errors import NothingToTrack
from api.referrals.tracking import referral_of_token, said
from db.queries.referrals import tracked_referral
from db.referral_rows import TrackedRow
from db.states import ReferralState


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """Where a referral stands, in plain words."""

    step: ReferralState
    said: Annotated[str, Meta(description="What has happened")]
    next: Annotated[str, Meta(description="What comes next")]
    since: datetime
    received_at: datetime
    answer_by: Annotated[
        datetime | None, Meta(description="Until when an answer is expected, if one is")
    ]

    @classmethod
    def from_row(cls, row: TrackedRow) -> Self:
        happened, following = said(row.state, visit_booked=row.visit_booked)
        return cls(
            step=row.state,
            said=happened,
            next=following,
            since=row.updated_at,
            received_at=row.created_at,
            answer_by=row.decide_by,
        )


@get(
    "/v1/track/{token:str}",
    operation_id="trackReferral",
    summary="Where a referral stands, for the patient",
    description="The link is in the answer to its referrer and in mails to the patient. It names "
    "no person, no clinic and no treatment.",
    tags=["Referrals"],
    responses=answers(Tracked, example=examples.TRACKED) | problems(404, 503),
)
async def track(
    token: Annotated[
        str,
        PathParameter(
            description="The last part of a tracking link",
            examples=[Example(value="0K2cYHqsYdFvYIoJcQ1fXUVDmVEhXIhGz1uMZbW8eQA")],
        ),
    ],
    state: State,
) -> Response[Tracked]:
    services = services_of(state)
    referral_id = referral_of_token(services.keyring, token)
    if referral_id is None:
        raise NothingToTrack
    async with services.database.transaction() as conn:
        # Nobody asks here but whoever has the link, and no policy knows links.
        await conn.become_worker()
        row = await tracked_referral(conn, referral_id)
    if row is None or row.erased_at is not None:
        raise NothingToTrack
    headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return Response(Tracked.from_row(row), headers=headers)


handlers: Sequence[ControllerRouterHandler] = [track]
