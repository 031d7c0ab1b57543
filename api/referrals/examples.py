"""Examples for the OpenAPI document. The people and clinics are made up."""

from __future__ import annotations

from typing import Any, Final

_PATIENT: Final[dict[str, Any]] = {
    "given_name": "Example",
    "family_name": "Patient",
    "birth_date": "1980-02-03",
    "phone": "+16025550100",
    "email": "patient@mail.example",
    "near": "85016",
    "state": "US-AZ",
}
_SCREENING: Final = {
    "uncontrolled_hypertension": False,
    "unstable_heart_disease": False,
    "active_psychosis": False,
    "pregnancy": False,
    "breastfeeding": False,
    "severe_liver_disease": False,
    "substance_use_history": False,
    "immediate_suicide_risk": False,
}
REFERRAL: Final[dict[str, Any]] = {
    "patient": _PATIENT,
    "conditions": ["crps"],
    "icd10": ["G90.50"],
    "reason": "Pain of the left hand for two years after a fracture.",
    "prior_treatments": ["Physiotherapy"],
    "medications": ["Gabapentin"],
    "screening": _SCREENING,
    "preferences": {
        "routes": ["iv"],
        "settings": ["clinic"],
        "max_distance": "50mi",
        "payer": "medicare",
        "language": "en",
        "clinics": [],
        "exclude": [],
    },
    "urgency": "routine",
    "mode": "sequential",
    "consent": {"given": True, "at": "2026-11-22T09:00:00-07:00"},
}
MATCHES: Final[dict[str, Any]] = {
    "patient": {"near": "85016", "birth_date": "1980-02-03"},
    "conditions": ["crps"],
    "screening": _SCREENING,
    "preferences": {"routes": ["iv"], "settings": ["clinic"], "payer": "medicare"},
    "urgency": "routine",
}
_ID: Final = "019ab3c0-5f00-7000-8000-0000000000a1"
_CLINIC: Final = {"id": "019ab3c0-5f00-7000-8000-000000000001", "name": "Example Pain Clinic"}
_OFFER_LINE: Final[dict[str, Any]] = {
    "id": "019ab3c0-5f00-7000-8000-0000000000b1",
    "clinic": _CLINIC,
    "state": "open",
    "version": 1,
    "opened_at": "2026-11-22T16:00:00Z",
    "due_at": "2026-11-25T16:00:00Z",
    "decided_at": None,
    "decline_reason": None,
}
_ITEM: Final[dict[str, Any]] = {
    "id": _ID,
    "state": "offered",
    "version": 2,
    "urgency": "routine",
    "mode": "sequential",
    "created_at": "2026-11-22T16:00:00Z",
    "updated_at": "2026-11-22T16:00:00Z",
    "due_at": "2026-11-24T04:00:00Z",
    "overdue": False,
    "owner": None,
    "offers": [_OFFER_LINE],
    "actions": ["cancel"],
    "patient": {"age": 46, **_PATIENT},
    "conditions": ["crps"],
    "flags": [],
}
VIEW: Final[dict[str, Any]] = {
    **_ITEM,
    "tracking_url": "https://directory.example/v1/track/"
    "0K2cYHqsYdFvYIoJcQ1fXUVDmVEhXIhGz1uMZbW8eQA",
    "icd10": ["G90.50"],
    "reason": REFERRAL["reason"],
    "prior_treatments": ["Physiotherapy"],
    "medications": ["Gabapentin"],
    "screening": _SCREENING,
    "preferences": REFERRAL["preferences"],
    "consent": {"given": True, "at": "2026-11-22T09:00:00-07:00", "notify": False},
    "referrer": None,
    "duplicate_reason": None,
    "visit_at": None,
    "outcome": None,
    "unable": None,
    "messages": [],
}
PAGE: Final = {"items": [_ITEM], "next": None}
OFFER: Final[dict[str, Any]] = {
    **_OFFER_LINE,
    "questions": 0,
    "actions": ["accept", "decline", "ask"],
    "referral": {
        **VIEW,
        "due_at": None,
        "actions": ["accept", "decline", "ask"],
        "patient": {
            **dict.fromkeys(("given_name", "family_name", "birth_date", "phone", "email", "near")),
            "age": 46,
            "state": "US-AZ",
        },
        "tracking_url": None,
        "reason": None,
        "prior_treatments": [],
        "medications": [],
        "preferences": {**REFERRAL["preferences"], "clinics": None, "exclude": None},
        "consent": None,
    },
}
OFFERS: Final = {"items": [OFFER], "next": None}
HISTORY: Final[dict[str, Any]] = {
    "id": _ID,
    "verified": True,
    "items": [
        {
            "version": 1,
            "at": "2026-11-22T16:00:00Z",
            "redacted": False,
            "event": "created",
            "role": "referrer",
            "actor": "key:0193a1b2c3d47e5f8a6b7c8d9e0f1a2b",
            "from_state": None,
            "to_state": "matching",
            "clinic": None,
            "offer_id": None,
            "reason": None,
            "detail": None,
        }
    ],
    "next": None,
}
_RANKED: Final[dict[str, Any]] = {
    "clinic": _CLINIC,
    "score": 0.8512,
    "factors": {"preferred": 1.0, "distance": 0.9, "wait": 0.6667},
    "match": "nearby",
    "distance": {"m": 1834.2, "km": 1.834, "mi": 1.14},
    "offerings": [
        {
            "condition": "crps",
            "treats": "crps",
            "position": 0,
            "drug": "ketamine",
            "route": "iv",
            "setting": "clinic",
        }
    ],
}
MATCHED: Final[dict[str, Any]] = {
    "directory_version": 118,
    "origin": {
        "lat": 33.51,
        "lon": -112.03,
        "label": "85016, Phoenix, AZ",
        "precision": "postal_area",
        "uncertainty_m": 3000,
        "country": "US",
        "state": "US-AZ",
    },
    "ranked": [_RANKED],
    "ranked_total": 1,
    "excluded": [
        {
            "clinic": {
                "id": "019ab3c0-5f00-7000-8000-000000000002",
                "name": "Example Infusions",
            },
            "distance": {"m": 5012.0, "km": 5.012, "mi": 3.114},
            "reasons": ["payer"],
        }
    ],
    "excluded_total": 1,
    "would_stop": [],
    "waits_until": None,
    "suggestions": [],
}
TRACKED: Final = {
    "step": "offered",
    "said": "A place has been asked whether it can see you.",
    "next": "It has until the time shown to answer. If it does not, the next one is asked.",
    "since": "2026-11-22T16:00:00Z",
    "received_at": "2026-11-22T16:00:00Z",
    "answer_by": "2026-11-25T16:00:00Z",
}
