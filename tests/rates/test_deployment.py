"""Limits over real server processes, and addresses that nobody finds afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from api.rates.counts import WINDOW_SECONDS
from tests.conftest import execute, run_apart
from tests.faults.deployment import Deployment, ask_sql, create_database, deployment
from tests.services import Service, eventually

ANYTHING = "/v1/conditions"
PROXY = ("--trusted-proxies", "127.0.0.0/8")
CANARIES = ("203.0.113.77", "2001:db8:77:77::77")


@pytest.fixture(scope="module")
def deployed(server: str) -> Iterator[Deployment]:
    dsn = create_database(server, "rates")
    with deployment(dsn) as made:
        yield made
    run_apart(execute(server, "drop database rates with (force)"))


def statuses(service: Service, times: int, address: str, **more: str) -> Counter[int]:
    """That many requests by that client, on connections that are closed now and then, so that
    every process of the service gets some."""
    found: Counter[int] = Counter()
    headers = {"X-Forwarded-For": address, **more}
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    for number in range(times):
        if number % 25 == 24:
            connection.close()
        connection.request("GET", ANYTHING, headers=headers)
        answer = connection.getresponse()
        answer.read()
        found[answer.status] += 1
    connection.close()
    return found


def a_window_with(seconds: float) -> None:
    """Wait until the present window has that many seconds left."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < seconds:
        time.sleep(left + 0.1)


def window() -> int:
    return int(time.time() // WINDOW_SECONDS)


def test_two_services_share_a_limit(deployed: Deployment) -> None:
    flags = (*PROXY, "--rate-address", "100")
    with deployed.serve(*flags) as one, deployed.serve(*flags) as other:
        one.announced()
        other.announced()
        a_window_with(20)
        assert statuses(one, 60, CANARIES[0]) == {200: 60}
        # The news is a quarter of a second on its way; each hears when it has news of its own.
        eventually(lambda: ask_sql(deployed.dsn, "select max(count) from rate_window") == 60)
        assert statuses(other, 1, CANARIES[0]) == {200: 1}
        eventually(lambda: ask_sql(deployed.dsn, "select max(count) from rate_window") == 61)
        time.sleep(0.1)
        assert statuses(other, 100, CANARIES[0]) == {200: 39, 429: 61}
        assert statuses(one, 1, "203.0.113.78") == {200: 1}


def test_processes_under_load_let_in_the_limit_and_little_more(deployed: Deployment) -> None:
    """What is let in beyond the limit is a part of it, and what the other process let in while the
    news was under way. The limit itself is always let in."""
    most, threads = 3000, 4
    flags = (*PROXY, "--workers", "2", "--rate-address", str(most))
    with deployed.serve(*flags) as service:
        service.announced()
        a_window_with(45)
        began_in = window()
        moments: list[float] = []
        over = threading.Event()

        def hammer() -> Counter[int]:
            found: Counter[int] = Counter()
            refused_in_a_row = 0
            while refused_in_a_row < 500 and not over.is_set():
                batch = statuses(service, 50, CANARIES[1])
                moments.extend([time.monotonic()] * batch[200])
                found += batch
                refused_in_a_row = 0 if batch[200] else refused_in_a_row + 50
                if window() != began_in:
                    over.set()
            return found

        with ThreadPoolExecutor(threads) as pool:
            total = sum(
                (each.result() for each in [pool.submit(hammer) for _ in range(threads)]),
                Counter[int](),
            )
        assert not over.is_set(), "the machine was too busy to send so many within a window"
        busiest = max(
            sum(1 for moment in moments if start <= moment < start + 2.0) for start in moments[::50]
        )
        assert most <= total[200] <= most + most // 30 + busiest // 4
        assert total[429] >= 500
        again = service.get(ANYTHING)
        assert again.status_code == 200


def test_no_address_is_found_anywhere(deployed: Deployment) -> None:
    flags = (*PROXY, "--rate-address", "5", "--rate-failures", "2", "--access-log", "true")
    with deployed.serve(*flags, "--log-format", "json", "--log-level", "debug") as service:
        service.announced()
        for address in CANARIES:
            a_window_with(20)
            assert statuses(service, 8, address) == {200: 5, 429: 3}
            bad = f"Bearer cw_live_{'0' * 32}_{'a' * 32}"
            assert statuses(service, 3, address, Authorization=bad).keys() == {429}
        told = "select count(*) >= 2 from rate_window"
        eventually(lambda: bool(ask_sql(deployed.dsn, told)))
        written = service.out + service.err + service.get("/metrics").text
        stored = str(ask_sql(deployed.dsn, "select string_agg(t::text, ' ') from rate_window t"))
    assert '"request"' in written
    for address in CANARIES:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        for form in (address, packed.hex(), packed[:8].hex(), "2001:db8:77:77"):
            assert form not in written
            assert form not in stored
