"""Worklists: pages of referrals and offers, longest untouched first."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from api.errors import InvalidParameter
from api.keyring import Keyring
from api.referrals.service import Act, said_in
from api.referrals.step import Case, offer_of
from api.referrals.viewing import viewer_of
from api.referrals.views import (
    OfferPage,
    OfferView,
    ReferralItem,
    ReferralPage,
    item_of,
    offer_over_view_of,
    offer_view_of,
)
from api.search.cursor import Position, read_cursor, write_cursor
from db.asking import ask_as
from db.queries.history import history_of_referrals
from db.queries.offers import offers_of_referrals, page_of_offers
from db.queries.referrals import page_of_referrals, referrals_by_id
from db.referral_rows import HistoryRow, OfferRow
from db.states import AuditAction, AuditObject, OfferState, ReferralState

Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        description="`next` of the page before",
        extra={"right": "what `next` of the page before holds"},
    ),
]
Limit = Annotated[int, Meta(ge=1, le=100, description="Items on a page")]

Name = TypeVar("Name", bound=StrEnum)
Grouped = TypeVar("Grouped", OfferRow, HistoryRow)


class ReferralsQuery(msgspec.Struct, frozen=True, kw_only=True):
    state: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="Only those in one of these states, separated by commas",
                examples=["offered,info_requested"],
            ),
        ]
        | None
    ) = None
    overdue: (
        Annotated[
            bool,
            Meta(description="Whether they have waited too long for somebody"),
        ]
        | None
    ) = None
    updated_since: (
        Annotated[
            datetime,
            Meta(
                tz=True,
                description="Only those with a step then or later",
                extra={"right": "a date-time with offset, such as 2026-11-22T00:00:00Z"},
            ),
        ]
        | None
    ) = None
    limit: Limit = 50
    cursor: Cursor | None = None


class OffersQuery(msgspec.Struct, frozen=True, kw_only=True):
    state: (
        Annotated[
            str,
            Meta(
                max_length=100,
                description="Only those in one of these states, separated by commas",
                examples=["open"],
            ),
        ]
        | None
    ) = None
    limit: Limit = 50
    cursor: Cursor | None = None


async def referrals(act: Act, query: ReferralsQuery) -> ReferralPage:
    """Those of the caller, as referrer and for its clinics."""
    states = _named("state", query.state, ReferralState)
    services, principal, clinics = act.services, act.caller.principal, act.clinics
    question = _question("referrals", act, query.state, query.overdue, query.updated_since)
    after_at, after_id = _after(services.keyring, question, query.cursor)
    await ask_as(act.conn, principal=principal, clinics=clinics)
    clocks = services.clocks
    rows = await page_of_referrals(
        act.conn,
        principal=principal,
        clinics=clinics,
        states=states,
        overdue=query.overdue,
        updated_since=query.updated_since,
        limit=query.limit + 1,
        after_at=after_at,
        after_id=after_id,
        urgent=clocks.urgent / 2,
        soon=clocks.soon / 2,
        routine=clocks.routine / 2,
    )
    page = rows[: query.limit]
    offers = _by_referral(await offers_of_referrals(act.conn, [row.id for row in page]))
    items: list[ReferralItem] = []
    for row in page:
        case = Case.stored(services, act.conn, row, offers[row.id])
        viewer = viewer_of(
            case.referral, case.referrer, case.now, principal=principal, clinics=clinics
        )
        if viewer is not None:
            items.append(item_of(case, viewer))
    await _listed(act, AuditAction.REFERRALS_LISTED, [item.id for item in items])
    following = None
    if len(rows) > query.limit:
        following = _next(services.keyring, question, page[-1].updated_at, page[-1].id)
    return ReferralPage(items=items, next=following)


async def offers(act: Act, query: OffersQuery) -> OfferPage:
    """Those made to the caller's clinics."""
    states = _named("state", query.state, OfferState)
    services, clinics = act.services, act.clinics
    question = _question("offers", act, query.state)
    after_at, after_id = _after(services.keyring, question, query.cursor)
    await ask_as(act.conn, clinics=clinics)
    rows = await page_of_offers(
        act.conn,
        clinics=clinics,
        states=states,
        limit=query.limit + 1,
        after_at=after_at,
        after_id=after_id,
    )
    page = rows[: query.limit]
    items = await _offer_views(act, page)
    await _listed(act, AuditAction.OFFERS_LISTED, [row.id for row in page])
    following = None
    if len(rows) > query.limit:
        following = _next(services.keyring, question, page[-1].updated_at, page[-1].id)
    return OfferPage(items=items, next=following)


async def _offer_views(act: Act, page: Sequence[OfferRow]) -> list[OfferView]:
    ids = list({row.referral_id for row in page})
    # The policies hide from a clinic the referral behind an offer that is over.
    rows = {row.id: row for row in await referrals_by_id(act.conn, ids)}
    offers = _by_referral(await offers_of_referrals(act.conn, ids))
    history = _by_referral(await history_of_referrals(act.conn, list(rows)))
    views: list[OfferView] = []
    for listed in page:
        its_offers = offers[listed.referral_id]
        # As it is by now: what was open may be over.
        offer = next((each for each in its_offers if each.id == listed.id), listed)
        referral = rows.get(listed.referral_id)
        if referral is None:
            views.append(offer_over_view_of(offer))
            continue
        case = Case.stored(act.services, act.conn, referral, its_offers)
        lines = [said_in(case, line) for line in history[referral.id]]
        views.append(offer_view_of(case, offer_of(offer), lines))
    return views


async def _listed(act: Act, action: AuditAction, ids: Sequence[UUID]) -> None:
    kind = AuditObject.OFFER if action is AuditAction.OFFERS_LISTED else AuditObject.REFERRAL
    await act.services.auditor.record(
        act.conn, author=act.author, action=action, kind=kind, object_id=None, related=ids
    )


def _by_referral(rows: Sequence[Grouped]) -> dict[UUID, list[Grouped]]:
    found: dict[UUID, list[Grouped]] = defaultdict(list)
    for row in rows:
        found[row.referral_id].append(row)
    return found


def _named(parameter: str, text: str | None, names: type[Name]) -> list[Name] | None:
    """Raises InvalidParameter."""
    if text is None:
        return None
    try:
        return [names(part.strip(" ")) for part in text.split(",")]
    except ValueError:
        known = ", ".join(each.value for each in names)
        raise InvalidParameter.named(
            parameter, f"must be one or more of {known}, separated by commas"
        ) from None


def _question(name: str, act: Act, *asked: object) -> bytes:
    """What a cursor belongs to."""
    content = (name, act.caller.principal, [str(each) for each in act.clinics], *asked)
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest()


def _after(
    keyring: Keyring, question: bytes, cursor: str | None
) -> tuple[datetime | None, UUID | None]:
    if cursor is None:
        return None, None
    position = read_cursor(keyring, question, None, cursor)
    return datetime.fromisoformat(str(position.rank)), position.id


def _next(keyring: Keyring, question: bytes, at: datetime, last: UUID) -> str:
    rank = at.astimezone(UTC).isoformat(timespec="microseconds")
    return write_cursor(keyring, question, None, Position(rank, last))
