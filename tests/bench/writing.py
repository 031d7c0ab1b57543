"""How long a write in one process takes to be seen in another."""

from __future__ import annotations

import asyncio
import time

import httpx

from tests.bench.keys import make_keys
from tests.bench.service import Service

WRITES = 200
STEP_S = 0.002


async def sight_p99_ms(writer: Service, reader: Service) -> float:
    """From a write's answer here until a profile read there shows it: the 99th percentile."""
    [key] = await make_keys(writer, ["directory:write"])
    async with (
        httpx.AsyncClient(base_url=writer.url, headers={"Authorization": f"Bearer {key}"}) as here,
        httpx.AsyncClient(base_url=reader.url) as there,
    ):
        found = (await here.get("/v1/clinics", params={"near": "34.05,-118.24"})).json()
        clinic = found["items"][0]["clinic"]["id"]
        taken = [await _seen_after(here, there, clinic, days) for days in range(WRITES)]
    return sorted(taken)[int(WRITES * 0.99)] * 1000


async def _seen_after(
    here: httpx.AsyncClient, there: httpx.AsyncClient, clinic: str, days: int
) -> float:
    path = f"/v1/clinics/{clinic}"
    answer = await here.patch(path, json={"wait_days": days}, headers={"If-Match": "*"})
    answer.raise_for_status()
    began = time.monotonic()
    while True:
        if (await there.get(path)).json()["wait_days"] == days:
            return time.monotonic() - began
        await asyncio.sleep(STEP_S)
