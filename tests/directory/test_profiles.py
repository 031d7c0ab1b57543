"""Profiles over HTTP: POST, PUT, PATCH and DELETE."""

from __future__ import annotations

from typing import Any

import pytest

from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service


async def test_the_contracts_profile_is_created_and_read_by_anybody(service: Service) -> None:
    answer = await service.call("POST", "/v1/clinics", FULL)
    assert answer.status_code == 201, answer.text
    profile = answer.json()
    assert answer.headers["Location"] == f"/v1/clinics/{profile['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Directory-Version"] == "1"
    read = await service.call("GET", answer.headers["Location"], key="")
    assert read.status_code == 200
    assert read.content == answer.content
    assert read.headers["ETag"] == '"1"'
    by_slug = await service.call("GET", f"/v1/clinics/{profile['slug']}", key="")
    assert by_slug.content == answer.content
    assert profile["slug"] == "example-pain-clinic-phoenix-az"
    assert profile["time_zone"] == "America/Phoenix"
    assert profile["location"] == {
        "lat": 33.51,
        "lon": -112.03,
        "source": "given",
        "precision": "exact",
        "uncertainty_m": None,
        "flags": [],
    }
    for name, value in FULL.items():
        if name != "location":
            assert profile[name] == value, name
