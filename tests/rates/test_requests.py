"""The limits as a caller meets them, on the whole application with time in the test's hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from api.auth import Authenticator
from tests.conftest import execute
from tests.keys.conftest import House, bearer
from tests.rates.conftest import caller_from, parsed, standing
from tests.serving import NO_DATABASE, running

ANYTHING = "/v1/conditions"
KEYED = "/v1/keys"
HERE, ELSEWHERE = "203.0.113.9", "198.51.100.7"
UNKNOWN = bearer(f"cw_live_{'0' * 32}_{'a' * 32}")


@pytest.fixture
async def app(house: House) -> AsyncIterator[Litestar]:
    app = house.app()
    async with running(app):
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with caller_from(app, HERE) as client:
        yield client


async def statuses(
    client: httpx.AsyncClient, times: int, path: str = ANYTHING, **headers: str
) -> list[int]:
    return [(await client.get(path, headers=headers)).status_code for _ in range(times)]


async def test_every_answer_says_what_is_left(client: httpx.AsyncClient, house: House) -> None:
    house.clock.pass_time(18)
    first = await client.get(ANYTHING)
    assert first.headers["ratelimit-policy"] == '"address";q=3;w=60'
    assert first.headers["ratelimit"] == '"address";r=2;t=42'
    assert parsed(first.headers["ratelimit"]) == {"address": {"r": 2, "t": 42}}
    house.clock.pass_time(10.5)
    missing = await client.get("/nowhere")
    assert (missing.status_code, standing(missing)) == (404, ("address", 1, 32))
    unreadable = await client.get("/a%00b")
    assert (unreadable.status_code, standing(unreadable)) == (404, ("address", 0, 32))


async def test_too_many_get_a_problem_and_a_time(client: httpx.AsyncClient, house: House) -> None:
    assert await statuses(client, 3) == [200] * 3
    house.clock.pass_time(20.2)
    refused = await client.get(f"{ANYTHING}?q=canary")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "40"
    assert standing(refused) == ("address", 0, 40)
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["x-content-type-options"] == "nosniff"
    document = refused.json()
    assert document["type"] == "/problems/too-many-requests"
    assert document["request_id"] == refused.headers["x-request-id"]
    assert "canary" not in refused.text
    assert HERE not in refused.text
    house.clock.pass_time(39.9)
    assert await statuses(client, 1) == [200]


async def test_after_the_time_that_was_said_it_is_answered(
    client: httpx.AsyncClient, house: House
) -> None:
    house.clock.pass_time(33.3)
    await statuses(client, 3)
    refused = await client.get(ANYTHING)
    house.clock.pass_time(float(refused.headers["retry-after"]))
    assert standing(await client.get(ANYTHING))[1] == 2


async def test_methods_and_bodies_make_no_difference(client: httpx.AsyncClient) -> None:
    for method in ("HEAD", "OPTIONS", "POST"):
        answer = await client.request(method, ANYTHING)
        assert standing(answer)[0] == "address"
    refused = await client.head(ANYTHING)
    assert (refused.status_code, refused.content) == (429, b"")
    assert int(refused.headers["content-length"]) > 0


async def test_a_refusal_reads_no_body(app: Litestar, client: httpx.AsyncClient) -> None:
    await statuses(client, 3)
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/clinics",
        "query_string": b"",
        "headers": [(b"content-length", b"1000000"), (b"content-type", b"application/json")],
        "state": {},
        "client": (HERE, 1),
    }
    await app(cast("Any", scope), receive, send)
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 429
    # The server would have to skip the body to keep the connection.
    assert headers[b"connection"] == b"close"
    assert json.loads(sent[1]["body"])["status"] == 429


async def test_what_watches_over_the_service_is_not_counted(client: httpx.AsyncClient) -> None:
    await statuses(client, 4)
    for path in ("/health/live", "/health/ready", "/metrics"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    refused = [
        line
        for line in (await client.get("/metrics")).text.splitlines()
        if line.startswith("clinicway_requests_refused_total")
    ]
    assert refused == [
        'clinicway_requests_refused_total{limit="key"} 0.0',
        'clinicway_requests_refused_total{limit="address"} 1.0',
        'clinicway_requests_refused_total{limit="failures"} 0.0',
    ]


async def test_addresses_are_counted_apart_and_ipv6_by_network(app: Litestar) -> None:
    async with (
        caller_from(app, "2001:db8:0:7::1") as one,
        caller_from(app, "2001:db8:0:7:ffff::2") as same_network,
        caller_from(app, "2001:db8:0:8::1") as other,
        caller_from(app, "::ffff:203.0.113.9") as mapped,
        caller_from(app, HERE) as plain,
    ):
        assert await statuses(one, 2) == [200] * 2
        assert await statuses(same_network, 2) == [200, 429]
        assert await statuses(one, 1) == [429]
        assert await statuses(other, 3) == [200] * 3
        assert await statuses(mapped, 2) == [200] * 2
        assert await statuses(plain, 2) == [200, 429]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_a_spoofed_header_lifts_nothing(app: Litestar, header: str) -> None:
    async with caller_from(app, HERE) as client:
        found = [
            (
                await client.get(
                    ANYTHING,
                    headers={header: f"{'for=' if header == 'Forwarded' else ''}10.0.0.{number}"},
                )
            ).status_code
            for number in range(6)
        ]
    assert found == [200] * 3 + [429] * 3


async def test_behind_a_trusted_proxy_each_client_counts(house: House) -> None:
    from api.rates.proxies import Networks

    app = house.with_settings(trusted_proxies=Networks("10.0.0.0/8")).app()
    async with running(app), caller_from(app, "10.0.0.1") as proxy:
        one = {"X-Forwarded-For": HERE}
        assert await statuses(proxy, 4, **one) == [200] * 3 + [429]
        assert await statuses(proxy, 1, **{"X-Forwarded-For": ELSEWHERE}) == [200]
        # What the client itself put in front of the proxy's word.
        spoofed = {"X-Forwarded-For": f"{ELSEWHERE}, {HERE}"}
        assert await statuses(proxy, 1, **spoofed) == [429]
        assert await statuses(proxy, 1, Forwarded=f"for={HERE}") == [429]
    async with running(app), caller_from(app, ELSEWHERE) as untrusted:
        assert await statuses(untrusted, 2, **one) == [200] * 2


async def test_a_good_key_counts_for_itself(
    app: Litestar, client: httpx.AsyncClient, house: House
) -> None:
    key = bearer(await house.key("admin"))
    first = await client.get(KEYED, headers=key)
    assert (first.status_code, standing(first)) == (200, ("key", 4, 60))
    # Nothing of it was counted against the address.
    assert standing(await client.get(ANYTHING)) == ("address", 2, 60)
    async with caller_from(app, ELSEWHERE) as elsewhere:
        assert standing(await elsewhere.get(KEYED, headers=key)) == ("key", 3, 60)
    # From now on it is known here, also where no key is asked for.
    assert standing(await client.get(ANYTHING, headers=key)) == ("key", 2, 60)
    assert await statuses(client, 4, KEYED, **key) == [200, 200, 429, 429]
    refused = await client.get(KEYED, headers=key)
    assert (refused.status_code, standing(refused)) == (429, ("key", 0, 60))
    assert refused.json()["type"] == "/problems/too-many-requests"
    assert standing(await client.get(ANYTHING)) == ("address", 1, 60)


async def test_keys_of_one_principal_share_a_limit(client: httpx.AsyncClient, house: House) -> None:
    old = bearer(await house.key("admin"))
    made = await client.get(KEYED, headers=old)
    key_id = made.json()["items"][0]["id"]
    rotated = await client.post(f"{KEYED}/{key_id}/rotate", headers=old)
    assert rotated.status_code in {200, 201}, rotated.text
    new = bearer(rotated.json()["key"])
    assert standing(await client.get(KEYED, headers=new)) == ("key", 2, 60)
    assert standing(await client.get(KEYED, headers=old)) == ("key", 1, 60)


async def test_a_good_key_passes_where_its_address_is_refused(
    client: httpx.AsyncClient, house: House
) -> None:
    """Also one that this process has never seen, unless its neighbours try keys out."""
    first, second = bearer(await house.key("admin")), bearer(await house.key("admin"))
    assert await statuses(client, 4) == [200] * 3 + [429]
    assert await statuses(client, 2, KEYED, **first) == [200] * 2
    assert await statuses(client, 3, KEYED, **UNKNOWN) == [429] * 3
    assert await statuses(client, 1, KEYED, **second) == [429]
    house.clock.pass_time(30)
    # Its look-up is too old to let it in, and new enough to tell it from those.
    assert await statuses(client, 4, KEYED, **first) == [200] * 3 + [429]


async def test_a_bad_key_counts_as_a_failure(client: httpx.AsyncClient, house: House) -> None:
    good = bearer(await house.key("admin"))
    assert await statuses(client, 1, KEYED, **good) == [200]
    answers = [await client.get(KEYED, headers=UNKNOWN) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert [standing(answer) for answer in answers] == [
        *(("failures", 1, 60), ("failures", 0, 60), ("failures", 0, 60))
    ]
    assert answers[2].headers["retry-after"] == "60"
    assert "www-authenticate" in answers[0].headers
    # They were requests of this address as well.
    assert await statuses(client, 1) == [429]
    assert await statuses(client, 1, KEYED, **good) == [200]


async def test_no_key_is_no_bad_key(client: httpx.AsyncClient) -> None:
    assert await statuses(client, 3, KEYED) == [401] * 3
    assert (await client.get(KEYED)).status_code == 429


async def test_made_up_keys_do_not_help_where_none_is_needed(client: httpx.AsyncClient) -> None:
    """Each with an id of its own, and some that are no keys at all."""
    found = [
        (
            await client.get(ANYTHING, headers=bearer(f"cw_live_{number:032x}_{'a' * 32}"))
        ).status_code
        for number in range(6)
    ]
    assert found == [200] * 3 + [429] * 3
    assert await statuses(client, 2, Authorization="Basic YTpi") == [429] * 2


async def test_a_revoked_key_falls_back_to_its_address(
    client: httpx.AsyncClient, house: House, dsn: str
) -> None:
    key = bearer(await house.key("admin"))
    assert await statuses(client, 2, KEYED, **key) == [200] * 2
    await execute(dsn, "update api_key set revoked_at = created_at")
    house.clock.pass_time(25)
    answer = await client.get(KEYED, headers=key)
    assert (answer.status_code, standing(answer)[0]) == (401, "failures")
    assert standing(await client.get(ANYTHING, headers=key)) == ("address", 1, 35)


async def test_who_was_recognized_long_ago_is_looked_up_anew(
    app: Litestar, client: httpx.AsyncClient, house: House
) -> None:
    key = bearer(await house.key("admin"))
    await client.get(KEYED, headers=key)
    authenticator: Authenticator = app.state.authenticator
    assert authenticator.recognized(key["Authorization"]) is not None
    assert authenticator.recognized(UNKNOWN["Authorization"]) is None
    assert authenticator.recognized(key["Authorization"][:-1] + "=") is None
    house.clock.pass_time(timedelta(minutes=10).total_seconds())
    assert authenticator.recognized(key["Authorization"]) is None


async def test_limits_that_are_off_count_nothing(house: House) -> None:
    app = house.with_settings(rate_key=0, rate_address=0, rate_failures=0).app()
    async with running(app), caller_from(app, HERE) as client:
        key = bearer(await house.key("admin"))
        for headers in ({}, UNKNOWN, key):
            answers = [await client.get(KEYED, headers=headers) for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200 if headers is key else 401}
            assert all("ratelimit" not in answer.headers for answer in answers)


async def test_two_processes_share_their_limits(house: House) -> None:
    one, other = house.app(), house.app()
    async with (
        running(one),
        running(other),
        caller_from(one, HERE) as here,
        caller_from(other, HERE) as there,
    ):
        assert await statuses(here, 2) == [200] * 2
        await one.state.sharing.exchange()
        assert await statuses(there, 1) == [200]
        await other.state.sharing.exchange()
        assert await statuses(there, 1) == [429]


async def test_without_a_database_the_limits_hold(house: House) -> None:
    app = house.with_settings(database_url=NO_DATABASE).app()
    async with running(app), caller_from(app, HERE) as client:
        assert await statuses(client, 4, "/problems") == [200] * 3 + [429]
        assert await statuses(client, 1, KEYED, **UNKNOWN) == [429]
    async with running(app), caller_from(app, ELSEWHERE) as client:
        # Nobody is told that a key is bad because it cannot be looked up.
        assert await statuses(client, 3, KEYED, **UNKNOWN) == [503] * 3
        assert (await client.get(KEYED, headers=UNKNOWN)).status_code == 429


async def test_peers_without_an_address_share_one_count(app: Litestar) -> None:
    """As behind a Unix socket, where no proxy can be trusted by its address."""
    async with caller_from(app, None) as client:
        assert await statuses(client, 4, **{"X-Forwarded-For": HERE}) == [200] * 3 + [429]
