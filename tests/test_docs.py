"""The reference page: whole without a network, and nothing but our own on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.openapi.test_document import OPERATIONS
from tests.serving import Served

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


async def test_all_that_the_page_loads_is_served_here(edge: httpx.AsyncClient) -> None:
    page = await edge.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 6
    for link in links:
        answer = await edge.get(link)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")


async def test_the_policy_lets_nothing_else_in(edge: httpx.AsyncClient) -> None:
    policy = (await edge.get("/docs")).headers["content-security-policy"]
    sources = {word for part in policy.split(";") for word in part.split()[1:]}
    assert sources == {"'none'", "'self'", "data:"}


async def test_the_root_leads_to_the_page(edge: httpx.AsyncClient) -> None:
    answer = await edge.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_the_page_shows_every_operation_without_a_network(
    edge_server: Served, tmp_path: Path
) -> None:
    shown = subprocess.run(
        [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--dump-dom",
            f"{edge_server.url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in shown.stderr
    ids = re.findall(r'id="operations-(?!tag-)[^"]*-(\w+)"', shown.stdout)
    assert sorted(ids) == sorted(each["operationId"] for _, _, each in OPERATIONS.values())
