"""The table of rules: what the docs print, and what nobody may do."""

from __future__ import annotations

from pathlib import Path

from api.referrals.lifecycle.rules import RULES, transition_table
from db.states import ReferralEvent, ReferralState, RoleInReferral

DOCS = Path(__file__).parents[2] / "docs" / "referrals.md"


def test_the_docs_print_the_table() -> None:
    assert transition_table() in DOCS.read_text("utf-8")


def test_every_event_but_two_has_one_rule() -> None:
    """A reminder is no step, and an erasure changes no state."""
    told = {ReferralEvent.REMINDED, ReferralEvent.ERASED}
    assert sorted(rule.event for rule in RULES) == sorted(set(ReferralEvent) - told)


def test_every_state_is_reached_and_left_but_for_the_closed_ones() -> None:
    reached = {state for rule in RULES for state in rule.targets}
    left = {state for rule in RULES for state in rule.sources}
    assert reached == set(ReferralState)
    assert set(ReferralState) - left == {ReferralState.COMPLETED, ReferralState.CANCELLED}


def test_only_people_have_calls() -> None:
    assert all((rule.action is None) == (rule.role is RoleInReferral.SERVICE) for rule in RULES)


def test_every_state_is_explained() -> None:
    text = DOCS.read_text("utf-8")
    assert all(f"| `{state}` | " in text for state in ReferralState)
