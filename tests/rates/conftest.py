"""Applications on one database with the limits of the test, as several processes would be."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from api.commands.wiring import make_places
from api.search.places import Places
from api.settings import Settings
from tests.keys.clocks import HandClock
from tests.keys.conftest import House

# A List (RFC 9651) of Strings with Integers as parameters.
_ITEM = re.compile(r'"([a-z]+)"((?:;[a-z]+=[0-9]{1,15})+)')


def parsed(value: str) -> dict[str, dict[str, int]]:
    """A structured field such as `"key";q=10;w=60`, by item; anything else fails."""
    found: dict[str, dict[str, int]] = {}
    for item in value.split(", "):
        match = _ITEM.fullmatch(item)
        assert match is not None, value
        pairs = (part.split("=") for part in match[2][1:].split(";"))
        found[match[1]] = {name: int(number) for name, number in pairs}
    return found


def standing(answer: httpx.Response) -> tuple[str, int, int]:
    """Which limit an answer counted against, how many are left, and for how many seconds."""
    ((name, now),) = parsed(answer.headers["ratelimit"]).items()
    policy = parsed(answer.headers["ratelimit-policy"])
    assert policy[name]["w"] == 60
    assert now["r"] < policy[name]["q"]
    return name, now["r"], now["t"]


@asynccontextmanager
async def caller_from(app: Litestar, address: str | None) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a running application, at that address."""
    client = None if address is None else (address, 4711)
    transport = httpx.ASGITransport(cast("Any", app), client=cast("Any", client))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as caller:
        yield caller


@pytest.fixture(scope="session")
def places() -> Places:
    return make_places(Settings(), HandClock())


@pytest.fixture
def house(dsn: str, tmp_path: Path, places: Places) -> House:
    settings = Settings(
        database_url=dsn,
        keyring=tmp_path / "keyring.json",
        rate_key=5,
        rate_address=3,
        rate_failures=2,
    )
    return House(settings, places, HandClock())
