"""Questions to the search that have no answer."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from tests.hostile.operations import CANARY, Json, parameters_in, problem_of


def refused(client: httpx.Client, query: str, *statuses: int) -> Json:
    return problem_of(client.get(f"/v1/clinics?{query}"), *(statuses or (400,)))


@pytest.mark.parametrize("near", ["00000", "99999", "ZZ99 9ZZ", "00000-0000", "Nowhereville, AZ"])
def test_a_place_that_is_not_known(anybody: httpx.Client, near: str) -> None:
    found = refused(anybody, f"near={quote(near)}", 404)
    assert found["type"] == "/problems/unknown-place"
    assert parameters_in(found) == ["near"]


def test_a_place_in_several_states(anybody: httpx.Client) -> None:
    found = refused(anybody, "near=Springfield")
    assert found["type"] == "/problems/ambiguous-place"
    candidates: list[Json] = found["candidates"]
    assert len({each["state"] for each in candidates}) > 3
    for each in candidates:
        answer = anybody.get("/v1/clinics", params={"near": each["near"]})
        assert answer.status_code == 200, each
        assert answer.json()["origin"]["state"] == each["state"]


@pytest.mark.parametrize("near", ["-112.07,33.45", "-0.12,51.5", "-73.9, 40.7"])
def test_latitude_and_longitude_the_other_way_round(anybody: httpx.Client, near: str) -> None:
    found = refused(anybody, f"near={quote(near)}")
    assert found["type"] == "/problems/coordinates-swapped"
    assert parameters_in(found) == ["near"]


@pytest.mark.parametrize(
    "near",
    [
        "", "%20", "%00", "85016%00", "%F0%9F%98%80", "%F0%9F%98%80%F0%9F%98%80", "%ff",
        "%ed%a0%80",
        "nan,nan", "inf,0", "1e999999,0", "91,0", "0,181", "-90.0001,0", "90,180.0001", "33.45,",
        ",", ",,", "33.45,-112.07,5", "33,45;-112,07", "0x21,0", CANARY, CANARY * 500,
        f"{CANARY}%0d%0aX-Injected:%20a", "%C2%A0", "%E2%80%8B", "..%2f..%2fetc%2fpasswd", "*",
        "%25",
        "%27;--", "0", "-1", "1" * 5000, "%EF%BC%98%EF%BC%95%EF%BC%90%EF%BC%91%EF%BC%96",
    ],
)  # fmt: skip
def test_what_names_no_place(anybody: httpx.Client, near: str) -> None:
    answer = anybody.get(f"/v1/clinics?near={near}")
    assert "x-injected" not in answer.headers
    if answer.status_code == 200:
        # Digits of another script are the digits that they are.
        assert near.startswith("%EF%BC%98")
        assert answer.json()["origin"]["label"].startswith("85016")
    else:
        assert parameters_in(problem_of(answer, 400, 404))[0] in ("near", "(query string)")


@pytest.mark.parametrize(
    "radius",
    [
        "0", "0mi", "0km", "0.000mi", "-5mi", "1e9km", "999999km", "19001km", "11807mi", "nan",
        "nanmi", "infkm", "1e999999mi", "5", "mi", "5m", "5MI", "+5mi", "%2B5mi", "5,5mi",
        "5.mi", ".5mi", "0.0001mi", "ANY", "any%20", "", "9" * 400 + "mi", CANARY, "%F0%9F%98%80",
        "%D9%A5mi", "5mi%0a", "5mi%0d%0a",
    ],
)  # fmt: skip
def test_a_radius_that_is_none(anybody: httpx.Client, radius: str) -> None:
    assert parameters_in(refused(anybody, f"near=85016&radius={radius}")) == ["radius"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("radius=5mi", "radius"),
        ("sort=distance", "sort"),
        ("sort=relevance", "sort"),
        ("sort=canary", "sort"),
        ("condition=canary", "condition"),
        ("condition=crps,,iv", "condition"),
        ("condition=,", "condition"),
        ("route=canary", "route"),
        ("route=iv,canary", "route"),
        ("setting=at%20home", "setting"),
        ("state=AZ", "state"),
        ("state=US-AZZ", "state"),
        ("payer=canary", "payer"),
        ("language=e", "language"),
        ("language=%F0%9F%98%80", "language"),
        ("accepting=maybe", "accepting"),
        ("max_wait_days=-1", "max_wait_days"),
        ("max_wait_days=3651", "max_wait_days"),
        ("max_wait_days=nan", "max_wait_days"),
        ("open_at=2026-11-22T09:00:00", "open_at"),
        ("open_at=0001-01-01T00:00:00%2B14:00", "open_at"),
        ("open_at=9999-12-31T23:59:59-14:00", "open_at"),
        ("open_at=tomorrow", "open_at"),
        ("open_at=1763800000", "open_at"),
        ("open_at=2026-02-30T09:00:00Z", "open_at"),
        ("verified_since=2026-13-01", "verified_since"),
        ("verified_since=0001-01-01T00:00:00%2B14:00", "verified_since"),
        ("verified_since=2026-11-22T09:00", "verified_since"),
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,nan", "bbox"),
        ("bbox=0,91,1,92", "bbox"),
        ("bbox=0,10,1,5", "bbox"),
        ("bbox=-181,0,1,5", "bbox"),
        ("bbox=1e999999,0,1,5", "bbox"),
        ("q=%20", "q"),
        ("q=...", "q"),
        ("q=" + "+".join("abcdefghijklm"), "q"),
        ("director=--", "director"),
        ("organization=%F0%9F%98%80", "organization"),
        ("facets=canary", "facets"),
        ("facets=route,", "facets"),
        ("limit=101", "limit"),
        ("&".join(f"condition={code}" for code in ["crps"] * 70), "condition"),
    ],
)  # fmt: skip
def test_filters_that_are_none(anybody: httpx.Client, query: str, parameter: str) -> None:
    assert parameter in parameters_in(refused(anybody, query))


def test_everything_that_is_wrong_is_named_at_once(anybody: httpx.Client) -> None:
    found = refused(anybody, "near=85016&radius=0mi&condition=canary&bbox=1&open_at=canary")
    assert set(parameters_in(found)) == {"radius", "condition", "bbox", "open_at"}


def test_cursors_of_another_search(anybody: httpx.Client) -> None:
    query = "near=85016&radius=any&limit=2"
    cursor = anybody.get(f"/v1/clinics?{query}").json()["next"]
    assert anybody.get(f"/v1/clinics?{query}&cursor={cursor}").status_code == 200
    for other in (
        "near=85017&radius=any",
        "near=85016&radius=500mi",
        "near=85016&radius=any&route=iv",
        "near=85016&radius=any&sort=name",
        "limit=2",
        "q=ketamine",
    ):
        assert parameters_in(refused(anybody, f"{other}&cursor={cursor}")) == ["cursor"]


def test_every_letter_of_a_cursor_counts(anybody: httpx.Client) -> None:
    query = "near=85016&radius=any&limit=2"
    cursor = str(anybody.get(f"/v1/clinics?{query}").json()["next"])
    for at in range(len(cursor)):
        changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        answer = anybody.get(f"/v1/clinics?{query}&cursor={changed}")
        assert parameters_in(problem_of(answer, 400)) == ["cursor"], at
    for changed in (cursor + "=", cursor + "==", cursor[:20], "=", "%F0%9F%98%80", cursor + "%0a"):
        assert parameters_in(refused(anybody, f"{query}&cursor={changed}")) == ["cursor"]


@pytest.mark.parametrize(
    "query", ["", "q=%00", "q=%F0%9F%98%80", f"q={CANARY * 50}", "q=a&limit=0"]
)
def test_places_that_cannot_be_completed(anybody: httpx.Client, query: str) -> None:
    answer = anybody.get(f"/v1/places?{query}")
    if answer.status_code != 200:
        problem_of(answer, 400)
    else:
        assert answer.json()["items"] == []
