"""Webhooks as the reference page shows them."""

from __future__ import annotations

from typing import Any, Final

WEBHOOK_ID: Final = "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
WRITE: Final[dict[str, Any]] = {
    "url": "https://hooks.example.com/clinicway",
    "events": ["referral.accepted", "referral.unrouted"],
    "description": "Worklist of the Phoenix office",
}
WEBHOOK: Final[dict[str, Any]] = {
    "id": WEBHOOK_ID,
    **WRITE,
    "created_at": "2026-11-22T16:00:00Z",
    "previous_secret_until": None,
    "disabled_at": None,
    "disabled_reason": None,
}
NEW: Final = {**WEBHOOK, "secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
DELIVERY: Final[dict[str, Any]] = {
    "id": "0193a1b2-d000-7e5f-8a6b-7c8d9e0f1a2b",
    "type": "referral.accepted",
    "subject": {"kind": "referral", "id": "0193a1b2-c3d4-7e5f-8a6b-000000000001"},
    "state": "pending",
    "attempts": 1,
    "created_at": "2026-11-22T16:05:00Z",
    "next_attempt_at": "2026-11-22T16:05:05Z",
    "last_attempt_at": "2026-11-22T16:05:00Z",
    "last_status": 503,
    "last_fault": "bad_status",
    "delivered_at": None,
    "dead_at": None,
}
REPLAY: Final[dict[str, Any]] = {"since": "2026-11-22T16:00:00Z", "only": "dead"}
TEST: Final = {
    **DELIVERY,
    "type": "webhook.test",
    "subject": {"kind": "webhook", "id": WEBHOOK_ID},
    "attempts": 0,
    "last_attempt_at": None,
    "last_status": None,
    "last_fault": None,
}
