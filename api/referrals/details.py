"""What was said at a step, and why the service took it: the sealed part of a line of history."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.referrals.matching.eligibility import Reason
from api.referrals.matching.matching import Matches, Ranked, Suggestion

TABLE: Final = "referral_history"
COLUMN: Final = "sealed"


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the clinics that were looked at have this against them."""

    reason: Reason
    clinics: int


class Unable(msgspec.Struct, frozen=True, kw_only=True):
    """Why nobody could take the referral, and what would help.

    `reasons` are those of the `looked_at` nearest of all that were `considered`.
    """

    considered: int
    looked_at: int
    reasons: list[Counted]
    suggestions: list[Suggestion]


class Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most one member is set, but for `text`, which may go with a coded reason."""

    text: str | None = None
    """A question, an answer, a note, an outcome, or why a flag is no obstacle."""
    visit_at: datetime | None = None
    why: list[Ranked] | None = None
    """The clinics that were asked, with their scores."""
    waits_for: list[UUID] | None = None
    """Clinics that have places again when their next week begins."""
    unable: Unable | None = None
    directory_version: int | None = None
    """The directory that matching went by."""


def said_with(text: str | None) -> Detail | None:
    """What somebody added to a step, if they did."""
    return None if text is None else Detail(text=text)


def place_of(referral_id: UUID, version: int) -> str:
    """The row that a detail is sealed into."""
    return f"{referral_id}/{version}"


def unable(matches: Matches) -> Unable:
    counted = Counter(reason for each in matches.excluded for reason in each.reasons)
    return Unable(
        considered=matches.excluded_total,
        looked_at=len(matches.excluded),
        reasons=[
            Counted(reason=reason, clinics=counted[reason])
            for reason in sorted(counted, key=lambda each: (-counted[each], each))
        ],
        suggestions=list(matches.suggestions),
    )


encoded = msgspec.json.Encoder().encode
decoded = msgspec.json.Decoder(Detail).decode
