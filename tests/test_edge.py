"""The outermost layer on the real server: framing, headers, HEAD, logs, metrics, health."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.logs import Seldom
from api.metrics import Requests, make_registry
from api.settings import Settings
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from tests.conftest import FAST, run_apart
from tests.serving import CANARY, NO_DATABASE, Served, serving

Client = httpx.AsyncClient


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return framed + b"0\r\n\r\n"


JSON = "Content-Type: application/json"


def test_a_body_in_chunks_is_put_together(edge_server: Served) -> None:
    body = chunked(b'{"na', b'me": ', b'"x"}')
    answer = edge_server.raw(
        request("POST", "/probe/things", JSON, "Transfer-Encoding: chunked", body=body)
    )
    status, _, _ = parsed(answer)
    assert status == 201


@pytest.mark.parametrize("whole", [True, False])
def test_chunks_beyond_the_limit_are_refused_before_the_end(
    edge_server: Served, whole: bool
) -> None:
    body = chunked(*[b" " * 1000] * 8)
    # Without the last chunks the answer must come all the same.
    sent = body if whole else body[: len(body) - 2000]
    status, headers, document = parsed(
        edge_server.raw(
            request("POST", "/probe/things", JSON, "Transfer-Encoding: chunked", body=sent)
        )
    )
    assert (status, headers["content-type"]) == (413, "application/problem+json")
    assert json.loads(document)["type"] == "/problems/body-too-large"


def test_an_announced_length_beyond_the_limit_is_refused_unread(edge_server: Served) -> None:
    status, headers, _ = parsed(
        edge_server.raw(request("POST", "/probe/things", JSON, "Content-Length: 10000000000"))
    )
    assert (status, headers["connection"]) == (413, "close")


def test_an_answer_before_the_body_says_that_the_connection_ends(edge_server: Served) -> None:
    """The head alone is sent, as proxies do; the answer does not wait for the body."""
    head = "POST /probe/things HTTP/1.1\r\nHost: localhost\r\n"
    early = f"{head}Content-Type: text/plain\r\nContent-Length: 20\r\n\r\n".encode()
    status, headers, _ = parsed(edge_server.raw(early))
    assert (status, headers.get("connection")) == (415, "close")


def test_an_answer_after_the_body_keeps_the_connection(edge_server: Served) -> None:
    body = b'{"name": 1}'
    head = f"POST /probe/things HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\n"
    refused = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    last = request("GET", "/health/live")
    answers = edge_server.raw(refused + last)
    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/probe/a%ffb", 404),
        ("GET", "/probe/a%00b", 404),
        ("GET", "/probe/a%zz", 404),
        ("GET", "/probe/%c0%ae%c0%ae", 404),
        ("GET", "/probe/%0d%0aX-Injected:%20a", 404),
        ("GET", "/probe/things?q=%ff", 400),
        ("GET", "/probe/things?q=%00", 400),
        ("GET", "/probe/things?q=%0d%0aX-Injected:%20a", 400),
        ("GET", "/health/live?q=%0d%0aX-Injected:%20a", 400),
        ("OPTIONS", "*", 404),
        ("FETCH", "/probe/things", 405),
        ("PUT", "/probe/things", 405),
        ("HEAD", "/nowhere", 404),
    ],
)
def test_unreadable_requests(edge_server: Served, method: str, target: str, status: int) -> None:
    found, headers, body = parsed(edge_server.raw(request(method, target)))
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert "x-injected" not in headers
    assert method == "HEAD" or json.loads(body)["request_id"] == headers["x-request-id"]


def test_the_server_refuses_what_is_not_http(edge_server: Served) -> None:
    status, _, _ = parsed(edge_server.raw(b"GET /probe/a\x00b HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert status == 400


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("7f3a-abc_DEF.1", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("-a", False),
        ("a b", False),
        ("<script>", False),
        ("\xe9", False),
    ],
)
def test_a_well_formed_request_id_is_kept(edge_server: Served, sent: str, kept: bool) -> None:
    answer = edge_server.raw(request("GET", "/health/live", f"X-Request-Id: {sent}"))
    assert (parsed(answer)[1]["x-request-id"] == sent) is kept


def test_request_ids_are_not_given_twice(edge_server: Served) -> None:
    ids = [httpx.get(f"{edge_server.url}/health/live").headers["x-request-id"] for _ in range(5)]
    assert len(set(ids)) == 5


async def test_every_answer_carries_the_headers_of_safety(edge: Client) -> None:
    for path in ("/health/live", "/nowhere", "/probe/crash", "/docs", "/probe/page"):
        headers = (await edge.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers.get_list("content-security-policy")[1:] == []
    page = await edge.get("/probe/page")
    assert page.headers["content-security-policy"] == "default-src 'self'"


def test_head_is_get_without_the_body(edge_server: Served) -> None:
    for path in ("/health/live", "/openapi.json", "/docs", "/nowhere", "/probe/things?limit=x"):
        _, got, body = parsed(edge_server.raw(request("GET", path, "X-Request-Id: same")))
        _, head, nothing = parsed(edge_server.raw(request("HEAD", path, "X-Request-Id: same")))
        assert nothing == b""
        assert body
        passing = {"date": "", "ratelimit": ""}
        assert {**head, **passing} == {**got, **passing}


def test_head_of_an_endless_stream_ends(edge_server: Served) -> None:
    status, _, body = parsed(edge_server.raw(request("HEAD", "/probe/endless")))
    assert (status, body) == (200, b"")


def test_a_stream_that_fails_is_cut_off_and_not_passed_off_as_whole(edge_server: Served) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{edge_server.url}/probe/broken")


async def test_options_names_the_methods_and_nothing_else(edge: Client) -> None:
    answer = await edge.options("/probe/things")
    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_nothing_that_was_sent_is_logged(edge_server: Served) -> None:
    """A canary in every part of a request, on routes that fail in every way."""
    for path in ("crash", "away", "refused", "things", "broken", "nowhere", CANARY):
        for method in ("GET", "POST", "HEAD", CANARY.upper()):
            target = f"/probe/{path}?q={CANARY}&{CANARY}={CANARY}"
            for where in (target, target.partition("?")[0]):
                edge_server.raw(
                    request(
                        method,
                        where,
                        JSON,
                        f"X-Custom: {CANARY}",
                        f"Authorization: Bearer {CANARY}",
                        f"Content-Length: {len(CANARY) + 12}",
                        body=b'{"name": "%s"}' % CANARY.encode(),
                    )
                )
    log = edge_server.log()
    assert "/probe/crash" in log
    assert CANARY not in log.lower()
    metrics = httpx.get(f"{edge_server.url}/metrics").text
    assert 'method="other"' in metrics
    assert CANARY not in metrics.lower()


def test_a_fault_is_logged_under_the_id_that_the_caller_got(edge_server: Served) -> None:
    answer = httpx.get(f"{edge_server.url}/probe/crash", headers={"X-Request-Id": "find-me"})
    assert answer.json()["request_id"] == "find-me"
    lines = [json.loads(line) for line in edge_server.log().splitlines() if "find-me" in line]
    failed = next(line for line in lines if line["event"] == "request failed")
    assert failed["error"] == "RuntimeError"
    assert failed["route"] == "/probe/crash"
    assert any("serving.py" in place for place in failed["at"])


def test_an_outage_is_one_line_a_second_however_many_ask() -> None:
    with serving(Settings(database_url=NO_DATABASE)) as served, httpx.Client() as client:
        began = time.monotonic()
        for _ in range(200):
            assert client.get(f"{served.url}/probe/away").status_code == 503
        served.logged("not available")
        most = int(time.monotonic() - began) + 1
        lines = [line for line in served.log().splitlines() if "/probe/away" in line]
    said = [json.loads(line) for line in lines]
    assert 1 <= len(said) <= most
    for each in said:
        assert (each["event"], each["status"]) == ("not available", 503)
        assert each["error"] == "db.errors.DatabaseUnavailable"
        assert "at" not in each
    assert len(said) + sum(each["not_shown"] for each in said) <= 200


def test_what_was_held_back_is_counted() -> None:
    seldom = Seldom()
    assert [seldom.due(now) for now in (5.0, 5.1, 5.9, 6.0, 6.5, 9.0, 10.0)] == [
        *(0, None, None, 2, None, 1, 0)
    ]


def test_success_is_logged_only_when_asked_for(edge_server: Served) -> None:
    httpx.get(f"{edge_server.url}/health/live", headers={"X-Request-Id": "quiet-one"})
    assert "quiet-one" not in edge_server.log()
    with serving(Settings(database_url=NO_DATABASE, access_log=True)) as served:
        httpx.get(f"{served.url}/probe/things?q={CANARY[:6]}", headers={"X-Request-Id": "told"})
        line = json.loads(served.logged('"told"'))
    assert (line["route"], line["status"], line["method"]) == ("/probe/things", 200, "GET")
    assert line["ms"] >= 0
    assert CANARY[:6] not in json.dumps(line)


def sample(metrics: str, name: str, **labels: str) -> float:
    for line in metrics.splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
            return float(found[2])
    raise AssertionError(f"{name} {labels} is not in\n{metrics}")


async def test_requests_are_counted_by_route_template(edge: Client) -> None:
    for number in (1, 2, 3):
        await edge.get(f"/probe/things/{number}")
    await edge.get("/no/such/route")
    metrics = (await edge.get("/metrics")).text
    count = "clinicway_request_duration_seconds_count"
    template = "/probe/things/{number}"
    assert sample(metrics, count, route=template, method="GET", status="200") == 3
    assert sample(metrics, count, route="(no route)", method="GET", status="404") == 1
    assert sample(metrics, "clinicway_requests_in_flight") == 1
    assert sample(metrics, "clinicway_database_up") == 0


def test_durations_fall_into_their_buckets() -> None:
    requests = Requests()
    for seconds in (0.0004, 0.0005, 0.0006, 99.0):
        requests.observe("/r", "GET", 200, seconds)
    registry = make_registry(requests)
    labels = {"route": "/r", "method": "GET", "status": "200"}

    def bucket(bound: str) -> float | None:
        name = "clinicway_request_duration_seconds_bucket"
        return registry.get_sample_value(name, {**labels, "le": bound})

    assert [bucket(bound) for bound in ("0.0005", "0.001", "10.0", "+Inf")] == [2, 3, 3, 4]
    total = registry.get_sample_value("clinicway_request_duration_seconds_sum", labels)
    assert total == pytest.approx(99.0015)


async def test_without_a_database_the_service_lives_and_says_so(edge: Client) -> None:
    assert (await edge.get("/health/live")).json() == {"status": "live"}
    ready = await edge.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["status"] == "starting"
    assert ready.headers["retry-after"] == "1"
    search = await edge.get("/v1/clinics?near=85016")
    assert (search.status_code, search.headers["retry-after"]) == (503, "1")


async def test_with_its_directory_loaded_the_service_is_ready(service: Client) -> None:
    ready = await service.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "index": {"loaded": True, "version": 0, "clinics": 0},
        "database": {"reachable": True},
    }
    metrics = (await service.get("/metrics")).text
    assert sample(metrics, "clinicway_index_version") == 0
    assert sample(metrics, "clinicway_database_up") == 1


async def status_of(url: str) -> str:
    async with httpx.AsyncClient() as client:
        return str((await client.get(f"{url}/health/ready")).json()["status"])


async def until(url: str, wanted: str) -> None:
    deadline = time.monotonic() + 20
    while await status_of(url) != wanted:
        assert time.monotonic() < deadline, await status_of(url)
        await asyncio.sleep(0.1)


async def test_the_database_comes_goes_and_comes_back(open_folder: Path) -> None:
    """Started before its database is there; ready, degraded and ready again by itself."""

    def database() -> EmbeddedPostgres:
        return EmbeddedPostgres(open_folder, supervise=False, settings=FAST)

    with database() as dsn:
        run_apart(migrate(dsn))
    with serving(Settings(database_url=dsn)) as served:
        assert await status_of(served.url) == "starting"
        with database():
            await until(served.url, "ready")
        await until(served.url, "degraded")
        async with httpx.AsyncClient(base_url=served.url) as client:
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/v1/clinics?near=85016")).status_code == 200
        with database():
            await until(served.url, "ready")


def test_sigterm_ends_it_with_its_work_done(dsn: str) -> None:
    with serving(Settings(database_url=dsn)) as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=30) == 0
        assert "Traceback" not in served.log()


async def test_many_at_once_each_get_their_own_id(edge: Client) -> None:
    async def one(number: int) -> Any:
        name = f"caller-{number}"
        answer = await edge.get("/nowhere", headers={"X-Request-Id": name})
        return answer.json()["request_id"] == answer.headers["x-request-id"] == name

    assert all(await asyncio.gather(*(one(number) for number in range(50))))
