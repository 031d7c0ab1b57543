"""Two services on one database: what is written in one is seen in the other, whatever is lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

import httpx
import pytest

from tests.faults.deployment import WRITER, Deployment, caller, profile, run_sql
from tests.faults.directory import assert_shows, created, read_log, version_of, wait_until
from tests.faults.holding import Holder

LISTENERS = (
    "from pg_stat_activity where datname = current_database()"
    " and application_name = 'clinicway listener'"
)
CUT_LISTENERS = f"select pg_terminate_backend(pid) {LISTENERS}"


@pytest.fixture(scope="module")
def clients(deployed: Deployment) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    key = deployed.key(*WRITER)
    with (
        deployed.serve() as one,
        deployed.serve() as other,
        caller(one.announced(), key) as first,
        caller(other.announced(), key) as second,
    ):
        yield first, second


Clients = tuple[httpx.Client, httpx.Client]


@contextmanager
def without_notifications(deployed: Deployment) -> Generator[None]:
    """Nobody hears of a change: what writers call stands in front of PostgreSQL's own function,
    and does nothing. Every connection is made anew, so that it is found."""
    name = deployed.dsn.partition("@/")[2].partition("?")[0]
    silent = "create function public.pg_notify(text, text) returns void language sql as ''"
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name like 'clinicway%'"
    )
    run_sql(deployed.dsn, silent, f"alter database {name} set search_path to public, pg_catalog")
    run_sql(deployed.dsn, cut)
    try:
        yield
    finally:
        run_sql(
            deployed.dsn,
            f"alter database {name} reset search_path",
            "drop function public.pg_notify(text, text)",
        )
        run_sql(deployed.dsn, cut)


def test_each_sees_what_the_other_writes(deployed: Deployment, clients: Clients) -> None:
    for number in range(6):
        writer, reader = clients[number % 2], clients[1 - number % 2]
        clinic = created(writer, f"Seen {number}")
        # At once where it was written.
        mine = writer.get(f"/v1/clinics/{clinic}")
        assert mine.status_code == 200
        wait_until(lambda clinic=clinic, reader=reader: seen(reader, clinic))
        assert reader.get(f"/v1/clinics/{clinic}").content == mine.content
        changed = writer.patch(
            f"/v1/clinics/{clinic}", json={"wait_days": number}, headers={"If-Match": "*"}
        )
        assert changed.status_code == 200
        wait_until(
            lambda clinic=clinic, reader=reader, changed=changed: (
                reader.get(f"/v1/clinics/{clinic}").headers["etag"] == changed.headers["etag"]
            )
        )
    log = read_log(deployed.dsn)
    for client in clients:
        assert_shows(client, log)


def seen(client: httpx.Client, clinic: str) -> bool:
    return client.get(f"/v1/clinics/{clinic}").status_code == 200


def test_listeners_are_cut_while_others_write(deployed: Deployment, clients: Clients) -> None:
    for number in range(8):
        run_sql(deployed.dsn, CUT_LISTENERS)
        clinic = created(clients[number % 2], f"Cut off {number}")
        for client in clients:
            wait_until(lambda clinic=clinic, client=client: seen(client, clinic))


def test_the_poll_delivers_what_no_notification_told(
    deployed: Deployment, clients: Clients
) -> None:
    with without_notifications(deployed), Holder(deployed.dsn) as witness:
        heard = witness.listen("directory_change")
        for number in range(3):
            clinic = written(clients[0], f"Unheard {number}")
            wait_until(lambda clinic=clinic: seen(clients[1], clinic))
        assert heard == []
    # And they are heard again.
    with Holder(deployed.dsn) as witness:
        heard = witness.listen("directory_change")
        written(clients[0], "Heard")
        wait_until(lambda: heard != [])


def written(client: httpx.Client, name: str) -> str:
    """A clinic, by a service whose connections may just have been cut."""
    made: list[str] = []

    def tried() -> bool:
        answer = client.post("/v1/clinics", json=profile(name))
        if answer.status_code == 201:
            made.append(answer.json()["id"])
        else:
            assert answer.status_code == 503, answer.text
        return bool(made)

    wait_until(tried)
    return made[0]


CITIES: list[dict[str, Any]] = [
    {"city": "Phoenix", "state": "US-AZ", "postal_code": "85016", "country": "US"},
    {"city": "Boston", "state": "US-MA", "postal_code": "02118", "country": "US"},
    {"city": "London", "state": "GB-ENG", "postal_code": "SE1 7EH", "country": "GB"},
]
OFFERINGS: list[list[dict[str, Any]]] = [
    [],
    [{"drug": "ketamine", "route": "iv", "setting": "clinic", "conditions": ["crps"]}],
    [
        {"drug": "ketamine", "route": "oral", "setting": "at_home"},
        {"drug": "ketamine", "route": "im", "setting": "clinic", "conditions": ["fibromyalgia"]},
    ],
]  # fmt: skip


class Editor:
    """Somebody who writes at random, through a service of their own choosing each time."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self._clients = clients
        self._random = Random(seed)
        self._name = f"Random {seed}"
        self._address = CITIES[seed % len(CITIES)]
        self._mine: list[str] = []

    def act(self) -> None:
        client = self._random.choice(self._clients)
        if len(self._mine) < 2:
            self._create(client)
            return
        actions: list[Callable[[httpx.Client], None]] = [
            self._create, self._replace, self._amend, self._amend, self._delete, self._merge
        ]  # fmt: skip
        self._random.choice(actions)(client)

    def _body(self) -> dict[str, Any]:
        random = self._random
        body = profile(
            f"{self._name} {random.randrange(1000)}",
            address=self._address,
            offerings=[self._covering(each) for each in random.choice(OFFERINGS)],
            payers=random.sample(["medicare", "self_pay", "medicaid"], random.randrange(3)),
            wait_days=random.choice([None, 0, 7]),
            accepting=random.choice(["yes", "no", "unknown"]),
        )
        del body["location"]
        return body

    def _covering(self, offering: dict[str, Any]) -> dict[str, Any]:
        """Care at home is given where the prescriber is licensed, in the clinic's own country."""
        at_home = offering["setting"] == "at_home"
        return {**offering, "coverage": [self._address["state"]] if at_home else []}

    def _create(self, client: httpx.Client) -> None:
        answer = client.post("/v1/clinics", json=self._body())
        if self._done(answer, 201):
            self._mine.append(answer.json()["id"])

    def _replace(self, client: httpx.Client) -> None:
        self._done(self._on(client, "PUT", self._pick(), self._body()), 200)

    def _amend(self, client: httpx.Client) -> None:
        changes = self._body()
        kept = self._random.sample(sorted(changes), 3)
        self._done(
            self._on(client, "PATCH", self._pick(), {name: changes[name] for name in kept}), 200
        )

    def _delete(self, client: httpx.Client) -> None:
        clinic = self._pick()
        if self._done(self._on(client, "DELETE", clinic), 204):
            self._mine.remove(clinic)

    def _merge(self, client: httpx.Client) -> None:
        clinic, into = self._random.sample(self._mine, 2)
        if self._done(self._on(client, "POST", f"{clinic}/merge", {"into": into}), 200):
            self._mine.remove(clinic)

    def _pick(self) -> str:
        return self._random.choice(self._mine)

    def _on(
        self, client: httpx.Client, method: str, what: str, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        return client.request(method, f"/v1/clinics/{what}", json=body, headers={"If-Match": "*"})

    def _done(self, answer: httpx.Response, status: int) -> bool:
        """False when a connection was cut: it was not done, or not answered for."""
        assert answer.status_code in (status, 503), (answer.status_code, answer.text)
        if answer.status_code == 503:
            # Whether it happened is for the log to say: nothing more is done with these.
            self._mine.clear()
        return answer.status_code == status


@pytest.mark.parametrize("seed", [1, 2])
def test_the_index_equals_the_database_after_any_writes(
    deployed: Deployment, clients: Clients, seed: int
) -> None:
    """Four at once, through both, while nobody is notified and listeners are cut."""
    editors = [Editor(clients, seed * 10 + number) for number in range(4)]

    def busy(editor: Editor) -> None:
        for _ in range(60):
            editor.act()

    with without_notifications(deployed), ThreadPoolExecutor(4) as threads:
        at_work = [threads.submit(busy, editor) for editor in editors]
        while not all(each.done() for each in at_work):
            run_sql(deployed.dsn, CUT_LISTENERS)
        for each in at_work:
            each.result()
        log = read_log(deployed.dsn)
        assert log.merged
        assert log.deleted
        for client in clients:
            assert_shows(client, log)


def test_a_row_that_cannot_be_read_stops_nothing(deployed: Deployment, clients: Clients) -> None:
    """A fault of ours, or of whoever repaired the log by hand: search goes on with what it has,
    and follows again once the row is right."""
    clinic = written(clients[0], "Before the fault")
    profile_of = f"(select profile from directory_change where clinic_id = '{clinic}' limit 1)"
    wait_until(lambda: seen(clients[1], clinic))
    newest = read_log(deployed.dsn).version
    run_sql(
        deployed.dsn,
        "insert into directory_change (seq, kind, clinic_id, at, actor, profile)"
        f" values ({newest + 1}, 'upsert', '{clinic}', now(), 'test', 'not a profile')",
        f"update clinic set change_seq = {newest + 1} where id = '{clinic}'",
        f"select pg_notify('directory_change', '{newest + 1}')",
    )
    for client in clients:
        for _ in range(10):
            assert seen(client, clinic)
            assert version_of(client) == newest
    run_sql(
        deployed.dsn, f"update directory_change set profile = {profile_of} where seq = {newest + 1}"
    )
    log = read_log(deployed.dsn)
    for client in clients:
        assert_shows(client, log)
    created(clients[1], "After the fault")
