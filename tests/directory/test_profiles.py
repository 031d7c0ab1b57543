"""Profiles over HTTP: created, replaced, amended and deleted, by whom and at which version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service

NOBODY = "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"


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
    # The summary comes first: the index cuts it out by this.
    assert list(profile).index("address") == list(profile).index("source_name") + 1


async def test_a_point_is_found_when_none_is_given(service: Service) -> None:
    profile = await service.created(SMALL)
    assert profile["location"]["source"] == "gazetteer"
    assert profile["location"]["precision"] == "postal_area"
    assert profile["location"]["uncertainty_m"] > 0
    assert profile["time_zone"] == "America/Phoenix"
    unknown = body(SMALL, address={"city": "Qqxyzzy", "state": "US-AZ", "country": "US"})
    assert (await service.created(unknown))["location"] is None


async def test_replacing_clears_what_is_left_out(service: Service) -> None:
    before = await service.created(FULL)
    path = f"/v1/clinics/{before['id']}"
    answer = await service.call("PUT", path, body(SMALL, name="Renamed"), match='"1"')
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert answer.headers["ETag"] == '"2"'
    assert answer.headers["Directory-Version"] == "2"
    assert after["name"] == "Renamed"
    assert after["slug"] == before["slug"]
    assert after["created_at"] == before["created_at"]
    assert (after["phone"], after["offerings"], after["payers"]) == (None, [], [])
    assert (after["accepting"], after["organization"]) == ("unknown", None)
    assert (await service.call("GET", path, key="")).content == answer.content


async def test_replacing_with_the_same_changes_nothing(service: Service) -> None:
    before = await service.created(SMALL)
    service.clock.pass_time(60)
    answer = await service.call("PUT", f"/v1/clinics/{before['id']}", SMALL, match='"1"')
    assert answer.json() == before
    assert answer.headers["Directory-Version"] == "1"


async def test_the_point_stays_for_as_long_as_the_address_does(service: Service) -> None:
    before = await service.created(FULL)
    path = f"/v1/clinics/{before['id']}"
    without = {name: value for name, value in FULL.items() if name != "location"}
    kept = await service.call("PUT", path, without, match="*")
    assert kept.json()["location"] == before["location"]
    moved = {"address": {"city": "Tucson", "state": "US-AZ", "country": "US"}}
    found = (await service.call("PATCH", path, moved, match="*")).json()["location"]
    assert (found["source"], found["precision"]) == ("gazetteer", "city")
    nowhere = {"address": {"city": "Qqxyzzy", "state": "US-AZ", "country": "US"}}
    dropped = (await service.call("PATCH", path, nowhere, match="*")).json()
    assert (dropped["location"], dropped["lat"], dropped["time_zone"]) == (None, None, None)
    given = {"location": {"lat": 32.22, "lon": -110.97}}
    again = (await service.call("PATCH", path, given, match="*")).json()
    assert again["location"]["source"] == "given"
    assert again["provenance"]["location"]["source"] == "operator"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_found_point_that_is_written_back_stays_a_found_point(
    service: Service, method: str
) -> None:
    before = await service.created(SMALL)
    path = f"/v1/clinics/{before['id']}"
    read = {"lat": before["location"]["lat"], "lon": before["location"]["lon"]}
    sent = {"phone": "+16025550100", "location": read}
    sent = {**SMALL, **sent} if method == "PUT" else sent
    after = (await service.call(method, path, sent, match="*")).json()
    assert after["phone"] == "+16025550100"
    assert after["location"] == before["location"]
    assert after["location"]["precision"] == "postal_area"
    assert "location" not in after["provenance"]
    # With another address, what was read is no longer where the clinic is.
    moved = {**sent, "address": {"city": "Tucson", "state": "US-AZ", "country": "US"}}
    found = (await service.call(method, path, moved, match="*")).json()["location"]
    assert (found["source"], found["precision"]) == ("gazetteer", "city")
    assert found["lat"] != read["lat"]
    # A point that differs at all was given by somebody.
    given = {**sent, "location": {**read, "lat": read["lat"] + 0.0001}}
    exact = (await service.call(method, path, given, match="*")).json()["location"]
    assert (exact["source"], exact["precision"]) == ("given", "exact")


async def test_a_given_location_can_be_taken_back(service: Service) -> None:
    before = await service.created(FULL)
    answer = await service.call(
        "PATCH", f"/v1/clinics/{before['id']}", {"location": None}, match='"1"'
    )
    assert answer.json()["location"]["source"] == "gazetteer"
    assert "location" not in answer.json()["provenance"]


async def test_points_that_contradict_the_address(service: Service) -> None:
    abroad = body(FULL, location={"lat": 48.85, "lon": 2.35})
    refused = await service.call("POST", "/v1/clinics", abroad)
    assert refused.status_code == 400
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/location"]
    far = await service.created(body(FULL, location={"lat": 32.22, "lon": -110.97}))
    assert far["location"]["flags"] == ["far-from-postal-code"]
    elsewhere = await service.created(
        body(SMALL, address={**SMALL["address"], "postal_code": "10001"})
    )
    assert elsewhere["location"]["flags"] == ["postal-code-elsewhere"]
    assert (elsewhere["location"]["precision"], elsewhere["state"]) == ("city", "US-AZ")


async def test_amending_leaves_the_rest_and_null_clears(service: Service) -> None:
    before = await service.created(FULL)
    service.clock.pass_time(60)
    answer = await service.call(
        "PATCH",
        f"/v1/clinics/{before['id']}",
        {"phone": None, "wait_days": 3, "age": None, "languages": ["FR"]},
        match='"1"',
    )
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["phone"], after["wait_days"], after["languages"]) == (None, 3, ["fr"])
    assert after["age"] == {"min": None, "max": None}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "phone", "wait_days", "age", "languages", "provenance", "version", "updated_at",
    }  # fmt: skip


async def test_amending_with_nothing_changes_nothing(service: Service) -> None:
    before = await service.created(FULL)
    answer = await service.call("PATCH", f"/v1/clinics/{before['id']}", {}, match='"1"')
    assert answer.json() == before
    assert answer.headers["Directory-Version"] == "1"


async def test_what_somebody_wrote_stands_on_them(service: Service) -> None:
    before = await service.created(body(FULL, unverified=["phone", "email", "anything else"]))
    path = f"/v1/clinics/{before['id']}"
    assert set(before["provenance"]) == {"accepting", "wait_days", "weekly_capacity"}
    key = await service.key(f"clinic:{before['id']}")
    service.clock.pass_time(3600)
    now = service.clock.now()
    answer = await service.call(
        "PATCH", path, {"phone": "+16025550101", "wait_days": 7}, key=key, match='"1"'
    )
    after = answer.json()
    said = after["provenance"]
    assert said["phone"] == {"source": "clinic", "verified_at": _text(now)}
    # Repeating a claim renews it, though its value stays.
    assert said["wait_days"] == {
        "source": "clinic",
        "verified_at": _text(now),
        "expires_at": _text(now + timedelta(days=30)),
    }
    assert said["accepting"] == before["provenance"]["accepting"]
    assert after["unverified"] == ["email", "anything else"]
    withdrawn = await service.call("PATCH", path, {"wait_days": None}, key=key, match="*")
    assert "wait_days" not in withdrawn.json()["provenance"]


def _text(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_a_clinic_that_replaces_its_profile_has_verified_it(service: Service) -> None:
    before = await service.created(FULL)
    path = f"/v1/clinics/{before['id']}"
    key = await service.key(f"clinic:{before['id']}")
    answer = await service.call("PUT", path, FULL, key=key, match='"1"')
    assert answer.json()["verified_at"] == _text(service.clock.now())
    operator = await service.call("PUT", path, FULL, match="*")
    assert operator.json()["verified_at"] is None


async def test_a_clinic_cannot_change_where_its_record_comes_from(service: Service) -> None:
    before = await service.created(FULL)
    path = f"/v1/clinics/{before['id']}"
    key = await service.key(f"clinic:{before['id']}")
    for method, sent in (
        ("PATCH", {"source": {"name": "Another source"}}),
        ("PUT", body(FULL, source__name="Another source")),
    ):
        answer = await service.call(method, path, sent, key=key, match="*")
        assert answer.status_code == 403
    allowed = await service.call("PATCH", path, {"source": {"name": "Another"}}, match="*")
    assert allowed.json()["source"]["name"] == "Another"


@pytest.mark.parametrize(
    ("method", "suffix", "sent"),
    [
        ("POST", None, SMALL),
        ("PUT", "", SMALL),
        ("PATCH", "", {"phone": None}),
        ("DELETE", "", None),
        ("POST", "/merge", {"into": NOBODY}),
        ("GET", "/history", None),
    ],
)
async def test_who_may_do_what(
    service: Service, method: str, suffix: str | None, sent: object
) -> None:
    profile = await service.created(SMALL)
    own = f"clinic:{profile['id']}"
    path = "/v1/clinics" if suffix is None else f"/v1/clinics/{profile['id']}{suffix}"
    refused = ["referrals:write", f"clinic:{NOBODY}", "admin"]
    if suffix in (None, "/merge"):
        refused.append(own)
    assert (await service.call(method, path, sent, key="", match="*")).status_code == 401
    for scope in refused:
        answer = await service.call(method, path, sent, key=await service.key(scope), match="*")
        assert answer.status_code == 403, scope
        assert answer.json()["type"].endswith("/forbidden")
    # Nothing was written by any of them.
    read = await service.call("GET", f"/v1/clinics/{profile['id']}", key="")
    assert read.headers["Directory-Version"] == "1"
    if own not in refused:
        answer = await service.call(method, path, sent, key=await service.key(own), match="*")
        assert answer.status_code in (200, 204), answer.text


async def test_lists_for_operators_only(service: Service) -> None:
    for path in ("/v1/duplicates", "/v1/stale"):
        assert (await service.call("GET", path, key="")).status_code == 401
        key = await service.key("referrals:write", "admin")
        assert (await service.call("GET", path, key=key)).status_code == 403
        assert (await service.call("GET", path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "sent"), [("PUT", SMALL), ("PATCH", {"phone": None}), ("DELETE", None)]
)
async def test_versions(service: Service, method: str, sent: object) -> None:
    profile = await service.created(SMALL)
    path = f"/v1/clinics/{profile['id']}"
    expected = [
        (None, 428, "version-required"),
        ('"2"', 412, "stale-version"),
        ('W/"1"', 412, "stale-version"),
        ('"x", "2"', 412, "stale-version"),
        ("1", 400, "invalid-parameter"),
        ('"1', 400, "invalid-parameter"),
        ("", 400, "invalid-parameter"),
    ]
    for match, status, slug in expected:
        answer = await service.call(method, path, sent, match=match)
        assert answer.status_code == status, match
        assert answer.json()["type"].endswith("/" + slug)
    assert (await service.call(method, path, sent, match='"7", "1"')).status_code in (200, 204)


@pytest.mark.parametrize("key", [NOBODY, "no-such-slug", "0", "%00"])
async def test_nobody_to_change(service: Service, key: str) -> None:
    for method, sent in (("PUT", SMALL), ("PATCH", {}), ("DELETE", None)):
        answer = await service.call(method, f"/v1/clinics/{key}", sent, match="*")
        assert answer.status_code == 404


async def test_a_deleted_clinic_is_gone_but_for_its_slug_and_history(service: Service) -> None:
    profile = await service.created(SMALL)
    path = f"/v1/clinics/{profile['id']}"
    answer = await service.call("DELETE", path, match='"1"')
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Directory-Version"] == "2"
    for gone in (path, f"/v1/clinics/{profile['slug']}"):
        assert (await service.call("GET", gone, key="")).status_code == 404
    for method, sent in (("PUT", SMALL), ("PATCH", {}), ("DELETE", None)):
        assert (await service.call(method, path, sent, match="*")).status_code == 404
    again = await service.created(SMALL)
    assert again["slug"] == profile["slug"] + "-2"
    history = await service.call("GET", path + "/history")
    assert [each["kind"] for each in history.json()["items"]] == ["delete", "upsert"]


async def test_bad_bodies_are_refused_with_every_fault(service: Service) -> None:
    bad = body(FULL, phone="+1", payers=["barter"], languages=["english"])
    answer = await service.call("POST", "/v1/clinics", bad)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"].endswith("/invalid-body")
    assert [each["pointer"] for each in problem["errors"]] == [
        "/phone", "/payers/0", "/languages/0",
    ]  # fmt: skip
    assert "barter" not in answer.text
    assert "english" not in answer.text


async def test_an_amendment_is_held_to_the_same_checks(service: Service) -> None:
    profile = await service.created(SMALL)
    path = f"/v1/clinics/{profile['id']}"
    answer = await service.call(
        "PATCH", path, {"phone": "+1", "age": {"min": 9, "max": 1}}, match="*"
    )
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/phone", "/age/max"]
    for sent in ({"name": None}, {"offerings": None}, {"source": None}, {"state": "active"}):
        assert (await service.call("PATCH", path, sent, match="*")).status_code == 400


async def test_rules_are_named(service: Service) -> None:
    home = {"drug": "ketamine", "route": "iv", "setting": "at_home", "coverage": ["US-AZ"]}
    answer = await service.call("POST", "/v1/clinics", body(SMALL, offerings=[home]))
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"].endswith("/rule-violation")
    assert problem["rules"] == [
        {
            "rule": "iv-not-at-home",
            "pointer": "/offerings/0/setting",
            "message": problem["errors"][0]["message"],
        }
    ]


async def test_a_rule_is_held_against_the_profile_as_a_whole(service: Service) -> None:
    spray = {"drug": "esketamine", "route": "nasal", "setting": "clinic"}
    profile = await service.created(body(SMALL, offerings=[spray], rems_certified=True))
    answer = await service.call(
        "PATCH", f"/v1/clinics/{profile['id']}", {"rems_certified": False}, match="*"
    )
    assert answer.json()["rules"][0]["rule"] == "esketamine-rems-certified"


async def test_names_may_repeat_and_slugs_may_not(service: Service) -> None:
    slugs = [(await service.created(SMALL))["slug"] for _ in range(3)]
    base = "example-infusions-phoenix-az"
    assert slugs == [base, f"{base}-2", f"{base}-3"]


async def test_two_spellings_of_one_organization(service: Service) -> None:
    first = await service.created(body(SMALL, organization="Example Group"))
    second = await service.created(body(SMALL, organization="EXAMPLE group"))
    assert first["organization"] == second["organization"] == "Example Group"
