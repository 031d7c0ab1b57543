"""Referrals: how many are sent a second, what a dry run costs, and how soon the next clinic is
asked when one declines."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import msgspec

from db.connection import Connection
from db.pool import Pool
from tests.bench.directories import SEED
from tests.bench.keys import make_keys
from tests.bench.load import CONNECTIONS, Load, LoadFailed, Paths, Posts, side_by_side
from tests.bench.service import Service

POINTS: Final = 5_000
"""Around a city that has hundreds of clinics for what is asked."""
SENDING_SECONDS: Final = 5
"""Longer than a search is measured: mails and jobs of what was sent come in between."""
OPEN: Final = 1_000
DECLINED: Final = 300
AT_ONCE: Final = 4
ASKED: Final = 50
"""Clinics that the open referrals are spread over."""
_LOOK_SECONDS: Final = 0.005
_PATIENCE: Final = 10.0
_NEEDED: Final[dict[str, Any]] = {
    "conditions": ["crps"],
    "screening": dict.fromkeys(
        ("uncontrolled_hypertension", "unstable_heart_disease", "active_psychosis", "pregnancy",
         "breastfeeding", "severe_liver_disease", "substance_use_history",
         "immediate_suicide_risk"),
        False,
    ),
    "preferences": {"routes": ["iv"], "settings": ["clinic"], "max_distance": "50mi"},
    "urgency": "routine",
    "mode": "sequential",
}  # fmt: skip
DRY_RUN: Final = _NEEDED | {"patient": {"near": "POINT", "birth_date": "1980-02-03"}}
REFERRAL: Final = _NEEDED | {
    "patient": {
        "given_name": "Example NUMBER",
        "family_name": "Patient",
        "birth_date": "1980-02-03",
        "phone": "+16025550123",
        "email": "patient@example.org",
        "near": "POINT",
        "state": "US-CA",
    },
    "icd10": ["G90.50"],
    "reason": "Made up for measurements. Pain in the left hand since a fracture of the wrist, "
    "with changes of colour and temperature; two years of therapy have not helped enough.",
    "prior_treatments": ["gabapentin", "duloxetine", "a block of the stellate ganglion"],
    "medications": ["duloxetine 60 mg"],
    "consent": {"given": True, "at": "2026-01-05T09:00:00-07:00"},
}
# Of all rows that one referral makes, as they are stored.
_BYTES: Final = """
select
    (select sum(pg_column_size(r)) from referral as r where id = $1)
    + (select sum(pg_column_size(o)) from offer as o where referral_id = $1)
    + (select sum(pg_column_size(k)) from sealed_key as k where referral_id = $1)
    + (select sum(pg_column_size(h)) from referral_history as h where referral_id = $1)
    + (select sum(pg_column_size(i)) from idempotency as i where referral_id = $1)
    + (select sum(pg_column_size(n)) from notice as n where referral_id = $1)
    + (select sum(pg_column_size(a)) from audit_entry as a where object_id = $1::text)
"""
_IDLE: Final = """
select not exists (select from notice where next_attempt_at <= now())
    and not exists (select from pgqueuer)
"""
_AT_WORK: Final = """
select count(*) from pg_stat_activity where application_name = 'clinicway queue'
"""


class Sent(msgspec.Struct, frozen=True):
    """Referrals a second, and that ÷ the rate of bare inserts of so many bytes."""

    rate: float
    ratio: float
    inserts: float
    bytes: int


def points() -> list[str]:
    chance = Random(SEED)
    return [
        f"{34.05 + chance.uniform(-0.2, 0.2):.5f},{-118.24 + chance.uniform(-0.2, 0.2):.5f}"
        for _ in range(POINTS)
    ]


def measure_sending(service: Service, folder: Path) -> Sent:
    asyncio.run(_until(service.dsn, _AT_WORK, service.processes))
    [key] = asyncio.run(make_keys(service, ["referrals:write"]))
    size = asyncio.run(_prepare_inserts(service, key))
    body = msgspec.json.encode(REFERRAL)
    sending = Posts(folder, "sending", "/v1/referrals", key, body, points())
    inserting = Posts(folder, "inserting", f"/bench/insert/{size}", key, body, points())

    def inserted() -> Load:
        # What was sent before is still being told of, which is no part of an insert.
        asyncio.run(_until(service.dsn, _IDLE, True))
        return inserting.run(service.port, SENDING_SECONDS)

    ratio, rates, others = side_by_side(
        lambda: sending.run(service.port, SENDING_SECONDS), inserted
    )
    asyncio.run(_until(service.dsn, _IDLE, True))
    return Sent(statistics.median(rates), ratio, statistics.median(others), size)


def measure_dry_runs(service: Service, folder: Path) -> tuple[float, list[float], list[float]]:
    """The median latency of dry runs ÷ that of near-me searches from the same points."""
    [key] = asyncio.run(make_keys(service, ["referrals:write"]))
    asyncio.run(_try_out(service, key))
    body = msgspec.json.encode(DRY_RUN)
    matching = Posts(folder, "matching", "/v1/referrals/matches", key, body, points())
    near = Paths(folder, "around", [f"/v1/clinics?near={point}" for point in points()])
    return side_by_side(
        lambda: matching.run(service.port),
        lambda: near.run(service.port),
        of=lambda load: load.median_ms,
    )


async def declined_p99_ms(service: Service) -> float:
    """From a clinic's no until the next one's list of offers shows it, with 1,000 open ones."""
    [key] = await make_keys(service, ["referrals:write"])
    async with AsyncExitStack() as stack:
        referrer = await stack.enter_async_context(caller(service, key))
        clinics = await _who_can(referrer)
        keys = await make_keys(service, *([f"clinic:{clinic}"] for clinic in clinics))
        staff = {
            clinic: await stack.enter_async_context(caller(service, each))
            for clinic, each in zip(clinics, keys, strict=True)
        }
        waiting = iter((await send_many(referrer, OPEN, clinics))[:DECLINED])
        taken: list[float] = []

        async def decline() -> None:
            for pair, offer in waiting:
                [after] = [clinic for clinic in pair if clinic != offer["clinic"]["id"]]
                taken.append(
                    await _next_after(staff[offer["clinic"]["id"]], staff[after], offer["id"])
                )

        await asyncio.gather(*(decline() for _ in range(AT_ONCE)))
    return sorted(taken)[int(len(taken) * 0.99)] * 1000


async def send_many(
    referrer: httpx.AsyncClient, many: int, clinics: Sequence[str]
) -> list[tuple[list[str], dict[str, Any]]]:
    """That many open referrals, each for one of two of the clinics: the two, and the offer."""
    chance, numbers, around = Random(SEED), iter(range(many)), points()
    sent: list[tuple[list[str], dict[str, Any]]] = []
    run = str(time.time_ns())

    async def send() -> None:
        for number in numbers:
            pair = chance.sample(clinics, 2)
            # From every point both can be had.
            wishes = {"clinics": pair, "max_distance": "100mi"}
            text = msgspec.json.encode(
                REFERRAL | {"preferences": _NEEDED["preferences"] | wishes}
            ).decode()
            answer = await referrer.post(
                "/v1/referrals",
                content=text.replace("NUMBER", f"{run} {number}").replace("POINT", around[number]),
                headers={"Idempotency-Key": f"{run}-{number}", "Content-Type": "application/json"},
            )
            answer.raise_for_status()
            [offer] = answer.json()["offers"]
            if offer["clinic"]["id"] not in pair:
                raise LoadFailed("a clinic was asked that was not to be")
            sent.append((pair, offer))

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return sent


def caller(service: Service, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=service.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )


async def _try_out(service: Service, key: str) -> None:
    """What is compiled at its first use, once a release, is compiled then."""
    async with caller(service, key) as referrer:
        await _who_can(referrer)


async def _who_can(referrer: httpx.AsyncClient) -> list[str]:
    """Clinics that can take the referral from any of the points."""
    text = msgspec.json.encode(DRY_RUN).replace(b"POINT", b"34.05,-118.24")
    answer = await referrer.post(
        "/v1/referrals/matches", content=text, headers={"Content-Type": "application/json"}
    )
    answer.raise_for_status()
    return [each["clinic"]["id"] for each in answer.json()["ranked"]][:ASKED]


async def _next_after(asked: httpx.AsyncClient, after: httpx.AsyncClient, offer: str) -> float:
    referral = (await asked.get(f"/v1/offers/{offer}")).json()["referral"]["id"]
    began = time.monotonic()
    answer = await asked.post(
        f"/v1/offers/{offer}/decline", json={"reason": "capacity"}, headers={"If-Match": "*"}
    )
    answer.raise_for_status()
    while time.monotonic() - began < _PATIENCE:
        page = await after.get("/v1/offers?state=open&limit=100")
        page.raise_for_status()
        # One that is declined while the list is made comes without its referral.
        shown = [each["referral"] for each in page.json()["items"]]
        if any(each is not None and each["id"] == referral for each in shown):
            return time.monotonic() - began
        await asyncio.sleep(_LOOK_SECONDS)
    raise LoadFailed("the next clinic was not asked")


async def _prepare_inserts(service: Service, key: str) -> int:
    """A table for rows of as many bytes as all rows of one referral: so many."""
    text = msgspec.json.encode(REFERRAL).replace(b"NUMBER", b"0").replace(b"POINT", b"90045")
    headers = {"Idempotency-Key": "bench-size", "Content-Type": "application/json"}
    async with caller(service, key) as referrer:
        answer = await referrer.post("/v1/referrals", content=text, headers=headers)
        answer.raise_for_status()
    pool = Pool(service.dsn, size=1)
    async with pool.acquire() as conn:
        await conn.execute("create table bench_row (id uuid primary key, content bytea not null)")
        await conn.execute("grant insert on bench_row to clinicway_service")
        size = await conn.fetchval(_BYTES, answer.json()["id"])
    await pool.close()
    return int(str(size))


async def _until(dsn: str, question: str, wanted: object) -> None:
    pool = Pool(dsn, size=1)
    async with pool.acquire() as conn:
        await _answered(conn, question, wanted)
    await pool.close()


async def _answered(conn: Connection, question: str, wanted: object) -> None:
    began = time.monotonic()
    while await conn.fetchval(question) != wanted:
        if time.monotonic() - began > 20 * _PATIENCE:
            raise LoadFailed("the service does not come to rest")
        await asyncio.sleep(0.1)
