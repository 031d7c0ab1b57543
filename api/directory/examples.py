"""Examples for the OpenAPI document. The clinic is made up, and says so by its name and domain."""

from __future__ import annotations

from typing import Final

CLINIC: Final[dict[str, object]] = {
    "name": "Example Pain Clinic",
    "organization": "Example Pain Group",
    "address": {
        "line1": "100 Example Street",
        "line2": None,
        "city": "Phoenix",
        "state": "US-AZ",
        "postal_code": "85016",
        "country": "US",
    },
    "location": {"lat": 33.51, "lon": -112.03},
    "phone": "+16025550100",
    "email": "intake@clinic.example",
    "website": "https://clinic.example",
    "medical_director": {
        "name": "Example Physician",
        "credential": "MD",
        "specialty": "Pain medicine",
        "registration": {"system": "npi", "value": "1234567893"},
    },
    "offerings": [
        {
            "drug": "ketamine",
            "route": "iv",
            "setting": "clinic",
            "conditions": ["crps", "fibromyalgia"],
            "coverage": [],
            "protocol": {
                "initial_sessions": 6,
                "initial_days": 21,
                "session_minutes": 40,
                "monitoring_minutes": 30,
                "maintenance_days": 30,
            },
            "price": {"amount": "450.00", "currency": "USD", "per": "session"},
        }
    ],
    "accepting": "yes",
    "wait_days": 7,
    "weekly_capacity": 10,
    "payers": ["private_insurance", "medicare", "self_pay"],
    "languages": ["en", "es"],
    "age": {"min": 18, "max": None},
    "assesses": ["substance_use_history"],
    "hours": [{"days": ["mon", "tue"], "opens": "09:00", "closes": "17:00"}],
    "source": {
        "name": "Example source",
        "url": "https://source.example/list",
        "retrieved_on": "2026-11-22",
        "licence": "CC BY 4.0",
    },
    "verified_at": None,
}

PATCH: Final[dict[str, object]] = {"accepting": "yes", "wait_days": 14}

_SITE: Final[dict[str, object]] = {
    "id": "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
    "slug": "example-pain-clinic-phoenix-az",
    "name": "Example Pain Clinic",
    "line1": "100 Example Street",
    "city": "Phoenix",
    "state": "US-AZ",
    "postal_code": "85016",
    "phone": "+16025550100",
}

DUPLICATES: Final[dict[str, object]] = {
    "items": [
        {
            "score": 100,
            "reasons": [
                {"reason": "same-address", "points": 40},
                {"reason": "similar-name", "points": 40},
                {"reason": "same-phone", "points": 20},
            ],
            "clinics": [
                _SITE,
                {
                    **_SITE,
                    "id": "0193a1b2-c3d5-7a1b-9c2d-3e4f5a6b7c8d",
                    "slug": "example-pain-clinic-llc-phoenix-az",
                    "name": "Example Pain Clinic LLC",
                    "line1": "100 Example St",
                },
            ],
        }
    ],
    "total": 1,
    "next": None,
}

STALE: Final[dict[str, object]] = {
    "items": [
        {
            "id": "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
            "slug": "example-pain-clinic-phoenix-az",
            "name": "Example Pain Clinic",
            "city": "Phoenix",
            "state": "US-AZ",
            "reasons": ["never-verified"],
            "verified_at": None,
            "updated_at": "2026-11-22T16:00:00Z",
            "source_name": "Example source",
            "source_retrieved_on": "2026-11-22",
        }
    ],
    "next": None,
}

HISTORY: Final[dict[str, object]] = {
    "items": [
        {
            "seq": 118,
            "kind": "upsert",
            "at": "2026-11-22T16:00:00Z",
            "actor": "key:0193a1b2c3d47e5f8a6b7c8d9e0f1a2b",
            "merged_into": None,
            "fields": ["wait_days", "provenance"],
        }
    ],
    "next": None,
}
