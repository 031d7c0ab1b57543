"""What a directory holds, by the database and by the answers of a service."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from db.connection import Connection
from tests.faults.deployment import database, profile
from tests.services import PATIENCE

Json = dict[str, Any]


class Log(msgspec.Struct, frozen=True):
    """The log of changes summed up: what each clinic that was ever there has become."""

    version: int
    profiles: dict[str, bytes]
    merged: dict[str, str]
    deleted: set[str]


def read_log(dsn: str) -> Log:
    """From the log alone, row by row; held to be without gaps and to agree with the tables."""

    async def read(conn: Connection) -> Log:
        rows = await conn.fetch(
            "select seq, kind::text, clinic_id::text, merged_into::text, profile"
            " from directory_change order by seq"
        )
        log = Log(len(rows), {}, {}, set())
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        for row in rows:
            clinic = row["clinic_id"]
            log.profiles.pop(clinic, None)
            if row["kind"] == "upsert":
                log.profiles[clinic] = row["profile"].encode()
            elif row["kind"] == "merge":
                log.merged[clinic] = row["merged_into"]
            else:
                log.deleted.add(clinic)
        stored = await conn.fetch("select id::text, status::text, change_seq from clinic")
        newest = {row["clinic_id"]: row["seq"] for row in rows}
        assert {row["id"]: row["change_seq"] for row in stored} == newest
        active = {row["id"] for row in stored if row["status"] == "active"}
        assert active == set(log.profiles)
        return log

    return database(dsn, read)


def everything_found(client: httpx.Client) -> list[str]:
    """The ids of all clinics, by paging through a search that leaves none out."""
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/clinics?sort=name&limit=100{cursor}").raise_for_status().json()
        found += [item["clinic"]["id"] for item in page["items"]]
        if page["next"] is None:
            assert len(found) == page["total"]
            return found
        cursor = f"&cursor={page['next']}"


def version_of(client: httpx.Client) -> int:
    return int(client.get("/v1/regions").raise_for_status().headers["directory-version"])


def assert_shows(client: httpx.Client, log: Log) -> None:
    """The service answers with exactly what the log says."""
    wait_until(lambda: version_of(client) == log.version)
    assert sorted(everything_found(client)) == sorted(log.profiles)
    for clinic, expected in log.profiles.items():
        answer = client.get(f"/v1/clinics/{clinic}")
        assert (answer.status_code, answer.content) == (200, expected)
    for clinic, survivor in log.merged.items():
        end = survivor
        while end in log.merged:
            end = log.merged[end]
        answer = client.get(f"/v1/clinics/{clinic}")
        if end in log.deleted:
            assert answer.status_code == 404
        else:
            assert answer.status_code == 308
            assert answer.headers["location"] == f"/v1/clinics/{end}"
    for clinic in log.deleted:
        assert client.get(f"/v1/clinics/{clinic}").status_code == 404


def wait_until(condition: Callable[[], bool], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def created(client: httpx.Client, name: str, **changes: Any) -> str:
    answer = client.post("/v1/clinics", json=profile(name, **changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def assert_unavailable(answer: httpx.Response) -> None:
    """503, a problem, and a word on when to come again."""
    assert answer.status_code == 503, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert re.fullmatch(r"[1-9][0-9]?", answer.headers["retry-after"])
    assert answer.json()["type"] == "/problems/unavailable"
