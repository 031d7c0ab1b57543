"""Who may do what to a referral, and when: one table, for the machine, the answers and the docs.

docs/referrals.md prints it, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from api.referrals.lifecycle.events import Referral
from db.states import ReferralEvent, ReferralState, RoleInReferral

QUESTIONS: Final = 3
"""Questions that a clinic may ask about one offer: each of them stops its clock."""

S: TypeAlias = ReferralState
E: TypeAlias = ReferralEvent


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    event: ReferralEvent
    role: RoleInReferral
    action: str | None
    """Name of the call that a person makes; None when the service does it."""
    on: str
    """What the call is made on: `referral` or `offer`."""
    sources: tuple[ReferralState, ...]
    targets: tuple[ReferralState, ...]


_BEFORE_CLOSED: Final = (
    S.SCREENING,
    S.MATCHING,
    S.OFFERED,
    S.INFO_REQUESTED,
    S.ACCEPTED,
    S.SCHEDULED,
    S.IN_TREATMENT,
    S.UNROUTED,
)
_ASKING: Final = (S.OFFERED, S.INFO_REQUESTED)
_OWNED: Final = (S.ACCEPTED, S.SCHEDULED, S.IN_TREATMENT)


def _rule(
    event: ReferralEvent,
    role: RoleInReferral,
    sources: Iterable[ReferralState],
    targets: Iterable[ReferralState],
    action: str | None = None,
    on: str = "referral",
) -> Rule:
    return Rule(
        event=event,
        role=role,
        action=action,
        on=on,
        sources=tuple(sources),
        targets=tuple(targets),
    )


_REFERRER: Final = RoleInReferral.REFERRER
_CLINIC: Final = RoleInReferral.CLINIC
_SERVICE: Final = RoleInReferral.SERVICE

RULES: Final = (
    _rule(E.CREATED, _REFERRER, [], [S.SCREENING, S.MATCHING], "send"),
    _rule(E.SCREENING_CONFIRMED, _REFERRER, [S.SCREENING], [S.MATCHING], "confirm-screening"),
    _rule(E.OFFERED, _SERVICE, [S.MATCHING], [S.OFFERED]),
    _rule(E.WAITING, _SERVICE, [S.MATCHING], [S.MATCHING]),
    _rule(E.UNROUTED, _SERVICE, [S.MATCHING], [S.UNROUTED]),
    _rule(E.ACCEPTED, _CLINIC, _ASKING, [S.ACCEPTED], "accept", "offer"),
    _rule(E.DECLINED, _CLINIC, _ASKING, [*_ASKING, S.MATCHING], "decline", "offer"),
    _rule(E.ASKED, _CLINIC, [S.OFFERED], [S.INFO_REQUESTED], "ask", "offer"),
    _rule(E.ANSWERED, _REFERRER, [S.INFO_REQUESTED], [S.OFFERED], "answer"),
    _rule(E.ANSWER_OVERDUE, _SERVICE, [S.INFO_REQUESTED], [S.OFFERED]),
    _rule(E.EXPIRED, _SERVICE, [S.OFFERED], [S.OFFERED, S.MATCHING]),
    _rule(E.CLINIC_CLOSED, _SERVICE, _ASKING, [*_ASKING, S.MATCHING]),
    _rule(E.CLINIC_FULL, _SERVICE, _ASKING, [*_ASKING, S.MATCHING]),
    _rule(E.CLINIC_GONE, _SERVICE, [*_ASKING, *_OWNED], [*_ASKING, S.MATCHING]),
    _rule(E.CLINIC_MERGED, _SERVICE, [*_ASKING, *_OWNED], [*_ASKING, *_OWNED]),
    _rule(E.SCHEDULED, _CLINIC, [S.ACCEPTED, S.SCHEDULED], [S.SCHEDULED], "schedule"),
    _rule(E.NO_SHOW, _CLINIC, [S.SCHEDULED], [S.SCHEDULED], "no-show"),
    _rule(E.STARTED, _CLINIC, [S.SCHEDULED], [S.IN_TREATMENT], "start"),
    _rule(E.COMPLETED, _CLINIC, [S.IN_TREATMENT], [S.COMPLETED], "complete"),
    _rule(E.RETURNED, _CLINIC, _OWNED, [S.MATCHING], "return"),
    _rule(E.CANCELLED, _REFERRER, _BEFORE_CLOSED, [S.CANCELLED], "cancel"),
    _rule(E.ROUTE_REQUESTED, _REFERRER, [S.UNROUTED, S.MATCHING], [S.MATCHING], "route"),
)

RULE_OF: Final = {rule.event: rule for rule in RULES}


def actions_of_referrer(referral: Referral) -> list[str]:
    """What the referrer may do now, by the names of the calls."""
    return [
        rule.action
        for rule in RULES
        if rule.role is _REFERRER and rule.action is not None and referral.state in rule.sources
    ]


def actions_of_clinic(referral: Referral, clinic_id: UUID, now: datetime) -> list[str]:
    """What a clinic may do now, with its open offer or with what it owns."""
    offer = next((o for o in referral.open_offers if o.clinic_id == clinic_id), None)
    found: list[str] = []
    for rule in RULES:
        if rule.role is not _CLINIC or rule.action is None or referral.state not in rule.sources:
            continue
        if rule.on == "referral":
            possible = referral.owner == clinic_id
            if rule.event is E.NO_SHOW:
                possible = possible and referral.visit_booked
        else:
            possible = offer is not None and not offer.has_lapsed(now)
            if rule.event is E.ASKED:
                possible = possible and offer is not None and offer.questions < QUESTIONS
        if possible:
            found.append(rule.action)
    return found


def transition_table() -> str:
    """The rules as the table of docs/referrals.md."""
    lines = ["| event | by | call | from | to |", "|---|---|---|---|---|"]
    lines += [
        f"| `{rule.event}` | {rule.role} | {_call(rule)} | {_names(rule.sources)} "
        f"| {_names(rule.targets)} |"
        for rule in RULES
    ]
    return "\n".join(lines)


def _call(rule: Rule) -> str:
    return "" if rule.action is None else f"{rule.action} ({rule.on})"


def _names(states: Iterable[ReferralState]) -> str:
    return ", ".join(f"`{state}`" for state in states) or "–"
