"""`clinicway audit`, as somebody types it."""

from __future__ import annotations

import io
from argparse import Namespace
from pathlib import Path

import httpx
import msgspec
import pytest
from rich.console import Console

from api.commands.audit import AnchorFile, run_audit
from api.commands.failures import CommandError
from tests.conftest import execute
from tests.keys.conftest import House


async def audited(house: House, action: str, anchor: Path | None = None) -> tuple[int, str]:
    """What it exits with, and what it prints."""
    printed = io.StringIO()
    arguments = Namespace(action=action, anchor=anchor)
    code = await run_audit(arguments, house.settings, house.clock, Console(file=printed))
    return code, printed.getvalue()


async def test_it_says_where_the_trail_was_changed(
    house: House,
    client: httpx.AsyncClient,
    admin: dict[str, str],
    dsn: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await audited(house, "verify") == (0, "The audit trail verifies: 0 entries.\n")
    for _ in range(3):
        body = {"name": "Desk", "scopes": ["referrals:write"]}
        await client.post("/v1/keys", json=body, headers=admin)
    assert await audited(house, "verify") == (0, "The audit trail verifies: 3 entries.\n")

    assert (await audited(house, "anchor"))[0] == 0
    anchor = tmp_path / "anchor.json"
    # Before it may stand what the service in this process has logged.
    anchor.write_text(capsys.readouterr().out.splitlines()[-1])
    kept = msgspec.json.decode(anchor.read_bytes(), type=AnchorFile)
    assert sum(lane.entries for lane in kept.lanes) == 3
    assert (await audited(house, "verify", anchor))[0] == 0

    # A trail begun anew: sound in itself, and not the one that the anchor was taken of.
    await execute(dsn, "truncate audit_lane, audit_entry")
    assert (await audited(house, "verify"))[0] == 0
    code, printed = await audited(house, "verify", anchor)
    assert code == 1
    assert "Cut off the end" in printed

    await client.post("/v1/keys", json={"name": "D", "scopes": ["admin"]}, headers=admin)
    await execute(dsn, "update audit_entry set actor = 'nobody'")
    code, printed = await audited(house, "verify")
    assert code == 1
    assert printed.startswith("Altered: lane ")
    with pytest.raises(CommandError, match="audit verify"):
        await audited(house, "anchor")


@pytest.mark.parametrize("content", ["", "[]", '{"lanes": []}', "{" * 100_000])
async def test_a_file_that_is_no_anchor_is_refused(
    house: House, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "anchor.json"
    file.write_text(content)
    with pytest.raises(CommandError, match="audit anchor"):
        await audited(house, "verify", file)
    with pytest.raises(CommandError, match="cannot be read"):
        await audited(house, "verify", tmp_path / "none.json")
