"""Examples for the OpenAPI document: a clinic from one of the articles, and what it says."""

from __future__ import annotations

from typing import Any, Final

ID: Final = "019ab3c0-5f00-7000-8000-000000000001"
SUMMARY: Final[dict[str, Any]] = {
    "id": ID,
    "slug": "kadelyx-phoenix-az",
    "name": "Kadelyx",
    "organization": "Kadelyx",
    "city": "Phoenix",
    "state": "US-AZ",
    "postal_code": None,
    "country": "US",
    "lat": 33.44838,
    "lon": -112.07404,
    "precision": "city",
    "uncertainty_m": 20000,
    "phone": None,
    "website": None,
    "routes": ["iv"],
    "settings": ["clinic"],
    "conditions": ["chronic-pain"],
    "accepting": "unknown",
    "wait_days": None,
    "payers": [],
    "languages": [],
    "telehealth": None,
    "verified_at": None,
    "source_name": "Kadelyx, article on ketamine for chronic pain",
}
PROFILE: Final[dict[str, Any]] = {
    **SUMMARY,
    "address": {
        "line1": None,
        "line2": None,
        "city": "Phoenix",
        "state": "US-AZ",
        "postal_code": None,
        "country": "US",
    },
    "location": {
        "lat": 33.44838,
        "lon": -112.07404,
        "source": "gazetteer",
        "precision": "city",
        "uncertainty_m": 20000,
        "flags": [],
    },
    "time_zone": "America/Phoenix",
    "email": None,
    "medical_director": None,
    "offerings": [
        {
            "drug": "ketamine",
            "route": "iv",
            "setting": "clinic",
            "conditions": ["chronic-pain"],
            "coverage": [],
            "protocol": None,
            "price": None,
        }
    ],
    "weekly_capacity": None,
    "age": {"min": None, "max": None},
    "assesses": [],
    "hours": [],
    "rems_certified": None,
    "programmes": [],
    "responsiveness": None,
    "source": {
        "name": "Kadelyx, article on ketamine for chronic pain",
        "url": None,
        "retrieved_on": "2026-11-22",
        "licence": "facts only",
    },
    "unverified": ["street address", "phone"],
    "provenance": {},
    "version": 1,
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z",
}
SEARCH: Final[dict[str, Any]] = {
    "origin": {
        "lat": 33.5,
        "lon": -112.03,
        "label": "85016, Phoenix, AZ",
        "source": "gazetteer",
        "precision": "postal_area",
        "uncertainty_m": 3000,
        "state": "US-AZ",
    },
    "total": 1,
    "next": None,
    "directory_version": 118,
    "facets": {"route": {"iv": 1}},
    "items": [
        {
            "match": "nearby",
            "distance": {"m": 7059.2, "km": 7.059, "mi": 4.39},
            "clinic": SUMMARY,
        }
    ],
    "suggestions": [],
}
PLACES: Final[dict[str, Any]] = {
    "items": [
        {
            "label": "Phoenix, AZ",
            "near": "Phoenix, AZ",
            "lat": 33.44838,
            "lon": -112.07404,
            "precision": "city",
            "uncertainty_m": 20000,
            "country": "US",
            "state": "US-AZ",
            "population": 1608139,
            "timezone": "America/Phoenix",
        }
    ],
    "next": None,
}
_ARIZONA: Final[dict[str, Any]] = {
    "code": "US-AZ",
    "name": "Arizona",
    "country": "US",
    "clinics": 3,
    "at_home": 0,
}
REGIONS: Final[dict[str, Any]] = {"items": [_ARIZONA], "next": None}
REGION: Final[dict[str, Any]] = {
    **_ARIZONA,
    "cities": [{"name": "Phoenix", "clinics": 2, "href": "/v1/clinics?state=US-AZ&q=Phoenix"}],
    "href": "/v1/clinics?state=US-AZ",
    "at_home_href": "/v1/clinics?near=US-AZ&route=at_home",
}
