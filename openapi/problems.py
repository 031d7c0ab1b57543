"""The schema of a problem, with the members that single types carry beside those of all."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from api.directory.rules import BrokenRule
from api.operations import ProblemDocument
from api.referrals.screening import CrisisLine
from api.search.place import Candidate
from db.states import ReferralState


class Problem(ProblemDocument, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as RFC 9457 lays it out. `type` says which of the members that are not
    required it carries: more of them may come with new types."""

    actions: (
        Annotated[
            list[str],
            Meta(
                description="Of not-possible-now and no-capacity: what may be done with the "
                "referral now"
            ),
        ]
        | UnsetType
    ) = UNSET
    candidates: (
        Annotated[
            list[Candidate],
            Meta(description="Of ambiguous-place: the places of that name, each with its `near`"),
        ]
        | UnsetType
    ) = UNSET
    crisis_lines: (
        Annotated[
            list[CrisisLine],
            Meta(description="Of immediate-risk: whom to call, at any hour"),
        ]
        | UnsetType
    ) = UNSET
    existing: (
        Annotated[
            UUID,
            Meta(description="Of duplicate-referral: the referral that is open"),
        ]
        | UnsetType
    ) = UNSET
    merged_into: (
        Annotated[
            UUID,
            Meta(description="Of clinic-merged: the clinic that has taken its place"),
        ]
        | UnsetType
    ) = UNSET
    replaced_by: (
        Annotated[str, Meta(description="Of key-already-rotated: the id of the key to rotate")]
        | UnsetType
    ) = UNSET
    rules: (
        Annotated[
            list[BrokenRule],
            Meta(description="Of rule-violation: each rule that the profile breaks"),
        ]
        | UnsetType
    ) = UNSET
    state: (
        Annotated[
            ReferralState,
            Meta(
                description="Of not-possible-now and no-capacity: the state that the referral is in"
            ),
        ]
        | UnsetType
    ) = UNSET
    suggestions: (
        Annotated[
            list[Candidate],
            Meta(description="Of unknown-place: places with a similar name"),
        ]
        | UnsetType
    ) = UNSET
