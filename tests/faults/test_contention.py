"""A database that answers, and does not give what is asked: locks, a full pool, cut connections."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.deployment import (
    NEAR_PHOENIX,
    WRITER,
    Deployment,
    ask_sql,
    caller,
    profile,
    run_sql,
)
from tests.faults.directory import (
    assert_shows,
    assert_unavailable,
    created,
    read_log,
    wait_until,
)
from tests.faults.holding import Holder
from tests.services import Service

POOL = 2
WRITERS_LOCK = "select pg_advisory_xact_lock(7165064744911531)"
GATE = 4711


@pytest.fixture(scope="module")
def service(deployed: Deployment) -> Iterator[Service]:
    with deployed.serve("--pool-size", str(POOL), "--log-format", "json") as service:
        yield service.announced()


@pytest.fixture(scope="module")
def key(deployed: Deployment) -> str:
    return deployed.key(*WRITER)


@pytest.fixture
def client(service: Service, key: str) -> Iterator[httpx.Client]:
    with caller(service, key) as client:
        # The service knows the key, whatever is locked next.
        client.get("/v1/keys?limit=1").raise_for_status()
        yield client


@contextmanager
def holding(deployed: Deployment, *statements: str) -> Generator[Holder]:
    with Holder(deployed.dsn) as holder:
        holder.begin(*statements)
        yield holder


def in_background(pool: ThreadPoolExecutor, client: httpx.Client, name: str) -> Future[Any]:
    return pool.submit(client.post, "/v1/clinics", json=profile(name))


def waiting_for_locks(deployed: Deployment) -> int:
    return int(
        ask_sql(
            deployed.dsn,
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'",
        )
    )


def test_a_lock_that_is_not_given_back(deployed: Deployment, client: httpx.Client) -> None:
    """It is held until after the answers, as it would be for a minute."""
    newest = read_log(deployed.dsn).version
    mine = created(client, "Before the lock")
    with holding(deployed, WRITERS_LOCK):
        for method, path, body in (
            ("POST", "/v1/clinics", profile("During the lock")),
            ("PATCH", f"/v1/clinics/{mine}", {"wait_days": 3}),
            ("DELETE", f"/v1/clinics/{mine}", None),
        ):
            answer = client.request(method, path, json=body, headers={"If-Match": "*"})
            assert_unavailable(answer)
            assert client.get(NEAR_PHOENIX).status_code == 200
            assert client.get("/health/ready").json()["status"] == "ready"
    created(client, "After the lock")
    assert read_log(deployed.dsn).version == newest + 2


@pytest.mark.parametrize(
    ("table", "method", "path"),
    [
        ("clinic", "GET", "/v1/stale"),
        ("clinic", "GET", "/v1/duplicates"),
        ("directory_change", "GET", "/v1/duplicates"),
        ("api_key", "GET", "/v1/keys"),
    ],
)
def test_a_table_that_is_locked(
    deployed: Deployment, client: httpx.Client, table: str, method: str, path: str
) -> None:
    with holding(deployed, f"lock table {table} in access exclusive mode"):
        assert_unavailable(client.request(method, path))
        unknown = {"Authorization": f"Bearer cw_live_{'0' * 32}_{'a' * 32}"}
        answer = client.request(method, path, headers=unknown)
        assert answer.status_code == (503 if table == "api_key" else 401)
        assert client.get(NEAR_PHOENIX).status_code == 200
        assert client.get("/health/live").status_code == 200
    assert client.request(method, path).status_code == 200


def test_no_connection_is_left(
    deployed: Deployment, service: Service, key: str, client: httpx.Client
) -> None:
    """All of them wait for a lock; whoever comes then is told at once, before those have given
    up, and everything that needs no connection is answered."""
    newest = read_log(deployed.dsn).version
    with (
        holding(deployed, WRITERS_LOCK),
        ThreadPoolExecutor(POOL) as threads,
        caller(service, key) as other,
    ):
        waiting = [in_background(threads, other, f"Waits {number}") for number in range(POOL)]
        wait_until(lambda: waiting_for_locks(deployed) == POOL)
        turned_away = client.get("/v1/keys")
        assert client.get("/health/live").status_code == 200
        assert client.get(NEAR_PHOENIX).status_code == 200
        assert client.get("/health/ready").status_code == 200
        assert_unavailable(turned_away)
        # A connection is waited for 1 s, a lock 2 s.
        assert turned_away.elapsed.total_seconds() < 2
        for each in waiting:
            assert_unavailable(each.result())
    assert client.get("/v1/keys").status_code == 200
    assert read_log(deployed.dsn).version == newest


def test_many_more_callers_than_connections(
    deployed: Deployment, service: Service, key: str
) -> None:
    """Each gets its clinic or a 503, and whoever got it finds it in the log."""
    numbers = range(60)
    with ThreadPoolExecutor(20) as threads, caller(service, key) as client:
        done = [in_background(threads, client, f"Crowd {number}") for number in numbers]
        wait(done)
    answers = [each.result() for each in done]
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert made
    for answer in answers:
        if answer.status_code != 201:
            assert_unavailable(answer)
    log = read_log(deployed.dsn)
    assert {clinic for clinic, told in log.profiles.items() if b'"Crowd ' in told} == made


def test_every_connection_is_cut_again_and_again(
    deployed: Deployment, service: Service, client: httpx.Client
) -> None:
    """LISTEN's own, too. A caller is told to come again, or is served; nothing is half done."""
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name like 'clinicway%'"
    )
    acknowledged: set[str] = set()
    with ThreadPoolExecutor(1) as threads:
        cutting = threads.submit(lambda: [run_sql(deployed.dsn, cut) for _ in range(10)])
        for number in count():
            answer = client.post("/v1/clinics", json=profile(f"Cut {number}"))
            if answer.status_code == 201:
                acknowledged.add(answer.json()["id"])
            else:
                assert_unavailable(answer)
            assert client.get(NEAR_PHOENIX).status_code == 200
            if cutting.done() and number >= 30:
                break
        cutting.result()
    log = read_log(deployed.dsn)
    assert acknowledged <= set(log.profiles)
    assert_shows(client, log)


ADDED = [
    f"alter table {table} add column added_{number} {kind}"
    for table in (
        "clinic",
        "offering",
        "organization",
        "directory_change",
        "api_key",
        "catalogue_entry",
    )
    for number, kind in enumerate(("text", "integer not null default 7"))
]


def test_columns_are_added_under_traffic(deployed: Deployment, service: Service, key: str) -> None:
    """As a newer release does it while this one runs: nobody gets a 5xx, neither while it happens
    nor from a statement that was prepared before."""

    def everything(client: httpx.Client, number: int) -> list[httpx.Response]:
        made = client.post("/v1/clinics", json=profile(f"Column {number}"))
        path = f"/v1/clinics/{made.json()['id']}"
        anew = client.post("/v1/keys", json={"name": "column", "scopes": ["referrals:write"]})
        mine = f"/v1/keys/{anew.json()['id']}"
        newer = client.post(f"{mine}/rotate")
        any_version = {"If-Match": "*"}
        return [
            made, anew, newer,
            client.patch(path, json={"wait_days": number % 30}, headers=any_version),
            client.put(path, json=profile(f"Column {number}"), headers=any_version),
            client.get(path),
            client.get(f"{path}/history"),
            client.get("/v1/stale?limit=1"),
            client.get("/v1/duplicates?limit=1"),
            client.get("/v1/keys?limit=1"),
            client.get(mine),
            client.delete(mine),
            client.delete(path, headers=any_version),
            client.get(NEAR_PHOENIX),
        ]  # fmt: skip

    def traffic(over: Event) -> list[httpx.Response]:
        with caller(service, key) as client:
            answers: list[httpx.Response] = []
            for number in count():
                answers += everything(client, number)
                if over.is_set():
                    return answers
        raise AssertionError

    over = Event()
    with ThreadPoolExecutor(1) as threads, caller(service, key) as client:
        answers = everything(client, 0)
        beside = threads.submit(traffic, over)
        try:
            for statement in ADDED:
                run_sql(deployed.dsn, statement)
                answers += everything(client, 1)
        finally:
            over.set()
        for answer in answers + beside.result():
            assert answer.status_code < 300, (answer.request.url, answer.text)
        assert_shows(client, read_log(deployed.dsn))


BEFORE_COMMIT = f"""
create function wait_at_gate() returns trigger language plpgsql set lock_timeout to 0 as $$
begin
    perform pg_advisory_xact_lock({GATE});
    return null;
end $$;
"""
AT_INSERT = "create trigger gate after insert on directory_change execute function wait_at_gate()"
AT_COMMIT = (
    "create constraint trigger gate after insert on directory_change"
    " deferrable initially deferred for each row execute function wait_at_gate()"
)


@pytest.fixture(scope="module")
def gate(deployed: Deployment) -> None:
    run_sql(deployed.dsn, BEFORE_COMMIT)


@contextmanager
def gated(deployed: Deployment, trigger: str) -> Generator[Holder]:
    """Whoever writes waits until the holder ends."""
    run_sql(deployed.dsn, trigger)
    try:
        with holding(deployed, f"select pg_advisory_xact_lock({GATE})") as holder:
            yield holder
    finally:
        run_sql(deployed.dsn, "drop trigger gate on directory_change")


def in_transactions(deployed: Deployment) -> int:
    return int(
        ask_sql(
            deployed.dsn,
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name like 'clinicway%' and xact_start is not null",
        )
    )


def lose(deployed: Deployment, key: str, trigger: str, name: str) -> None:
    """A write by a service that is killed, all of it, while its transaction waits at the gate."""
    with deployed.serve() as victim, ThreadPoolExecutor(1) as threads:
        family = victim.announced().everything()
        with gated(deployed, trigger), caller(victim, key) as client:
            lost = in_background(threads, client, name)
            wait_until(lambda: waiting_for_locks(deployed) == 1)
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            with pytest.raises(httpx.TransportError):
                lost.result()
    wait_until(lambda: in_transactions(deployed) == 0)


@pytest.mark.usefixtures("gate")
def test_kill_9_between_insert_and_commit(
    deployed: Deployment, client: httpx.Client, key: str
) -> None:
    """Inserted, not committed: nothing of it is ever seen."""
    newest = read_log(deployed.dsn).version
    lose(deployed, key, AT_INSERT, "Never committed")
    log = read_log(deployed.dsn)
    assert log.version == newest
    assert_shows(client, log)
    created(client, "The next one")
    assert read_log(deployed.dsn).version == newest + 1


@pytest.mark.usefixtures("gate")
def test_kill_9_during_commit(deployed: Deployment, client: httpx.Client, key: str) -> None:
    """The commit was sent and not answered: it is there as a whole or not at all."""
    newest = read_log(deployed.dsn).version
    lose(deployed, key, AT_COMMIT, "Perhaps committed")
    # Reading it holds the log against the tables.
    log = read_log(deployed.dsn)
    assert log.version in (newest, newest + 1)
    assert_shows(client, log)


@pytest.mark.usefixtures("gate")
def test_a_connection_cut_during_commit(
    deployed: Deployment, service: Service, key: str, client: httpx.Client
) -> None:
    """No 201 for what is not there."""
    newest = read_log(deployed.dsn).version
    with (
        gated(deployed, AT_COMMIT),
        ThreadPoolExecutor(1) as threads,
        caller(service, key) as other,
    ):
        lost = in_background(threads, other, "Cut at the commit")
        wait_until(lambda: waiting_for_locks(deployed) == 1)
        run_sql(
            deployed.dsn,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'",
        )
        assert_unavailable(lost.result())
    assert read_log(deployed.dsn).version == newest
    created(client, "After the cut")
